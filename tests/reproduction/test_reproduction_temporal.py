"""`sas reproduce temporal`: what it trains and leaves, and what is done already."""

from pathlib import Path
from typing import Any

import pytest
from conftest import composed, tables
from PIL import Image

from sascli import behaviour, reproduction, runs, theory, training
from sascli.cli import main
from sascli.config import FiguresTemporal
from sascli.reproduction import reproduce
from sascli.reproduction.temporal import Temporal
from sascli.studies import STUDIES

SMALL = "model=rnn_digits preset=smoke width=8 batches=2 test_size=60 kernel.lazy.source=digits"
SMALL += " task.epochs=2 task.snapshot_every=1 device=cpu"
MODELS = ("multisensory", "rnn_digits")


def settings(outputs: Path, *words: str) -> FiguresTemporal:
    """Less than the smoke preset."""
    config: FiguresTemporal = composed(
        "reproduce temporal", *SMALL.split(), f"outputs={outputs}", *words
    )
    return config


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run without a break."""
    return reproduce(Temporal(settings(tmp_path_factory.mktemp("temporal"))))


@pytest.mark.parametrize("preset", ["smoke", "quick", "paper"])
def test_either_task_keeps_its_settings(preset: str, tmp_path: Path) -> None:
    config = composed("reproduce temporal", "model=rnn_digits", f"preset={preset}", "seeds=[4,7]")
    points = {own.name: own.config for own in Temporal(config).points()}
    assert set(points) == {f"{model}-{rule}" for model in MODELS for rule in ("gbp", "bp")}
    for name, own in points.items():
        assert (own.rule["name"], own.seeds) == (name.rsplit("-", 1)[1], [4, 7])
    digits, task = points["rnn_digits-gbp"], points["multisensory-gbp"]
    assert (digits.model.source, digits.optim.name, digits.epochs) == (
        "digits", "adamw", config.epochs
    )  # fmt: skip
    assert (task.model.source, task.optim.name, task.epochs) == (
        "multisensory", "rmsprop", config.task.epochs
    )  # fmt: skip
    assert task.lr["rec"]["pi"] == 1 and task.snapshot_every > 0 == digits.snapshot_every


def test_tables_pictures_and_claims(directory: Path) -> None:
    made = tables(directory)
    for name in ("history", "layers", "histograms", "ensemble"):
        found = made[name][["model", "rule"]].drop_duplicates()
        assert sorted(found.itertuples(index=False, name=None)) == [
            (model, rule) for model in MODELS for rule in ("bp", "gbp")
        ]
    for name in ("perturbation", "redraw"):
        assert set(made[name]["model"]) == set(MODELS) and set(made[name]["rule"]) == {"gbp"}
    assert set(made["perturbation"]["layer"]) == {2}
    assert set(made["psychometric"]["way"]) == {"field", "sampled"}
    assert set(made["synapses"]["epoch"]) == {1, 2}
    for name in ("sigmoids", "selectivity", "trajectories", "kernel_decay", "lazy"):
        assert set(made[name]["seed"]) == {0, 1}, name
    manifest = runs.manifest_of(directory)
    assert manifest["reference"] == {"digits": "rnn_digits"}
    assert manifest["status"] == "finished" and len(made["claims"]) == 8
    pictures = {path.name for path in (directory / "pictures").iterdir()}
    study = STUDIES["temporal"]
    assert pictures == {f"{name}.{kind}" for name in study.figures for kind in ("pdf", "png")}
    for name in study.figures:
        with Image.open(directory / "pictures" / f"{name}.png") as image:
            named = "Data: digits." in image.info["Description"]
        assert named is not (name in study.imageless), name


def test_again_nothing_is_computed_twice(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def refused(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("computed twice")

    for module, name in ((training, "train"), (behaviour, "psychometric"),
                         (behaviour, "trajectories"), (theory, "kernel_tables")):  # fmt: skip
        monkeypatch.setattr(module, name, refused)
    monkeypatch.setattr(reproduction, "present", lambda own: None)

    def selectivity(*args: Any) -> dict[str, Any]:
        done.append("selectivity")
        return {"selectivity": kept["selectivity"], "responses": kept["responses"]}

    monkeypatch.setattr(behaviour, "selectivity", selectivity)
    kept = tables(directory)
    (directory / "selectivity.csv").unlink()
    assert reproduce(Temporal(settings(directory.parents[3]))) == directory
    assert done == ["selectivity"]
    assert set(tables(directory)) == set(kept)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("model=multisensory", "model must be of images in sequence"),
        ("model=digits", "model must be of images in sequence"),
        ("preset=papre", "there is no preset 'papre'; did you mean 'paper'?"),
        ("preset.samples=0", "samples must be at least 1, not 0"),
        ("preset.tolerance=-1", "tolerance must be at least 0, not -1"),
        ("preset.fractions=[0,2]", "preset.fractions must lie in [0, 1]"),
        ("psychometric.way=[smapled]", "there is no way 'smapled'; did you mean 'sampled'?"),
        ("psychometric.dt=200", "the time step must be in (0, tau = 100 ms], not 200"),
        ("psychometric.frequencies=[8]", "frequencies are from 9 to 16, not 8"),
        ("task.depth=1", "depth"),
        ("lr=[0.1,0.2]", "lr must be one number here"),
        ("kernel.widths=[100]", "widths must be at least two different widths"),
        ("kernel.shared_start=false", "lazy training has one h(0) for all samples"),
        ("selectivity.every=0.1", "every must be at least dt"),
        ("neuron.pi_max=2", "pi_max is a probability, not 2"),
    ],
)
def test_mistakes_are_told_before_any_work(
    word: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["reproduce", "temporal", *SMALL.split(), f"outputs={tmp_path}/outputs", word]
    assert main(line) == 2
    assert said in capsys.readouterr().err and not (tmp_path / "outputs").exists()
