"""Replicas that their loss stops: they keep their numbers while their companions learn."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from conftest import Making, assert_same_run, composed, tables
from safetensors.torch import load_file
from test_split import RATES, RULES, Room, assert_close, room

from sascli import runs
from sascli.config import Train
from sascli.errors import UserError
from sascli.training import run as training_run
from sascli.training.checkpoint import load_state
from sascli.training.loop import Frozen
from sascli.training.progress import Part, Progress
from sascli.training.signals import Stopped

__all__ = ["room"]
EPOCHS, SEEDS = 6, [3, 8, 1, 6]
TASK = "model=multisensory width=15 device=cpu threads=1 eval.samples=2 checkpoint_every=2"


def several(tiny: Making, rule: str = "gbp", **changes: Any) -> Train:
    """Settings in double precision of four seeds."""
    lr = {} if rule in ("gbp", "bp") else {"lr": 1e-4}
    settings = {"name": rule, **RULES[rule]}
    defaults = {"seeds": SEEDS, "precision": "float64", "device": "cpu", "epochs": EPOCHS} | lr
    return tiny(rule=settings, **(defaults | changes))


def last_epochs(directory: Path) -> list[int]:
    """The last epoch of each replica in history.csv."""
    history = tables(directory)["history"]
    return list(history.groupby("replica")["epoch"].max())


def unequal(config: Train, after: int = 0) -> Train:
    """The settings with a stop_loss that stops replicas in different epochs, or never."""
    history = tables(training_run.run(config))["history"]
    losses = history[history["epoch"] > after].pivot(
        index="epoch", columns="replica", values="train_loss"
    )
    ends = {}
    for loss in losses.stack() * (1 + 1e-9):
        first = (losses < loss).idxmax().where(losses.min() < loss, config.epochs + 1)
        if first.min() < config.epochs - 1:
            ends[loss] = (first.max(), first.nunique(), -first.min())
    best = max(ends, key=ends.__getitem__)
    assert ends[best][1] > 1, "the losses fall too much alike"
    return replace(config, stop_loss=best, stop_after=after)


@pytest.mark.parametrize("rule", ["gbp", "copi", "bp_decor"])
def test_stopped_replica_equals_its_run_alone(rule: str, tiny: Making) -> None:
    config = unequal(several(tiny, rule))
    directory = training_run.run(config)
    ends = runs.manifest_of(directory)["stopped"]
    assert len({*ends}) > 1
    assert [end or EPOCHS for end in ends] == last_epochs(directory)
    together = tables(directory)
    for replica, seed in enumerate(SEEDS):
        alone = training_run.run(replace(config, seeds=[seed]))
        assert runs.manifest_of(alone)["stopped"] == [ends[replica]]
        for name in ("history", "layers", "ensemble"):
            rows = together[name].query("seed == @seed").drop(columns="replica")
            expected_rows = tables(alone)[name].drop(columns="replica")
            pd.testing.assert_frame_equal(
                rows.reset_index(drop=True), expected_rows, rtol=1e-6, atol=1e-9, obj=name
            )
        one, other = (load_file(path / "weights.safetensors") for path in (directory, alone))
        for name, value in other.items():
            torch.testing.assert_close(one[name][replica], value[0], rtol=1e-6, atol=1e-6)


def test_companions_are_unaffected_by_a_stop(tiny: Making) -> None:
    free = several(tiny)
    config = unequal(free)
    one, other = (training_run.run(settings) for settings in (free, config))
    ends = runs.manifest_of(other)["stopped"]
    complete, cut = (tables(path)["history"] for path in (one, other))
    until = complete["replica"].map(dict(enumerate(ends))).fillna(EPOCHS)
    columns = ["replica", "seed", "epoch", "train_loss", "test_accuracy"]
    expected = complete[complete["epoch"] <= until]
    pd.testing.assert_frame_equal(
        expected[columns].reset_index(drop=True), cut[columns], check_exact=True
    )


@pytest.mark.slow
def test_mean_network_is_evaluated_in_the_epoch_of_the_stop(tiny: Making) -> None:
    config = unequal(several(tiny, eval=replace(tiny().eval, mean_every=100)))
    history = tables(training_run.run(config))["history"]
    last = history["epoch"] == history.groupby("replica")["epoch"].transform("max")
    assert history["test_accuracy_mean"].notna().tolist() == last.tolist()


@pytest.mark.slow
def test_snapshots_after_a_stop_contain_the_last_parameters(tiny: Making) -> None:
    directory = training_run.run(unequal(several(tiny, snapshot_every=1)))
    ends = runs.manifest_of(directory)["stopped"]
    for replica, end in enumerate(ends):
        files = [load_file(directory / f"weights-{epoch:04d}.safetensors")
                 for epoch in range(EPOCHS + 1)]  # fmt: skip
        m = [file["layers.1.m"][replica] for file in files]
        moved = [not torch.equal(*pair) for pair in pairwise(m)]
        assert moved == [epoch <= (end or EPOCHS) for epoch in range(1, EPOCHS + 1)]
        final = load_file(directory / "weights.safetensors")["layers.1.m"][replica]
        assert torch.equal(m[end or EPOCHS], final)


@pytest.mark.slow
def test_no_replica_stops_before_stop_after(tiny: Making) -> None:
    config = replace(unequal(several(tiny)), stop_after=EPOCHS - 1, stop_loss=1e9)
    assert last_epochs(training_run.run(config)) == [EPOCHS] * len(SEEDS)
    config = replace(config, stop_after=EPOCHS - 2)
    assert last_epochs(training_run.run(config)) == [EPOCHS - 1] * len(SEEDS)


@pytest.mark.slow
@pytest.mark.parametrize("epoch", [2, 4, 5])
def test_interrupted_run_resumes_bit_for_bit(
    epoch: int, tiny: Making, signal_in: Callable[..., None]
) -> None:
    config = unequal(several(tiny, checkpoint_every=3))
    unbroken = training_run.run(config)
    signal_in(epoch)
    with pytest.raises(Stopped):
        training_run.run(config)
    directory = training_run.run(replace(config, resume=True))
    assert directory != unbroken
    assert_same_run(unbroken, directory)
    assert runs.manifest_of(directory)["stopped"] == runs.manifest_of(unbroken)["stopped"]


@pytest.mark.slow
def test_more_epochs_do_not_restart_a_stopped_replica(tiny: Making) -> None:
    config = unequal(several(tiny))
    directory = training_run.run(config)
    ends, before = runs.manifest_of(directory)["stopped"], tables(directory)["history"]
    weights = load_file(directory / "weights.safetensors")
    training_run.run(replace(config, epochs=EPOCHS + 2, resume=str(directory)))
    after, more = (
        runs.manifest_of(directory)["stopped"],
        load_file(directory / "weights.safetensors"),
    )
    assert last_epochs(directory) == [end or EPOCHS + 2 for end in after]
    for replica, end in enumerate(ends):
        same = torch.equal(weights["layers.1.m"][replica], more["layers.1.m"][replica])
        assert same is (end is not None)
        if end is not None:
            assert after[replica] == end
    history = tables(directory)["history"]
    columns = ["replica", "epoch", "train_loss"]
    pd.testing.assert_frame_equal(history[: len(before)][columns], before[columns])


@pytest.mark.slow
def test_run_ends_when_all_replicas_have_stopped(tiny: Making) -> None:
    config = several(tiny, stop_loss=1e9, stop_after=2, epochs=50)
    progress = Progress(2, "two runs")
    directory = runs.claim(Path(config.outputs) / "run")
    training_run.run(config, directory, Part(progress, "first", 1 / 50))
    assert progress.done == pytest.approx(1)
    manifest = runs.manifest_of(directory)
    assert (manifest["status"], manifest["stopped"]) == ("finished", [3] * 4)
    assert last_epochs(directory) == [3] * 4
    state = load_state(directory, "cpu")
    assert state is not None and state["epoch"] == 3
    before = tables(directory)
    training_run.run(replace(config, epochs=80, resume=str(directory)))
    assert runs.manifest_of(directory)["status"] == "finished"
    for name, table in tables(directory).items():
        pd.testing.assert_frame_equal(table, before[name])


@pytest.mark.slow
@pytest.mark.parametrize("since", [1, 4])
def test_split_run_with_stops_equals_an_undivided_one(
    since: int, tiny: Making, room: Room
) -> None:
    config = unequal(several(tiny, snapshot_every=1, checkpoint_every=1))
    undivided = training_run.run(config)
    room(1, since)
    split = training_run.run(config)
    assert_close(undivided, split)
    ends = [runs.manifest_of(path)["stopped"] for path in (undivided, split)]
    assert ends[0] == ends[1]
    for directory in (undivided, split):
        room(4)
        training_run.run(replace(config, epochs=EPOCHS + 2, resume=str(directory)))
    assert_close(undivided, split)


@pytest.mark.slow
@pytest.mark.parametrize("task", [False, True], ids=["images", "task"])
def test_halves_that_end_in_different_epochs_are_joined(
    task: bool, tiny: Making, tmp_path: Path, room: Room
) -> None:
    """The first half has no snapshot of the later epochs: its last parameters are used."""
    if task:
        words = [*TASK.split(), "replicas=2", "epochs=12", f"outputs={tmp_path}", "stop_loss=null"]
        settings = composed("train", *words, "snapshot_every=1", "precision=float64")
        config = unequal(settings, after=3)
    else:
        config = unequal(several(tiny, snapshot_every=1, seeds=None, replicas=2))
    history = tables(training_run.run(config))["history"]
    first = int(history.groupby("replica")["epoch"].max().idxmin())
    config = replace(config, seeds=[first, 1 - first], replicas=1)
    undivided = training_run.run(config)
    assert len({*runs.manifest_of(undivided)["stopped"]}) == 2
    room(1)
    assert_close(undivided, training_run.run(config))


@pytest.mark.slow
def test_multisensory_task_stops_by_its_loss(
    tmp_path: Path, signal_in: Callable[..., None]
) -> None:
    words = [*TASK.split(), "replicas=3", "epochs=12", f"outputs={tmp_path}", "stop_loss=null"]
    config = unequal(composed("train", *words), after=3)
    unbroken = training_run.run(config)
    ends = runs.manifest_of(unbroken)["stopped"]
    assert len({*ends}) > 1
    signal_in(7)
    with pytest.raises(Stopped):
        training_run.run(config)
    assert_same_run(unbroken, training_run.run(replace(config, resume=True)))


@pytest.mark.slow
def test_run_of_an_earlier_version_resumes_by_its_formula(
    tmp_path: Path, signal_in: Callable[..., None]
) -> None:
    words = [*TASK.split(), "epochs=4", f"outputs={tmp_path}"]
    formula = ["optim.eps_inside=false", "optim.halve_early=false", "model.loss=mean"]
    config = composed("train", *words, *formula, "stop_loss=null", "stop_after=0")
    unbroken = training_run.run(config)
    signal_in(3)
    with pytest.raises(Stopped):
        training_run.run(config)
    directory = unbroken.with_name("v002")
    settings = runs.read_json(directory / "config.json")
    for node, key in (("optim", "eps_inside"), ("optim", "halve_early"), ("model", "loss")):
        del settings[node][key]
    del settings["stop_loss"], settings["stop_after"]
    runs.write_json(directory / "config.json", settings)
    published = composed("train", *words, f"resume={directory}")
    with pytest.raises(UserError, match="model.loss mean → half_per_step, optim.eps_inside"):
        training_run.run(published)
    training_run.run(replace(config, resume=str(directory)))
    assert_same_run(unbroken, directory)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gbp", "bp_decor", "task"])
def test_frozen_restores_its_replicas_and_no_others(name: str, tiny: Making) -> None:
    config = several(tiny, "gbp" if name == "task" else name, **RATES if name == "gbp" else {})
    if name == "task":
        config = composed("train", *TASK.split(), "seeds=[3,8,1,5]")
    data = training_run.load_data(config, torch.device("cpu"))
    setup = training_run.setup(config, data)
    rule = training_run.rule_maker(config, data)(setup, torch.device("cpu"))
    network = rule.network
    rule.initialise()

    def step(epoch: int) -> None:
        rule.start_epoch(epoch)
        for x, y in data.batches(setup.seeds, epoch, setup.batch_size, 2):
            rule.step(x, y)

    def parts(replica: int) -> list[torch.Tensor]:
        """All numbers of a replica: parameters and, laid out like them, the moments."""
        flats = [*network.flat.values(), *network.r]
        optimiser = getattr(rule, "optimiser", None)
        for p, moments in optimiser.state.items() if optimiser else ():
            for key, value in moments.items():
                if key != "step":
                    flat = torch.zeros_like(network.all)
                    network.counterpart(p, flat).copy_(value)
                    flats += flat
        return [
            view[replica].clone()
            for flat in flats
            for view in (network.split(flat) if flat.dim() == 1 else [flat])
        ]

    step(1)
    step(2)
    frozen, before = Frozen(rule, [1, 2]), [parts(replica) for replica in range(4)]
    step(3)
    frozen.restore()
    for replica, old in enumerate(before):
        pairs = list(zip(old, parts(replica), strict=True))
        assert all(torch.equal(*pair) for pair in pairs) is (replica in (1, 2))
        assert sum(not torch.equal(*pair) for pair in pairs) > 2 or replica in (1, 2)
