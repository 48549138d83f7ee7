"""Mistakes that work on the CPU alone are found by the device that pretends, as by a GPU."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import composed
from torch import Tensor

from sascli.core import backprop
from sascli.core.network import FeedForward
from sascli.core.streams import Generators, streams
from sascli.data import Data
from sascli.rules.copi import COPI
from sascli.rules.gradient import GradientRule
from sascli.training import loop
from sascli.training import run as training_run

pytestmark = pytest.mark.gpu
SMALL = "width=6 train_size=60 test_size=40 batch_size=30 epochs=1 eval.samples=1 threads=1"
start_epoch, cross_entropy, rates = GradientRule.start_epoch, backprop.cross_entropy, COPI._rates


def noise_on_cpu(self: Any, epoch: int) -> None:
    start_epoch(self, epoch)
    self._noise = streams(self.setup.seeds, "noise", epoch)


def labels_on_cpu(logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    return cross_entropy(logits, y.cpu())


def numpy_of_device(data: Data, rule: Any, *_: Any) -> Any:
    return rule.network.all.detach().numpy(), 0


def rates_on_cpu(self: Any, values: Sequence[float]) -> Tensor:
    return rates(self, values).cpu()


def evaluation_noise_on_cpu(self: FeedForward, batch: int, generator: Generators) -> list[Tensor]:
    return self.split_noise(torch.randn(self.replicas, batch * self.noise_size), batch)


def order_on_cpu(
    self: Data, seeds: Sequence[int], epoch: int, size: int, most: int | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    order = torch.arange(size).expand(len(seeds), -1)
    yield self.train_x.index_select(0, order.flatten()).unflatten(0, order.shape), order


MISTAKES: dict[str, tuple[Any, str, Callable[..., Any], str]] = {
    "noise": (GradientRule, "start_epoch", noise_on_cpu, ""),
    "labels": (backprop, "cross_entropy", labels_on_cpu, ""),
    "numpy": (loop, "evaluate", numpy_of_device, ""),
    "rates": (COPI, "_rates", rates_on_cpu, "rule=copi replicas=2"),
    "test noise": (FeedForward, "draw_noise", evaluation_noise_on_cpu, ""),
    "order": (Data, "batches", order_on_cpu, ""),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_found(
    name: str, gpu: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, attribute, mistake, settings = MISTAKES[name]
    config = composed("train", *SMALL.split(), *settings.split(), f"outputs={tmp_path}")
    config.device = "cuda"
    monkeypatch.setattr(owner, attribute, mistake)
    with pytest.raises((RuntimeError, TypeError), match="cuda|device"):
        training_run.run(config)


def test_wait_in_a_step_is_counted(gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    config = composed("train", *SMALL.split())
    data = training_run.load_data(config, training_run.pick_device("cuda"))
    setup = training_run.setup(config, data)
    rule = training_run.rule_maker(config, data)(setup, data.train_x.device)
    rule.initialise()
    step, waits = type(rule).step, []
    for mistake in (lambda loss: loss, lambda loss: loss * float(loss.sum() > 0)):
        monkeypatch.setattr(type(rule), "step", lambda *args, f=mistake: f(step(*args)))
        gpu.waits.clear()
        loop.one_epoch(data, rule, 1)
        waits.append(gpu.waits.total())
    assert waits[1] == waits[0] + 2  # one in each of two steps
