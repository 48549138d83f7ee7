"""Training on a GPU: the tables of the CPU, initial parameters, resumption, memory, waits."""

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from conftest import assert_same_tables, composed, tables

from sascli import runs
from sascli.config import Train
from sascli.core.recurrent import Recurrent
from sascli.data import Data
from sascli.rules.base import Rule
from sascli.training import loop
from sascli.training import run as training_run

pytestmark = pytest.mark.gpu
CPU = torch.device("cpu")
SMALL = "width=6 train_size=60 test_size=40 batch_size=25 epochs=2 eval.samples=1 threads=1"
SMALL += " precision=float64 eval.mean_every=1"
TASK = "model=multisensory width=6 epochs=2 eval.samples=1 threads=1 precision=float64"
LINES = {
    "gbp": f"{SMALL} replicas=2 lr=[0.03,0.1] lr.pi=0.01",
    "bp": f"{SMALL} rule=bp optim=rmsprop",
    "bp_decor": f"{SMALL} rule=bp_decor rule.adam=true replicas=2",
    "copi": f"{SMALL} rule=copi rule.credit=fa lr=1e-3 decay=0",
    "digits in time": f"model=rnn_digits {SMALL} optim.clip=0.1",
    "task": f"{TASK} replicas=2 stop_loss=0.0085 stop_after=0 model.sigma=0.1",
}

RUNS = [
    name
    if name in ("gbp", "copi", "digits in time")
    else pytest.param(name, marks=pytest.mark.slow)
    for name in LINES
]
"""The lines, of which some are trained in the slow tests only."""


def settings(line: str, outputs: Path, device: str = "cuda", **changes: Any) -> Train:
    """The settings of a command line."""
    config: Train = composed("train", *line.split(), f"outputs={outputs}", f"device={device}")
    for name, value in changes.items():
        setattr(config, name, value)
    return config


def made(line: str, device: str) -> tuple[Data, Rule]:
    """The data and the initialised rule of a command line."""
    config = settings(line, Path("unused"), device)
    data = training_run.load_data(config, training_run.pick_device(device))
    setup = training_run.setup(config, data)
    rule = training_run.rule_maker(config, data)(setup, data.train_x.device)
    rule.initialise()
    return data, rule


def assert_close(one: Path, other: Path) -> None:
    """Both runs have the same tables, to rounding."""
    first, second = tables(one), tables(other)
    assert first.keys() == second.keys() and "history" in first
    for name, table in first.items():
        pd.testing.assert_frame_equal(table, second[name], rtol=1e-6, atol=1e-8, obj=name)


@pytest.mark.parametrize("name", RUNS)
def test_tables_are_those_of_the_cpu(
    name: str, gpu: Any, same_noise: None, tmp_path: Path
) -> None:
    one, other = (
        training_run.run(settings(LINES[name], tmp_path, device)) for device in ("cuda", "cpu")
    )
    assert_close(one, other)
    assert runs.manifest_of(one)["device"] == "cuda:0"
    assert runs.manifest_of(one)["device_name"]
    assert runs.manifest_of(other)["device_name"] is None


@pytest.mark.parametrize("name", LINES)
def test_initial_parameters_are_those_of_the_cpu(name: str, gpu: Any) -> None:
    (_, one), (_, other) = (made(LINES[name], device) for device in ("cuda", "cpu"))
    assert other.network.all.any()
    assert torch.equal(one.network.all.cpu(), other.network.all)
    for mine, theirs in zip(feedback_of(one), feedback_of(other), strict=True):
        assert torch.equal(mine.cpu(), theirs)


def feedback_of(rule: Rule) -> list[torch.Tensor]:
    """The random matrices of feedback alignment, if there are any."""
    return list(rule.state().get("feedback", ()))


def test_recurrent_parameters_are_drawn_in_their_layout(gpu: Any) -> None:
    _, rule = made(LINES["task"], "cuda")
    assert isinstance(rule.network, Recurrent)
    layer = rule.network.layers[1].m  # a part of a wider matrix
    assert not layer.is_contiguous()
    generator = torch.Generator().manual_seed(0)
    strided = torch.empty_strided(layer.shape, layer.stride(), dtype=layer.dtype)
    contiguous = torch.empty(layer.shape, dtype=layer.dtype)
    assert not torch.equal(
        strided[0].normal_(generator=generator),
        contiguous[0].normal_(generator=generator.manual_seed(0)),
    )


@pytest.mark.parametrize(
    ("first", "then"), [("cuda", "cpu"), pytest.param("cpu", "cuda", marks=pytest.mark.slow)]
)
def test_run_is_resumed_on_another_device(
    first: str, then: str, gpu: Any, same_noise: None, tmp_path: Path
) -> None:
    line = LINES["gbp"]
    unbroken = training_run.run(settings(line, tmp_path, "cpu", epochs=3))
    broken = training_run.run(settings(line, tmp_path, first, epochs=1))
    resumed = settings(line, tmp_path, then, epochs=3, resume=str(broken))
    assert training_run.run(resumed) == broken
    assert_close(unbroken, broken)
    assert runs.manifest_of(broken)["device"] == {"cuda": "cuda:0", "cpu": "cpu"}[then]


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(torch.OutOfMemoryError("CUDA out of memory"), marks=pytest.mark.slow),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
    ids=["torch", "cuBLAS"],
)
def test_population_without_memory_is_halved(
    error: RuntimeError,
    gpu: Any,
    same_noise: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    undivided = training_run.run(settings(LINES["gbp"], tmp_path))
    one_epoch = loop.one_epoch

    def limited(data: Data, rule: Rule, *rest: Any) -> list[float]:
        if len(rule.setup.seeds) > 2:
            raise error
        return one_epoch(data, rule, *rest)

    monkeypatch.setattr(loop, "one_epoch", limited)
    divided = training_run.run(settings(LINES["gbp"], tmp_path))
    assert_close(undivided, divided)
    assert "trained by halves" in runs.manifest_of(divided)["warnings"][0]


def test_other_errors_are_not_taken_for_memory(
    gpu: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(loop, "one_epoch", fail)
    with pytest.raises(RuntimeError, match="device-side assert"):
        training_run.run(settings(LINES["gbp"], tmp_path))


@pytest.mark.parametrize("name", LINES)
def test_steps_do_not_wait_for_the_device(name: str, gpu: Any) -> None:
    data, rule = made(LINES[name], "cuda")
    rule.start_epoch(1)
    batches = data.batches(rule.setup.seeds, 1, 10)
    rule.step(*next(batches))  # the optimiser makes its state
    clips = rule.setup.optim.clip is not None
    if clips:
        rule.setup.optim.clip = 1e6  # no gradient needs a decomposition
    for x, y in batches:
        gpu.waits.clear()
        rule.step(x, y)
        assert gpu.waits.total() == clips, gpu.waits


def test_waits_of_an_epoch(gpu: Any) -> None:
    data, rule = made(LINES["gbp"], "cuda")
    config = settings(LINES["gbp"], Path("unused"))
    waits = []
    for epoch in (1, 2):
        gpu.waits.clear()
        loop.one_epoch(data, rule, epoch)
        loop.evaluate(data, rule, epoch, config)
        files = Counter[str]()
        for (_, line), count in gpu.waits.items():
            files[line.split(":")[0]] += count
        waits.append(dict(files))
    # the order of the images; loss with divergence, accuracy, that of the mean network
    assert waits == [{"data/__init__.py": 1, "training/loop.py": 3}] * 2


@pytest.mark.slow
def test_same_run_twice_is_equal_bit_for_bit(gpu: Any, tmp_path: Path) -> None:
    one, other = (training_run.run(settings(LINES["gbp"], tmp_path)) for _ in range(2))
    assert_same_tables(one, other)
