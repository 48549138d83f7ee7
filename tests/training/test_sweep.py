"""Sweeps: points, resumption, and the tables gathered from them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import Making, assert_same_tables, composed, tables

from sascli import runs
from sascli.cli import main
from sascli.errors import UserError
from sascli.training import loop, sweep
from sascli.training.population import Population, Trained
from sascli.training.signals import Stopped

LINE = "depth=[3,4] train_size=[60,100] seeds=[3,7] width=6 test_size=50 epochs=3 batch_size=30"
LINE = f"{LINE} eval.samples=3 threads=1"


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the points that are trained."""
    names: list[str] = []
    train = loop.train

    def counted(population: Population, *rest: Any) -> Trained:
        names.append(population.run.name)
        return train(population, *rest)

    monkeypatch.setattr(loop, "train", counted)
    return names


def small_sweep(tmp_path: Path, *words: str) -> Path:
    """A small sweep of gBP."""
    config = composed("sweep-datasize", *LINE.split(), f"outputs={tmp_path}/outputs", *words)
    return sweep.sweep_datasize(config)


# ---------------------------------------------------------------- points


def test_point_is_named_by_its_settings(tiny: Making) -> None:
    point = sweep.point(tiny(resume=True, name="x"), depth=5, train_size=30)
    config = point.config
    assert point.name == config.name == "gbp-L5-T30-lr0.05"
    assert (config.depth, config.train_size, config.resume) == (5, 30, False)
    assert point.key == {"rule": "gbp", "depth": 5, "train_size": 30, "point": point.name}
    assert sweep.point(tiny(), lr={"default": [0.1, 0.2]}).name == "gbp-L4-T120-search"


def test_work_grows_with_images_epochs_replicas_and_gbp(tiny: Making) -> None:
    work = sweep.point(tiny()).work
    for change in ({"epochs": 8}, {"replicas": 2}, {"train_size": 999}, {"depth": 9}):
        assert sweep.point(tiny(), **change).work > work
    assert sweep.point(tiny(rule={"name": "bp"})).work < work


# ---------------------------------------------------------------- tables


def test_gathered_tables_begin_with_their_keys(tiny: Making, tmp_path: Path) -> None:
    points = [sweep.point(tiny(), depth=depth) for depth in (3, 4)]
    for point in points:
        (tmp_path / point.name).mkdir()
        table = pd.DataFrame({"seed": [0, 1], "x": [0.1, point.config.depth]})
        runs.write_table(tmp_path / point.name / "table.csv", table)
    gathered = sweep.gather("table", points, tmp_path)
    assert list(gathered) == ["rule", "depth", "train_size", "point", "seed", "x"]
    assert list(gathered["depth"]) == [3, 3, 4, 4] and list(gathered["x"]) == [0.1, 3, 0.1, 4]
    assert list(gathered["point"]) == [point.name for point in points for _ in range(2)]
    with pytest.raises(UserError, match="there is no table .*other.csv"):
        sweep.gather("other", points, tmp_path)
    with pytest.raises(UserError, match="no points"):
        sweep.gather("table", [], tmp_path)


def test_datasize_has_the_last_epoch_and_sampled_networks() -> None:
    key = {"rule": "gbp", "depth": 4}
    history = [
        {**key, "train_size": size, "seed": seed, "epoch": epoch,
         "test_accuracy": epoch / 10 + seed / 100}
        for size, last in ((10, 2), (20, 3)) for seed in (0, 5) for epoch in range(1, last + 1)
    ]  # fmt: skip
    ensemble = [
        {**key, "train_size": size, "seed": seed, "sample": sample,
         "test_error": size / 100 + 0.1 * sample}
        for size in (10, 20) for seed in (0, 5) for sample in (0, 1)
    ]  # fmt: skip
    table = sweep.datasize(pd.DataFrame(history), pd.DataFrame(ensemble))
    assert list(table["train_size"]) == [10, 10, 20, 20] and list(table["seed"]) == [0, 5] * 2
    assert table["test_error"].tolist() == pytest.approx([0.8, 0.75, 0.7, 0.65])
    assert table["sampled_error_mean"].tolist() == pytest.approx([0.15, 0.15, 0.25, 0.25])
    assert table["sampled_error_std"].tolist() == pytest.approx([0.1 / 2**0.5] * 4)


# ---------------------------------------------------------------- sas sweep-datasize


def test_sweep_trains_every_depth_size_and_seed(tmp_path: Path, trained: list[str]) -> None:
    directory = small_sweep(tmp_path)
    assert directory == tmp_path / "outputs/sweep-datasize/digits-gbp/v001"
    assert trained == [f"gbp-L{depth}-T{size}-lr0.05" for depth in (3, 4) for size in (60, 100)]
    made = tables(directory)
    columns = ["depth", "train_size", "seed", "test_error"]
    columns += ["sampled_error_mean", "sampled_error_std"]
    assert list(made["datasize"]) == ["rule", *columns]
    points = [(d, t, s) for d in (3, 4) for t in (60, 100) for s in (3, 7)]
    assert [*made["datasize"][columns[:3]].itertuples(index=False, name=None)] == points
    assert len(made["datasize_layers"]) == 2 * 2 * (2 + 3)
    run = tables(directory / "runs" / trained[0])
    rows = made["datasize"].query("depth == 3 and train_size == 60")
    last = run["history"].query("epoch == 3")
    assert rows["test_error"].tolist() == (1 - last["test_accuracy"]).tolist()
    by_seed = run["ensemble"].groupby("seed")["test_error"]
    assert rows["sampled_error_mean"].tolist() == by_seed.mean().tolist()
    assert rows["sampled_error_std"].tolist() == by_seed.std().tolist()
    manifest = runs.manifest_of(directory)
    assert manifest["status"] == "finished" and manifest["seeds"] == [3, 7]
    assert runs.read_json(directory / "config.json")["train_size"] == [60, 100]


@pytest.mark.slow
def test_stopped_sweep_trains_only_unfinished_points(
    tmp_path: Path, trained: list[str], monkeypatch: pytest.MonkeyPatch,
    signal_in: Callable[..., None], capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    three = ["depth=[5,4,3]", "train_size=60"]
    unbroken = small_sweep(tmp_path, *three)
    names = trained[:]
    trained.clear()
    signal_in(2)
    with pytest.raises(Stopped):
        small_sweep(tmp_path, *three)
    broken = unbroken.parent / "v002"
    assert trained == names[:1] and runs.manifest_of(broken)["status"] == "interrupted"
    assert "stopped; resume with the same command and resume=true\n" in capsys.readouterr().out

    write = sweep.write_gathered

    def fail(points: Sequence[sweep.Point], *directories: Path) -> None:
        write(points, *directories)
        if len(points) == 2:
            raise UserError("no more")

    trained.clear()
    with monkeypatch.context() as patch:
        patch.setattr(sweep, "write_gathered", fail)
        with pytest.raises(UserError, match="no more"):
            small_sweep(tmp_path, *three, "resume=true")
    assert trained == names[:2] and runs.manifest_of(broken)["status"] == "failed"
    assert list(tables(broken)["datasize"]["depth"]) == [5, 5, 4, 4]  # as each is finished

    trained.clear()
    assert small_sweep(tmp_path, *three, "resume=true") == broken and trained == names[2:]
    assert_same_tables(unbroken, broken)
    runs.describe(unbroken, status="interrupted")
    trained.clear()
    assert small_sweep(tmp_path, *three, "resume=true") == unbroken and not trained


def test_repeated_size_is_one_point(tmp_path: Path, trained: list[str]) -> None:
    small_sweep(tmp_path, "depth=3", "train_size=[1297,all,1297]", "epochs=1", "seeds=1")
    assert trained == ["gbp-L3-T1297-lr0.05"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("train_size=[60,1298]", "train_size=1298, but there are 1297 training images"),
        ("depth=[3,1]", "depth must be a whole number >= 2, not [3, 1]"),
        ("depth=[3,4] width=[6,6]", "width lists 2 hidden layers, but depth=3 has 1"),
        (
            "train_size=[60,few]",
            "train_size must be a whole number >= 1 or 'all', not [60, 'few']",
        ),
        ("depth=[]", "depth needs at least one value"),
        ("train_size=[]", "train_size needs at least one value"),
        ("lr=[0.1,0.2]", "lr must be one number here; `sas train` takes a list"),
        ("seeds=0", "seeds must be a number of seeds or a list of them"),
    ],
)
def test_invalid_point_raises_an_error_before_any_training(
    words: str,
    message: str,
    tmp_path: Path,
    trained: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = ["sweep-datasize", *LINE.split(), f"outputs={tmp_path}/outputs", *words.split()]
    assert main(line) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not trained and not (tmp_path / "outputs").exists()


def test_sweep_on_held_out_images(tmp_path: Path) -> None:
    settings = ["data.split=validation", "depth=3", "train_size=60", "epochs=1"]
    directory = small_sweep(tmp_path, *settings)
    (run,) = (directory / "runs").iterdir()
    assert runs.read_json(run / "config.json")["data"]["split"] == "validation"
