"""Measurements on a GPU give the tables of the CPU."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from conftest import composed, tables

from sascli.analysis.layers import entropies
from sascli.commands import COMMANDS
from sascli.commands.table import function
from sascli.continual import run as continual
from sascli.core.network import FeedForward
from sascli.measure.record import measure
from sascli.runs import manifest_of
from sascli.training import run as training_run

pytestmark = pytest.mark.gpu
SMALL = "width=6 train_size=60 test_size=40 batch_size=30 epochs=1 eval.samples=1 threads=1"
SMALL += " precision=float64 name=run"
TASK = "model=multisensory width=6 epochs=1 eval.samples=1 threads=1 precision=float64 name=run"
COPI = f"{SMALL} rule=copi lr=1e-3 decay=0"
RUNS = {"gbp": f"{SMALL} replicas=2 snapshot_every=1 init.pi=0.2", "copi": COPI, "task": TASK}
CASES = {
    "entropy": ("gbp", ""),
    "perturb": ("gbp", "samples=1 kind=[vip_off,uip_on,matched_off] tolerance=0.3"),
    "evaluate": ("gbp", "samples=2"),
    "prune": ("gbp", "keep=[0.5] tune.epochs=1"),
    "decorrelation": ("copi", "images=2"),
    "features": ("copi", ""),
    "compress": ("copi", ""),
    "psychometric": ("task", "trials=1 samples=1 dt=20 way=[field,mean,sampled,redrawn]"),
    "selectivity": ("task", "trials=2 dt=20 permutations=9"),
    "trajectories": ("task", "trials=2 dt=20"),
    "kernel": ("", "seeds=1 widths=[10,20] angles=3 alpha=[1] lazy.source=digits lazy.width=10 "
               "lazy.images=2 lazy.steps=4 lazy.seeds=1"),
    "order-parameters": ("", "seeds=2 n=20 epochs=10"),
}  # fmt: skip
TIMES = ["seconds", "ms", "seconds_dense", "n_bytes"]


def assert_close(one: Path, other: Path) -> None:
    """Both directories have the same tables, to rounding and times."""
    first, second = tables(one), tables(other)
    assert first.keys() == second.keys() and first
    for name, table in first.items():
        left, right = (t.drop(columns=TIMES, errors="ignore") for t in (table, second[name]))
        pd.testing.assert_frame_equal(left, right, rtol=1e-5, atol=1e-6, obj=name)


@pytest.mark.slow
@pytest.mark.parametrize("command", CASES)
def test_measurement_has_the_tables_of_the_cpu(
    command: str, gpu: Any, same_noise: None, tmp_path: Path
) -> None:
    run, line = CASES[command]
    words = [*line.split(), f"outputs={tmp_path}", "threads=1"]
    if run:
        training_run.run(composed("train", *RUNS[run].split(), words[-2], "device=cpu"))
        words.append("run=run")
    one, other = (
        measure(command, function(COMMANDS[command].work), composed(command, *words, device))
        for device in ("device=cuda", "device=cpu")
    )
    assert_close(one, other)
    assert manifest_of(one)["device"] == "cuda:0" and manifest_of(other)["device"] == "cpu"


@pytest.mark.slow
@pytest.mark.parametrize("task", ["split", "permuted"])
def test_tasks_in_sequence_have_the_tables_of_the_cpu(
    task: str, gpu: Any, same_noise: None, tmp_path: Path
) -> None:
    line = (
        f"width=6 train_size=200 test_size=100 batch_size=20 epochs=1 tasks=2 seeds=1 task={task}"
    )
    words = [*line.split(), "threads=1", "precision=float64", f"outputs={tmp_path}"]
    one, other = (
        continual(composed("continual", *words, device))
        for device in ("device=cuda", "device=cpu")
    )
    assert_close(one, other)


def test_entropy_reads_back_once_for_all_replicas(gpu: Any) -> None:
    counts = []
    for replicas in (1, 4):
        network = FeedForward([3, 4, 2], replicas, device=torch.device("cuda", 0))
        network.all.fill_(0.3)
        gpu.waits.clear()
        values = entropies(network, range(replicas), "paper")
        counts.append(gpu.waits.total())
        on_cpu = entropies(network.select(slice(None), "cpu"), range(replicas), "paper")
        assert values[0].shape == on_cpu[0].shape and abs(values[0].cpu() - on_cpu[0]).max() < 1
    assert counts[0] == counts[1] <= 8  # the numbers of draws and their places, in two layers
