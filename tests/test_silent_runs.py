"""Silent cases of runs and their directories: each is warned of, refused or honoured."""

from pathlib import Path

import pytest
import torch
from conftest import Making, paint

from sascli import runs
from sascli.cli import main
from sascli.config import DataSettings, Model
from sascli.training import run as training_run


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree of class folders, 40 pictures in each of two classes."""
    for name, value in (("cat", 10), ("dog", 110)):
        for index in range(40):
            paint(tmp_path / "tree" / name / f"{index}.png", value + index, size=(2, 2))
    return tmp_path / "tree"


def of_folder(tiny: Making, tree: Path, **changes: object) -> Path:
    """A run on the images of a tree."""
    model = Model("folder", "folder", "feedforward", grey=True)
    settings = {"model": model, "data": DataSettings(str(tree)), "train_size": "all"}
    settings |= {"test_size": "all", "batch_size": None, "epochs": 1, "precision": "float64"}
    return training_run.run(tiny(**settings | changes))


def test_unused_files_are_on_screen_and_in_the_manifest(
    tiny: Making, tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tree / "cat" / "x.gif").touch()
    paint(tree / ".ipynb_checkpoints" / "x.png", 1, size=(2, 2))
    manifest = runs.manifest_of(of_folder(tiny, tree, batch_size=8))
    assert manifest["data"]["classes"] == ["cat", "dog"]
    (warning,) = manifest["warnings"]
    assert "1 (1 .gif)" in warning and f"warning: {warning}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "used", "warning"),
    [
        (None, 3, "batch_size=3: 20 steps an epoch with T=64"),
        (8, 8, None),
        (65, 64, "batch_size 65 exceeds T; using 64"),
    ],
)
def test_batch_size_for_few_images(
    given: int | None, used: int, warning: str | None, tiny: Making, tree: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    sizes = []
    setup = training_run.setup

    def recorded(*arguments: object) -> object:
        result = setup(*arguments)  # type: ignore[arg-type]
        sizes.append(result.batch_size)
        return result

    monkeypatch.setattr(training_run, "setup", recorded)
    manifest = runs.manifest_of(of_folder(tiny, tree, batch_size=given))
    assert sizes == [used] and manifest["warnings"] == ([warning] if warning else [])
    assert ("warning: " in capsys.readouterr().out) == (warning is not None)


@pytest.mark.parametrize(("size", "expected"), [(10_000, 200), (4000, 200), (3999, 199), (15, 1)])
def test_batch_size_by_default_gives_twenty_steps(size: int, expected: int, tiny: Making) -> None:
    batch, warnings = training_run.batch_size(tiny(batch_size=None), size)
    assert (batch, bool(warnings)) == (expected, expected < 200)


def test_resume_beside_a_damaged_manifest_warns(
    tiny: Making, capsys: pytest.CaptureFixture[str]
) -> None:
    first = training_run.run(tiny(epochs=1))
    (first / runs.MANIFEST).write_text("{")
    second = training_run.run(tiny(epochs=1, resume=True))
    assert second.name == "v002"
    assert f"warning: {first / runs.MANIFEST} is damaged" in capsys.readouterr().err


SMALL = ["width=8", "train_size=60", "test_size=20", "batch_size=20", "eval.samples=1"]


@pytest.mark.parametrize(
    ("before", "words", "code", "text"),
    [
        (
            ["lr=0.1", "lr=0.2"],
            "entropy run=digits-gbp-L4-T60",
            2,
            "different settings: v002",
        ),
        (["lr=0.1", "lr=0.2"], "entropy run=digits-gbp-L4-T60/v001", 0, "/entropy.csv"),
        (["lr=1e30"], "entropy run=digits-gbp-L4-T60", 2, "v001 has failed, give a finished run"),
        (["lr=1e30"], "entropy run={}/v001/", 2, "v001 has failed, give a finished run: training"),
        (["epochs=1"], "evaluate run={}/", 0, "/evaluation.csv"),
        (["damaged"], "train resume=true", 0, "manifest.json is damaged"),
        ([], "train threads=1000000", 0, "warning: threads=1000000, but there are"),
        ([], "train width=100000000", 2, "one replica would take at least 240 PB"),
        (["", "entropy", "epochs=3 resume={}/v001"], "runs", 0, "outdated"),
    ],
)
def test_silent_cases_of_the_command_line(
    before: list[str], words: str, code: int, text: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("SAS_OUTPUTS", str(tmp_path))
    monkeypatch.setattr("sascli.figures.plot", lambda *_, **__: [])
    name = str(tmp_path / "train/digits-gbp-L4-T60")
    for line in before:
        command, settings = ("entropy", []) if line == "entropy" else ("train", SMALL)
        more = line.format(name).split() if "=" in line else []
        if "epochs=" not in line and command == "train":
            more += ["epochs=2"]
        main([command, *settings, *more])
        if line == "damaged":
            (Path(name) / "v001" / runs.MANIFEST).write_text("{")
    capsys.readouterr()
    command, *settings = words.format(name).split()
    small = [
        word for word in SMALL if command == "train" and word.split("=")[0] + "=" not in words
    ]
    epochs = ["epochs=2"] if command == "train" else []
    threads = torch.get_num_threads()
    assert main([command, *small, *epochs, *settings]) == code
    torch.set_num_threads(threads)
    out, err = capsys.readouterr()
    assert text in out + err
