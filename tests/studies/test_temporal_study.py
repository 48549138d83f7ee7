"""`sas reproduce temporal`: its runs and tables, resuming."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import DATA, composed, have, tables
from PIL import Image

from sascli import figures, runs
from sascli.analysis import psychometric as curves
from sascli.cli import main
from sascli.config import ReproduceTemporal, Train, population
from sascli.errors import UserError
from sascli.measure import task, theory
from sascli.measure.run import TrainedRun
from sascli.studies import base, temporal
from sascli.studies.base import reproduce
from sascli.studies.registry import STUDIES
from sascli.studies.temporal import Temporal
from sascli.training import loop

SMALL = "model=rnn_digits preset=smoke width=8 batches=2 test_size=60 kernel.lazy.source=digits"
SMALL += " task.epochs=2 task.snapshot_every=1 device=cpu"
MODELS = ("multisensory", "rnn_digits")


def settings(outputs: Path, *words: str) -> ReproduceTemporal:
    """A reduced smoke preset."""
    config: ReproduceTemporal = composed(
        "reproduce temporal", *SMALL.split(), f"outputs={outputs}", *words
    )
    return config


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of an uninterrupted study."""
    return reproduce(Temporal(settings(tmp_path_factory.mktemp("temporal"))))


@pytest.mark.parametrize("preset", ["smoke", "quick"])
def test_both_tasks_have_their_settings(preset: str, tmp_path: Path) -> None:
    config = composed("reproduce temporal", "model=rnn_digits", f"preset={preset}", "seeds=[4,7]")
    points = {point.name: point.config for point in Temporal(config).points()}
    assert set(points) == {f"{model}-{rule}" for model in MODELS for rule in ("gbp", "bp")}
    for name, point in points.items():
        assert (point.rule.name, point.seeds) == (name.rsplit("-", 1)[1], [4, 7])
        assert type(point) is Train
    digits, task = points["rnn_digits-gbp"], points["multisensory-gbp"]
    assert (digits.model.source, digits.optim.name, digits.epochs) == (
        "digits", "adamw", config.epochs
    )  # fmt: skip
    assert (task.model.source, task.optim.name, task.epochs) == (
        "multisensory", "rmsprop", config.task.epochs
    )  # fmt: skip
    assert task.lr["rec"]["pi"] == 1 and task.snapshot_every > 0 and digits.snapshot_every > 0
    assert (task.stop_loss, task.optim.eps_inside) == (0.002, True)


@pytest.mark.mnist
def test_paper_preset_is_the_published_protocol() -> None:
    have(DATA / "MNIST" / "raw" / "t10k-labels-idx1-ubyte")
    words = ["preset=paper", f"data.root={DATA}"]
    study = Temporal(composed("reproduce temporal", *words))
    points = {point.name: point.config for point in study.points()}
    assert set(points) == {
        "rnn_rows-gbp", "rnn_rows-bp", "multisensory-gbp", "multisensory-bp", "rnn_pixels-gbp"
    }  # fmt: skip
    rows, task, pixels = (points[f"{name}-gbp"]
                          for name in ("rnn_rows", "multisensory", "rnn_pixels"))  # fmt: skip
    assert (rows.epochs, rows.seeds) == (200, [0, 1, 2, 3, 4])
    assert (task.epochs, task.seeds, task.stop_loss) == (500, list(range(10)), 0.002)
    assert pixels.epochs >= 20 and pixels.seeds == [0, 1] and pixels.model.n_in == 1
    assert pixels.optim.name == "adamw" and pixels.checkpoint_every == 1
    alone = composed("train", "model=rnn_pixels", f"data.root={DATA}")
    for key in ("model", "optim", "init", "batches", "batch_size", "width"):
        assert getattr(pixels, key) == getattr(alone, key), key
    first, second = population(pixels)[0], population(alone)[0]
    assert (first.lr, first.decay) == (second.lr, second.decay)
    assert study.reference == {"digits": "rnn_rows", "pixels": "rnn_pixels"}


def test_rate_of_a_task_leaves_the_rates_of_its_layers() -> None:
    before = composed("reproduce temporal")
    config = composed("reproduce temporal", "task.lr=0.02", "task.decay=0.5", "pixels.lr=0.03")
    assert config.task.lr == before.task.lr | {"default": 0.02}
    assert before.task.lr["rec"]["pi"] == 1
    assert config.task.decay == before.task.decay | {"default": 0.5}
    assert config.pixels.lr["default"] == 0.03


def test_every_model_has_its_images(tmp_path: Path) -> None:
    words = ["pixels.epochs=1", "pixels.model.source=digits", "train_size=300"]
    study = Temporal(settings(tmp_path, *words, "pixels.train_size=100"))
    assert [model.train_size for model in study.models[::2]] == [300, 100]
    with pytest.raises(UserError, match="train_size=9999 must be between 1 and 1297"):
        Temporal(settings(tmp_path, *words, "pixels.train_size=9999"))


@pytest.mark.slow
def test_every_model_has_its_seeds(directory: Path, tmp_path: Path) -> None:
    words = ["task.seeds=3", "pixels.epochs=1", "pixels.seeds=[5]", "pixels.model.source=digits"]
    words += ["pixels.batches=2", "pixels.width=8", "pixels.test_size=60", "pixels.batch_size=20"]
    study = Temporal(settings(tmp_path, *words))
    assert [model.seeds for model in study.models] == [[0, 1], [0, 1, 2], [5]]
    study.train(tmp_path)
    history = tables(tmp_path)["history"]
    assert history.groupby("model")["seed"].nunique().to_dict() == {
        "multisensory": 3, "rnn_digits": 2, "rnn_pixels": 1
    }  # fmt: skip
    assert set(history[history["model"] == "rnn_pixels"]["rule"]) == {"gbp"}
    assert Temporal(settings(tmp_path)).reference == {"digits": "rnn_digits"}


@pytest.mark.slow
def test_tables_pictures_and_claims(directory: Path) -> None:
    made = tables(directory)
    for name in ("history", "layers", "histograms", "ensemble"):
        pairs = made[name][["model", "rule"]].drop_duplicates()
        assert sorted(pairs.itertuples(index=False, name=None)) == [
            (model, rule) for model in MODELS for rule in ("bp", "gbp")
        ]
    for name in ("perturbation", "redraw", "entropy_epochs"):
        assert set(made[name]["model"]) == set(MODELS) and set(made[name]["rule"]) == {"gbp"}
    removed = made["perturbation"]
    assert set(removed["layer"]) == {2}
    ways = removed.groupby("criterion")["way"].unique().apply(list).to_dict()
    assert ways == {"ours": ["sampled"], "published": ["field"]}
    assert set(removed["kind"]) == {
        "vip_off", "random_off", "other_off", "paired_off", "matched_off"
    }  # fmt: skip
    redraw = made["redraw"].groupby("model")[["dt", "field_accuracy"]].max()
    assert redraw.loc["multisensory", "dt"] == 20 and np.isnan(redraw.loc["rnn_digits", "dt"])
    assert redraw["field_accuracy"].between(0, 1).all()
    last = made["history"].query("rule == 'gbp' and model == 'rnn_digits' and epoch == 1")
    accuracies = made["redraw"].query("model == 'rnn_digits'").groupby("seed")["field_accuracy"]
    assert accuracies.unique().map(list).tolist() == [[value] for value in last["test_accuracy"]]
    assert set(made["psychometric"]["way"]) == {"field", "sampled"}
    assert set(made["synapses"]["epoch"]) == {0, 1, 2}
    epochs = made["entropy_epochs"].groupby("model")["epoch"].unique().map(sorted).to_dict()
    assert epochs == {"multisensory": [0, 1, 2], "rnn_digits": [0, 1]}
    assert set(made["selectivity"]["network"]) == {"trained", "untrained"}
    for name in ("sigmoids", "selectivity", "trajectories", "kernel_decay", "lazy"):
        assert set(made[name]["seed"]) == {0, 1}, name
    manifest = runs.manifest_of(directory)
    assert manifest["reference"] == {"digits": "rnn_digits"}
    assert manifest["status"] == "finished" and len(made["claims"]) == 12
    assert not list(directory.rglob("pieces"))
    pictures = {path.name for path in (directory / "pictures").iterdir()}
    study = STUDIES["temporal"]
    assert pictures == {f"{name}.{kind}" for name in study.figures for kind in ("pdf", "png")}
    for name in study.figures:
        with Image.open(directory / "pictures" / f"{name}.png") as image:
            named = "Data: digits." in image.info["Description"]
        assert named is figures.picture(name).on_images, name


@pytest.mark.slow
def test_untrained_network_is_the_start_of_training(directory: Path) -> None:
    run = TrainedRun(directory / "runs" / "multisensory-gbp", torch.device("cpu"))
    assert torch.equal(run.untrained.all, run.snapshots[0].all)
    snapshot = run.directory / "weights-0000.safetensors"
    snapshot.rename(snapshot.with_suffix(".aside"))
    try:  # as in runs of earlier versions: drawn again
        drawn = TrainedRun(run.directory, run.device).untrained
    finally:
        snapshot.with_suffix(".aside").rename(snapshot)
    assert torch.equal(drawn.all, run.untrained.all)
    assert not torch.equal(drawn.all, run.network.all)


@pytest.mark.slow
def test_finished_study_is_not_computed_again(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def refused(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("computed twice")

    for module, name in (
        (loop, "train"), (curves, "choices_of"), (temporal, "entropies"), (task, "trajectories"),
        (theory, "kernel_tables"), (theory, "lazy_table"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, refused)
    monkeypatch.setattr(base, "present", lambda *_: None)

    def selectivity(*args: Any) -> dict[str, Any]:
        done.append("selectivity")
        return {"selectivity": before["selectivity"], "responses": before["responses"]}

    monkeypatch.setattr(task, "selectivity", selectivity)
    before = tables(directory)
    (directory / "selectivity.csv").unlink()
    assert reproduce(Temporal(settings(directory.parents[3]))) == directory
    assert done == ["selectivity"]
    assert set(tables(directory)) == set(before)


@pytest.mark.slow
def test_interrupted_measurements_resume_with_the_same_tables(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at every third piece: none is measured twice, the tables stay the same."""
    broken = tmp_path / "reproduce/temporal/rnn_digits-smoke/v001"
    shutil.copytree(directory, broken)
    names, whole = ("perturbation", "redraw"), ("psychometric", "sigmoids", "lazy")
    for run in (broken / "runs").glob("*-gbp"):
        for name in names:
            (run / f"{name}.csv").unlink()
    for name in (*names, *whole):
        (broken / f"{name}.csv").unlink()
    monkeypatch.setattr(base, "present", lambda *_: None)
    write, written = runs.write_table, []

    def killed(path: Path, *rest: Any) -> None:
        write(path, *rest)
        if path.parent.parent.name == "pieces":
            written.append(path)
            if len(written) % 3 == 0:
                raise KeyboardInterrupt

    monkeypatch.setattr(runs, "write_table", killed)
    kills = 0
    while True:
        try:
            reproduce(Temporal(settings(tmp_path)))
            break
        except KeyboardInterrupt:
            kills += 1
    assert kills == len(written) // 3 > 5
    assert len({*written}) == len(written) == 2 * (8 + 4) + 4 + 2
    first, second = tables(directory), tables(broken)
    for name in (*names, *whole):
        pd.testing.assert_frame_equal(first[name], second[name], check_exact=True, obj=name)
    assert not list(broken.rglob("pieces"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("model=multisensory", "model must be of images in sequence"),
        ("model=digits", "model must be of images in sequence"),
        ("preset=papre", "'papre'; did you mean 'paper'?"),
        ("preset.samples=0", "samples must be at least 1, not 0"),
        ("preset.tolerance=-1", "tolerance must be at least 0, not -1"),
        ("preset.fractions=[0,2]", "preset.fractions must lie in [0, 1]"),
        ("psychometric.way=[smapled]", "way 'smapled'; did you mean 'sampled'?"),
        ("psychometric.dt=200", "the time step must be in (0, tau = 100 ms], not 200"),
        ("psychometric.frequencies=[8]", "frequencies are from 9 to 16, not 8"),
        ("task.depth=1", "depth"),
        ("lr=[0.1,0.2]", "lr must be one number here"),
        ("kernel.widths=[100]", "widths must be at least two different widths"),
        ("kernel.shared_start=false", "lazy training has one h(0) for all samples"),
        ("selectivity.every=0.1", "every must be at least dt"),
        ("neuron.pi_max=2", "neuron.pi_max must lie in [0, 1], not 2.0"),
        ("task.seeds=many", "seeds must be a number of seeds or a list of them"),
        ("preset.trials=0", "trials must be at least 1, not 0"),
    ],
)
def test_invalid_settings_are_refused_before_any_work(
    word: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["reproduce", "temporal", *SMALL.split(), f"outputs={tmp_path}/outputs", word]
    assert main(line) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "outputs").exists()
