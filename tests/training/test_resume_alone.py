"""`sas train resume=RUN` needs no other word; what is typed beside it must be the run's."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import Making, assert_same_run

from sascli import runs
from sascli.cli import main
from sascli.config import Train, plain
from sascli.data import Data
from sascli.training import run as training_run
from sascli.training.directories import resumed
from sascli.training.signals import Stopped

COPI = {"rule": {"name": "copi", "gain": 50.0}, "width": [7, 5], "seeds": [3, 1]}


def interrupted(config: Train, signal_in: Callable[..., None]) -> Path:
    """The directory of a run that a signal stopped in its third epoch."""
    signal_in(3)
    with pytest.raises(Stopped):
        training_run.run(config)
    (directory,) = Path(config.outputs).glob("train/*/v001")
    assert runs.manifest_of(directory)["status"] == "interrupted"
    return directory


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, COPI, {"name": "mine", "checkpoint_every": 3}])
def test_directory_alone_resumes_with_its_settings(
    changes: dict[str, object],
    tiny: Making,
    signal_in: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = tiny(**changes)
    directory = interrupted(config, signal_in)
    monkeypatch.chdir(tmp_path)
    assert main(["train", f"resume={directory}"]) == 0
    assert runs.manifest_of(directory)["status"] == "finished"
    assert runs.read_json(directory / "config.json") == plain(config) | {"resume": str(directory)}
    assert_same_run(directory, training_run.run(tiny(**changes)))


@pytest.mark.slow
def test_name_alone_resumes_and_typed_settings_are_compared(
    tiny: Making, signal_in: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    directory = interrupted(tiny(**COPI), signal_in)
    line = ["train", f"resume={directory.parent.name}", f"outputs={tiny().outputs}"]
    for words, message in (
        (["rule.gain=60", "depth=4"], "rule.gain 50.0 → 60.0; only epochs may grow"),
        (["lr=0.1", "seeds=[0]"], "lr 0.05 → 0.1, seeds [3,1] → [0]"),
        (["rule=gbp"], "rule.name copi → gbp;"),
        (["model=mnist"], "model.name digits → mnist;"),
        (["epochs=3"], "epochs 4 → 3;"),
        (["experiment=copi_mnist"], "model.name digits → mnist"),
        (["lr.pi=0.1"], "lr.pi null → 0.1"),
        (["rule.credt=fa"], "did you mean 'rule.credit'?"),
    ):
        assert main([*line, *words]) == 2
        assert message in capsys.readouterr().err
    same = ["rule=copi", "model=digits", "width=[7,5]", "rule.gain=50", "train_size=120"]
    assert main([*line, *same, "epochs=5", "device=cpu"]) == 0
    settings = runs.read_json(directory / "config.json")
    assert (settings["epochs"], settings["device"]) == (5, "cpu")
    assert_same_run(directory, training_run.run(tiny(**COPI, epochs=5)))


@pytest.mark.slow
def test_settings_without_effect_on_numbers_may_change(
    tiny: Making, signal_in: Callable[..., None]
) -> None:
    directory = interrupted(tiny(), signal_in)
    words = ["checkpoint_every=2", "figures.format=svg", "figures.font_size=9", "capture=never"]
    assert main(["train", f"resume={directory}", *words]) == 0
    settings = runs.read_json(directory / "config.json")
    before = plain(tiny()) | {"resume": str(directory), "checkpoint_every": 2, "capture": "never"}
    assert settings == before | {
        "figures": {**settings["figures"], "format": "svg", "font_size": 9}
    }
    assert (directory / "overview.svg").exists()


@pytest.mark.slow
def test_plan_of_a_run_to_be_resumed_trains_nothing(
    tiny: Making, signal_in: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    directory = interrupted(tiny(), signal_in)
    assert main(["plan", "train", f"resume={directory}", "epochs=6"]) == 0
    assert "To train at most: 1 of 1 runs" in capsys.readouterr().out
    assert runs.manifest_of(directory)["status"] == "interrupted"


def test_run_on_other_images_is_another_run(tiny: Making, tmp_path: Path) -> None:
    config = tiny()
    directory = training_run.run(config)
    elsewhere = replace(config, data=replace(config.data, root=str(tmp_path)), resume=True)

    def images() -> Data:
        return training_run.load_data(config, torch.device("cpu"))

    assert resumed(directory.parent, elsewhere, images) == directory
    assert resumed(directory.parent, replace(config, resume=True), images) == directory
    runs.describe(directory, data={"checksum": "of others"})
    for other in (elsewhere, replace(config, resume=True)):  # also where they have been replaced
        assert resumed(directory.parent, other, images) is None
    runs.describe(directory, data={})  # as of earlier versions
    assert resumed(directory.parent, replace(config, resume=True), images) == directory
    assert resumed(directory.parent, elsewhere, images) is None
