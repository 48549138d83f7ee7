"""Captured steps: the parameters of eager ones, also where rates, phases and batches change."""

from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import assert_same_run, composed
from torch import Tensor

from sascli.rules.base import Rule
from sascli.rules.gbp import GBP
from sascli.training import capture
from sascli.training import run as training_run
from sascli.training.capture import Captured, step_of

pytestmark = pytest.mark.gpu
SMALL = "width=6 train_size=70 test_size=20 batch_size=25 epochs=3 eval.samples=0 threads=1"
LINES = {
    "gbp": f"{SMALL} replicas=2 lr=[0.03,0.1] optim=rmsprop optim.halve_every=1",
    "bp": f"{SMALL} rule=bp",
    "bp_decor": f"{SMALL} rule=bp_decor rule.adam=true rule.decorrelation_epochs=1",
    "copi": f"{SMALL} rule=copi lr=1e-3 decay=0 rule.decorrelation_epochs=1",
    "digits in time": f"model=rnn_digits {SMALL} optim.clip=0.1 optim.halve_every=2",
    "task": "model=multisensory width=6 epochs=4 eval.samples=0 threads=1 replicas=2 "
    "stop_loss=0.0455 stop_after=0",
}

RUNS = [
    name
    if name in ("gbp", "copi", "digits in time")
    else pytest.param(name, marks=pytest.mark.slow)
    for name in LINES
]
"""The lines, of which some are trained in the slow tests only."""


def made(line: str, device: str) -> tuple[Rule, list[tuple[Tensor, Tensor]]]:
    """The initialised rule of a command line, and the batches of an epoch."""
    config = composed("train", *line.split())
    data = training_run.load_data(config, training_run.pick_device(device))
    setup = training_run.setup(config, data)
    rule = training_run.rule_maker(config, data)(setup, data.train_x.device)
    rule.initialise()
    rule.start_epoch(2)  # COPI's W learns
    batches = data.batches(setup.seeds, 1, setup.batch_size)
    return rule, [(x.clone(), y) for x, y in batches]


@pytest.mark.parametrize("name", RUNS)
def test_captured_run_equals_an_eager_one(
    name: str, gpu: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded: list[int] = []
    record = Captured._record

    def counted(self: Captured, *args: Any) -> None:
        record(self, *args)
        recorded.append(len(self._graphs))

    monkeypatch.setattr(Captured, "_record", counted)
    words = [*LINES[name].split(), f"outputs={tmp_path}", "device=cuda"]
    eager = training_run.run(composed("train", *words, "capture=never"))
    assert not recorded
    captured = training_run.run(composed("train", *words))
    assert_same_run(eager, captured)
    graphs = 2 if "clip" in LINES[name] else 1
    again = {"gbp": 3, "copi": 2, "bp_decor": 2, "digits in time": 2}.get(name, 1)
    assert recorded == [graphs] * again  # for the rates or the phase of each epoch


@pytest.mark.parametrize("name", LINES)
def test_step_is_its_parts(name: str) -> None:
    (one, batches), (other, _) = (made(LINES[name], "cpu") for _ in range(2))
    for x, y in batches:
        loss = one.step(x, y)
        eps = other.draw(x.shape[1])
        parts = other.differentiate(x, y, eps)
        other.clip()
        other.update()
        assert torch.equal(loss, parts) and torch.equal(one.network.all, other.network.all)
    assert one.constants() is not None
    one.start_epoch(3)
    if one.optimiser is not None and "halve" in LINES[name]:
        assert one.constants() != other.constants()


def test_draws_stay_outside_of_the_graph(gpu: Any) -> None:
    rule, batches = made(LINES["task"], "cuda")
    step = Captured(rule)
    step(*batches[0])
    one = rule.draw(30)
    assert one is not None
    before = [noise.clone() for noise in one]
    step(*batches[0])
    other = rule.draw(30)
    assert other is not None
    assert [noise.data_ptr() for noise in one] == [noise.data_ptr() for noise in other]
    assert not any(torch.equal(a, b) for a, b in zip(before, other, strict=True))


def test_draws_inside_of_a_graph_are_found(gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if torch.cuda.is_available() and not hasattr(gpu, "graph"):
        pytest.skip("a GPU replays the same draws without an error")
    rule, batches = made(LINES["gbp"].replace("replicas=2", ""), "cuda")
    differentiate = GBP.differentiate

    def draw_again(self: GBP, x: Tensor, y: Tensor, _: Any) -> Tensor:
        return differentiate(self, x, y, self.draw(x.shape[1]))

    monkeypatch.setattr(GBP, "differentiate", draw_again)
    step = Captured(rule)
    step(*batches[0])
    with pytest.raises(RuntimeError, match="draws in a graph would be the same"):
        step(*batches[1])


def test_auto_captures_where_launches_take_the_time(
    gpu: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, _ = made(LINES["bp"], "cuda")
    recurrent, _ = made(LINES["task"], "cuda")
    assert isinstance(step_of(small, "auto"), Captured)
    monkeypatch.setattr(capture, "SMALL", 10)
    assert step_of(small, "auto") == small.step and step_of(recurrent, "never") == recurrent.step
    assert isinstance(step_of(recurrent, "auto"), Captured)
    assert isinstance(step_of(small, "always"), Captured)
    on_cpu, _ = made(LINES["bp"], "cpu")
    assert step_of(on_cpu, "always") == on_cpu.step
