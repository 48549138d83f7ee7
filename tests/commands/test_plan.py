"""`sas plan`: the runs, steps, time and disk of a command, without training it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Making, composed

from sascli import runs
from sascli.cli import main
from sascli.commands.plan import points_and_finished
from sascli.config import SweepDatasize, Train
from sascli.continual import images_of, populations
from sascli.rules.copi import COPI
from sascli.training import estimate, loop
from sascli.training import run as training_run
from sascli.training.estimate import Estimator
from sascli.training.sweep import Point, sweep_datasize, train_points

SMALL = ["width=8", "train_size=120", "test_size=60", "batch_size=50", "epochs=4", "device=cpu"]


@pytest.mark.parametrize(
    ("words", "rows", "total"),
    [
        (["train"], ["digits-gbp-L4-T120 1 1 12"], "1 of 1 runs, 12 steps"),
        (["train", "batches=2", "replicas=3"], ["digits-gbp-L4-T120 1 3 8"], "8 steps"),
        (["train", "-m", "depth=3,4"], ["job 0: digits-gbp-L3-T120 1 1 12"], "24 steps"),
        (
            ["sweep-datasize", "depth=[3,4]", "train_size=[50,120]", "seeds=2"],
            ["gbp-L3-T50-lr0.05 1 2 4", "gbp-L4-T120-lr0.05 1 2 12"],
            "4 of 4 runs, 32 steps",
        ),
    ],
)
def test_plan_shows_runs_and_steps(
    words: list[str], rows: list[str], total: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(loop, "train", None)  # nothing trains
    command, *settings = words
    small = [word for word in SMALL if word.partition("=")[0] + "=" not in " ".join(settings)]
    assert main(["plan", command, *small, *settings, f"outputs={tmp_path}/outputs"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert all(f"{row} " in out for row in rows)
    assert f"{total}, about" in out or f", {total}, about" in out
    assert "Time is measured now, by a few real steps" in out
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize("words", [[], ["entropy"], ["plan"], ["runs"]])
def test_only_commands_that_train_are_planned(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", *words]) == 2
    assert "sas plan needs a command that trains" in capsys.readouterr().err


def test_plan_refuses_what_the_command_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "train", "replicas=1000000000"]) == 2
    assert "1000000000 replicas would take at least" in capsys.readouterr().err
    assert main(["plan", "train", "dept=3"]) == 2
    assert "did you mean 'depth'" in capsys.readouterr().err
    assert main(["plan", "train", "train_size=5000"]) == 2
    assert "train_size=5000 must be between 1 and 1297" in capsys.readouterr().err
    assert main(["plan", "train", "model=digits_conv", "rule=copi"]) == 2
    assert "rule=copi cannot train a convolutional network" in capsys.readouterr().err


def test_steps_are_measured_when_all_parameters_learn(
    tiny: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs, start = list[int](), COPI.start_epoch

    def noted(rule: COPI, epoch: int) -> None:
        epochs.append(epoch)
        start(rule, epoch)

    monkeypatch.setattr(COPI, "start_epoch", noted)
    Estimator().estimate(tiny(rule={"name": "copi"}))
    assert epochs == [2]


def test_workers_have_finished_what_another_has(tmp_path: Path) -> None:
    sweep_datasize(words(f"outputs={tmp_path}"))
    assert points_and_finished("sweep-datasize", words(f"outputs={tmp_path}"))[1] == set()
    assert points_and_finished("sweep-datasize", words(f"outputs={tmp_path}", "worker=2"))[1]


def test_disk_of_a_run_is_estimated(tiny: Making) -> None:
    config = tiny(width=60, replicas=5, snapshot_every=2, threads=None)
    directory = training_run.run(config)
    size = sum(path.stat().st_size for path in directory.iterdir())
    expected = Estimator().estimate(config)
    assert expected.steps == 12
    assert expected.bytes == pytest.approx(size, rel=0.05)
    every = Estimator().estimate(replace(config, snapshot_every=0))
    weights = (directory / runs.WEIGHTS).stat().st_size
    assert expected.bytes - every.bytes == 3 * weights


def test_shapes_are_measured_once(tiny: Making, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = []
    costs = estimate.Costs(1.0, 0.1, 0.2, 3.0, 10, 20)
    monkeypatch.setattr(estimate, "measure", lambda *_: measured.append(1) or costs)  # type: ignore[func-returns-value]
    estimator = Estimator()
    first = estimator.estimate(tiny())  # 4 epochs of 3 steps, tests every 2, 2 checkpoints
    assert first.seconds == pytest.approx(4 * (3 * 1.0 + 1.5 * 0.2 + 0.1) + 2 * 3.0 + 2 * 0.2)
    assert first.bytes == 20 + 10 + estimate.TABLES + estimate.ROW * 4
    second = estimator.estimate(tiny(seed=3, epochs=8, train_size=100, name="x"))
    assert second.seconds == pytest.approx(8 * (2 * 1.0 + 1.5 * 0.2 + 0.1) + 4 * 3.0 + 2 * 0.2)
    assert len(measured) == 1
    estimator.estimate(tiny(width=9))
    estimator.estimate(tiny(replicas=2))
    assert len(measured) == 3


def words(*more: str) -> Any:
    """The settings of a small sweep."""
    sizes = ["depth=[3,4]", "train_size=60", "seeds=1", "eval.samples=1"]
    small = [word for word in SMALL if not word.startswith("train_size")]
    return composed("sweep-datasize", *small, *sizes, *more)


def test_finished_points_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config: SweepDatasize = words(f"outputs={tmp_path}", "resume=true")
    points, done = points_and_finished("sweep-datasize", config)
    assert len(points) == 2 and not done

    def stopped(points: list[Point], *rest: Any, **settings: Any) -> None:
        train_points(points[:1], *rest, **settings)
        raise KeyboardInterrupt

    monkeypatch.setattr("sascli.training.sweep.train_points", stopped)
    with pytest.raises(KeyboardInterrupt):
        sweep_datasize(config)
    monkeypatch.undo()
    points, done = points_and_finished("sweep-datasize", config)
    assert done == {points[0].name}
    sweep_datasize(config)
    points, done = points_and_finished("sweep-datasize", config)
    assert done == {point.name for point in points}
    fresh = words(f"outputs={tmp_path}")
    assert points_and_finished("sweep-datasize", fresh)[1] == set()


def test_finished_run_that_would_be_resumed_is_left_out(tiny: Making) -> None:
    config: Train = tiny(epochs=1)
    training_run.run(config)
    assert not points_and_finished("train", config)[1]
    assert points_and_finished("train", replace(config, resume=True))[1]


def test_tasks_in_sequence_are_planned_by_method(tmp_path: Path) -> None:
    config = composed("continual", "methods=[bp,ewc]", "tasks=2", "lr=[0.1,0.2]", "seeds=4")
    points = populations(config, images_of(config)[0])
    assert [point.group for point in points] == [
        "split bp", "split bp search", "split bp search",
        "split ewc", "split ewc search", "split ewc search",
    ]  # fmt: skip
    assert [len(point.config.seeds or []) for point in points] == [4, 1, 1, 4, 7, 7]
    assert {point.config.epochs for point in points} == {2 * config.epochs}
    assert not any(point.saved for point in points)


@pytest.mark.parametrize(
    ("study", "group", "count", "steps"),
    [
        ("credit", "bp-L4-T648-search", 13, 657),
        ("atlas", "gbp-optim.name=sgd-search10.0", 40, 2661),
        ("copi", "bp-adam-best", 42, 844),
        ("use", "permuted certainty search", 33, 939),
    ],
)
def test_plan_of_a_study(
    study: str, group: str, count: int, steps: int, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    costs = estimate.Costs(1.0, 0.0, 0.0, 0.0, 10, 20)
    monkeypatch.setattr(estimate, "measure", lambda *_: costs)
    words = ["reproduce", study, "model=digits", "preset=smoke", f"outputs={tmp_path}"]
    assert main(["plan", *words]) == 0
    out = capsys.readouterr().out
    assert f"{group} " in out and f"{count} of {count} runs, {steps} steps, about" in out
    assert f"about {steps / 60:.1f} min with" in out and not list(tmp_path.iterdir())
