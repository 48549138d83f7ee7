"""Out of memory: a population is split in halves, and the run ends like an undivided one."""

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from conftest import Making, tables
from safetensors.torch import load_file

from sascli import runs
from sascli.config import Train
from sascli.data import Data
from sascli.errors import UserError
from sascli.rules.base import Rule
from sascli.training import loop
from sascli.training import run as training_run
from sascli.training.checkpoint import load_state
from sascli.training.population import Log
from sascli.training.progress import Part, Progress
from sascli.training.signals import Stopped
from sascli.training.split import join_logs

RATES = {"lr": {"default": [0.05, 0.02], "pi": 0.1}, "decay": [0.0, 1e-2]}
RULES: dict[str, dict[str, Any]] = {
    "gbp": {},
    "bp": {},
    "copi": {},
    "bp_decor": {"adam": True},
}
Room = Callable[..., list[tuple[int, int]]]


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Room:
    """`room(2, 3)`: from epoch 3 on memory holds two replicas.

    Returns the trained epochs, pairs of the number of replicas and the epoch. Asserts that only
    one rule is alive at a time.
    """
    one_epoch = loop.one_epoch

    def arrange(replicas: int, epoch: int = 1) -> list[tuple[int, int]]:
        seen: list[tuple[int, int]] = []
        alive: weakref.WeakSet[Rule] = weakref.WeakSet()

        def limited(data: Data, rule: Rule, now: int, *rest: Any) -> list[float]:
            alive.add(rule)
            assert len(alive) == 1
            count = len(rule.setup.seeds)
            if now >= epoch and count > replicas:
                raise torch.OutOfMemoryError("CUDA out of memory")
            seen.append((count, now))
            return one_epoch(data, rule, now, *rest)

        monkeypatch.setattr(loop, "one_epoch", limited)
        return seen

    return arrange


def population(tiny: Making, rule: str = "gbp", **changes: Any) -> Train:
    """Settings in double precision, by default of five replicas."""
    several = {"replicas": 5, "precision": "float64", "device": "cpu"}
    settings = {"name": rule, **RULES[rule]}
    return tiny(rule=settings, **(several | changes))


def assert_close(one: Path, other: Path) -> None:
    """Both runs have the same files and rows, and the same numbers to 1e-6."""
    assert {path.name for path in one.iterdir()} == {path.name for path in other.iterdir()}
    first, second = tables(one), tables(other)
    for name, table in first.items():
        pd.testing.assert_frame_equal(table, second[name], rtol=1e-6, atol=1e-9, obj=name)
    for path in one.glob("*.safetensors"):
        left, right = load_file(path), load_file(other / path.name)
        assert left.keys() == right.keys()
        for name, value in left.items():
            torch.testing.assert_close(value, right[name], rtol=1e-6, atol=1e-6)


# ---------------------------------------------------------------- results


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "changes", "since"),
    [
        ("gbp", {"snapshot_every": 1}, 1),
        ("gbp", {"replicas": 2} | RATES, 4),
        ("bp", {"replicas": 2} | RATES, 1),
        ("copi", {"lr": 1e-4}, 4),
        ("bp_decor", {"lr": 1e-4, "checkpoint_every": 1}, 4),
    ],
    ids=["gbp", "gbp, rates", "bp, rates", "copi", "bp_decor"],
)
def test_split_run_equals_an_undivided_one(
    rule: str, changes: dict[str, Any], since: int, tiny: Making, room: Room
) -> None:
    config = population(tiny, rule, epochs=5, **changes)
    undivided = training_run.run(config)
    replicas = len(runs.manifest_of(undivided)["seeds"])
    seen = room(2, since)
    split = training_run.run(config)
    before = {1: 0, 4: 3 if config.checkpoint_every == 1 else 2}[since]
    assert seen[: since - 1] == [(replicas, epoch) for epoch in range(1, since)]
    assert min(epoch for _, epoch in seen[since - 1 :]) == before + 1
    last = [count for count, epoch in seen if epoch == 5]
    assert sorted(last) == ([2] * 4 if replicas == 8 else [1, 2, 2])
    assert_close(undivided, split)


def test_joined_checkpoint_resumes_like_an_undivided_one(tiny: Making, room: Room) -> None:
    config = population(tiny, replicas=1, **RATES)
    undivided = training_run.run(config)
    room(1, 3)
    split = training_run.run(config)
    room(8)
    for directory in (undivided, split):
        training_run.run(population(tiny, replicas=1, epochs=6, resume=str(directory), **RATES))
    assert_close(undivided, split)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
    ids=["torch", "cuBLAS"],
)
def test_final_measurement_out_of_memory_is_split(
    error: RuntimeError, tiny: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = population(tiny)
    undivided, measure = training_run.run(config), loop.ensemble

    def limited(network: Any, seeds: list[int], *rest: Any) -> pd.DataFrame:
        if len(seeds) > 3:
            raise error
        return measure(network, seeds, *rest)

    monkeypatch.setattr(loop, "ensemble", limited)
    assert_close(undivided, training_run.run(config))


# ---------------------------------------------------------------- reports


@pytest.mark.slow
def test_split_is_reported_on_the_screen_and_in_the_manifest(
    tiny: Making, room: Room, capsys: pytest.CaptureFixture[str]
) -> None:
    undivided = runs.manifest_of(training_run.run(population(tiny)))
    assert undivided["warnings"] == []
    room(2)
    manifest = runs.manifest_of(training_run.run(population(tiny)))
    assert manifest["warnings"] == [
        f"{who} do not fit into the memory of cpu: trained by halves"
        for who in ("replicas 0 to 4", "replicas 2 to 4")
    ]
    out = capsys.readouterr().out
    assert all(f"warning: {text}\n" in out for text in manifest["warnings"])
    for entries, together in ((undivided, 5), (manifest, 2)):
        peak = entries["peak_memory"]
        assert peak["measure"] == "ru_maxrss of the process"
        assert peak["bytes_per_replica"] == peak["bytes"] // together > 2**20


@pytest.mark.slow
def test_split_run_counts_every_epoch_once(tiny: Making, room: Room) -> None:
    room(2, 3)
    progress = Progress(10, "two runs")
    part = Part(progress, "first", 5 / 4)
    directory = runs.claim(Path(tiny().outputs) / "run")
    training_run.run(population(tiny), directory, part)
    assert part.done == pytest.approx(4) and progress.done == pytest.approx(5)


@pytest.mark.slow
def test_joined_epoch_takes_as_long_as_both_halves() -> None:
    before = [[r, 7 + r, 1, 0.6, 0.8, None, 1.0] for r in (0, 1, 2)]
    first = [[0, 7, 2, 0.5, 0.9, None, 2.0], [0, 7, 3, 0.4, 0.9, 0.8, 3.0]]
    second = [[r, 7 + r, e, 0.5, 0.9, None, 2.0 * e] for e in (2, 3) for r in (1, 2)]
    halves = [Log([None], 3, rows) for rows in (first, second)]
    rows = join_logs(Log([None], 1, before), halves).history
    assert [(row[2], row[0]) for row in rows] == [(e, r) for e in (1, 2, 3) for r in (0, 1, 2)]
    assert [row[-1] for row in rows] == [1.0] * 3 + [6.0] * 3 + [9.0] * 3
    assert rows[6][3:6] == [0.4, 0.9, 0.8]
    assert join_logs(Log([None], 3, rows), halves).history == rows


@pytest.mark.slow
def test_joined_metrics_are_in_order() -> None:
    rows = [[[r, r, e, layer, "x", 0.5] for e in (1, 2) for layer in (1, 2)] for r in (0, 1)]
    halves = [Log([None], 2, metrics=half) for half in rows]
    metrics = join_logs(None, halves).metrics
    assert [(row[2], row[3], row[0]) for row in metrics] == [
        (e, layer, r) for e in (1, 2) for layer in (1, 2) for r in (0, 1)
    ]
    assert join_logs(Log([None], 2, metrics=metrics), halves).metrics == metrics


# ---------------------------------------------------------------- stopped and resumed


@pytest.mark.slow
def test_stopped_split_run_resumes(
    tiny: Making, room: Room, signal_in: Callable[..., None]
) -> None:
    config = population(tiny, replicas=4)
    undivided = training_run.run(config)
    seen = room(2)
    signal_in(3)
    with pytest.raises(Stopped):
        training_run.run(config)
    assert seen == [(2, 1), (2, 2), (2, 3)]
    split = Path(config.outputs) / "train/digits-gbp-L4-T120/v002"
    assert runs.manifest_of(split)["status"] == "interrupted"
    seen = room(8)  # there may be room again: what is begun is ended by halves
    assert training_run.run(population(tiny, replicas=4, resume=True)) == split
    assert seen == [(2, 4), (2, 1), (2, 2), (2, 3), (2, 4)]
    assert_close(undivided, split)
    assert len(runs.manifest_of(split)["warnings"]) == 1


@pytest.mark.slow
def test_kill_before_the_second_half_loses_nothing(
    tiny: Making, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sascli.training import split

    config = population(tiny, replicas=4)
    undivided, save_state = training_run.run(config), split.checkpoint.save_state

    def killed(directory: Path, *rest: Any) -> None:
        if directory.name == "2":
            raise KeyboardInterrupt
        save_state(directory, *rest)

    room(2, 3)
    monkeypatch.setattr(split.checkpoint, "save_state", killed)
    with pytest.raises(KeyboardInterrupt):
        training_run.run(config)
    monkeypatch.setattr(split.checkpoint, "save_state", save_state)
    split = training_run.run(population(tiny, replicas=4, resume=True))
    assert split.name == "v002"
    assert_close(undivided, split)


@pytest.mark.slow
def test_kill_while_halves_are_removed_is_repaired(
    tiny: Making, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sascli.training import split

    config = population(tiny, replicas=4)
    undivided, replace = training_run.run(config), split.os.replace

    def killed(source: Path, target: Path) -> None:
        if Path(source).name == split.PARTS:
            raise KeyboardInterrupt
        replace(source, target)

    room(2)
    monkeypatch.setattr(split.os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        training_run.run(config)
    monkeypatch.setattr(split.os, "replace", replace)
    split = training_run.run(population(tiny, replicas=4, resume=True))
    assert_close(undivided, split)


@pytest.mark.slow
def test_single_replica_out_of_memory_raises_an_error(tiny: Making, room: Room) -> None:
    config = population(tiny, replicas=2)
    room(0, 3)
    with pytest.raises(UserError, match="a single replica does not fit .* of cpu: lower batch_"):
        training_run.run(config)
    (directory,) = Path(config.outputs).glob("train/*/*")
    assert runs.manifest_of(directory)["status"] == "failed"
    state = load_state(directory, "cpu")
    assert state is not None and state["epoch"] == 2
    room(1)
    training_run.run(population(tiny, replicas=2, resume=True))
    room(2)
    assert_close(directory, training_run.run(config))
