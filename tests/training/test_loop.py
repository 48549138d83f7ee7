"""The loop: batches, orders, loss and divergence, with a rule that records its batches."""

import signal
from typing import Any

import pytest
import torch
from conftest import Making
from torch import Tensor

from sascli.core.network import FeedForward
from sascli.core.streams import Generators
from sascli.data import Data
from sascli.errors import DivergedError, UserError
from sascli.rules.base import Rule, RuleSettings
from sascli.training.loop import evaluate, one_epoch
from sascli.training.run import setup
from sascli.training.signals import Stopped, stopping

T, V = 120, 2001


class Looker(Rule):
    """Records its batches; the loss of an image is its first pixel, its label the second."""

    def __init__(self, network: FeedForward, settings: RuleSettings, setup: Any) -> None:
        super().__init__(network, settings, setup)
        self.batches: list[tuple[Tensor, Tensor]] = []
        self.factor = 1.0

    def initialise(self) -> None:
        """Nothing."""

    def step(self, x: Tensor, y: Tensor) -> Tensor:
        """The mean of the first pixels."""
        self.batches.append((x.clone(), y.clone()))
        return self.factor * x[..., 0].mean(-1)

    def logits(self, x: Tensor, generator: Generators | None = None) -> Tensor:
        """The label where there is no noise; else right for replica 0 alone."""
        right = torch.nn.functional.one_hot(x[:, 1].long(), 2).to(x.dtype)
        return torch.stack([right, right if generator is None else 1 - right])

    def state(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def load(self, state: dict[str, Any]) -> None:
        """Nothing."""


def images(count: int) -> tuple[Tensor, Tensor]:
    """Images of two pixels: their number and their label."""
    number = torch.arange(count, dtype=torch.float64)
    return torch.stack([number, number % 2], 1), (number % 2).long()


@pytest.fixture
def data() -> Data:
    """T training and V test images."""
    (x, y), (test_x, test_y) = images(T), images(V)
    return Data("made up", "sha256:0", ("even", "odd"), (1, 1, 2), x, y, test_x, test_y)


def looker(tiny: Making, data: Data, **changes: Any) -> Looker:
    """The rule, for seeds 3 and 8 by default."""
    config = tiny(**{"seeds": [3, 8], **changes})
    network = FeedForward([2, 2, 2], len(config.seeds or []), dtype=torch.float64)
    return Looker(network, RuleSettings("looker"), setup(config, data))


def orders(tiny: Making, data: Data, epoch: int = 1, **changes: Any) -> Tensor:
    """The order in which each replica sees the images, (replicas, T)."""
    rule = looker(tiny, data, **changes)
    one_epoch(data, rule, epoch)
    return torch.cat([x[..., 0] for x, _ in rule.batches], 1)


def test_last_smaller_batch_is_used(tiny: Making, data: Data) -> None:
    rule = looker(tiny, data)
    one_epoch(data, rule, 1)
    assert [x.shape for x, _ in rule.batches] == [(2, 50, 2), (2, 50, 2), (2, 20, 2)]
    assert all(torch.equal(x[..., 1].long(), y) for x, y in rule.batches)


def test_replica_sees_every_image_once_in_its_own_order(tiny: Making, data: Data) -> None:
    seen = orders(tiny, data)
    assert torch.equal(seen.sort(1).values, torch.arange(T).double().expand(2, T))
    assert not torch.equal(seen[0], seen[1])
    assert not torch.equal(seen, orders(tiny, data, epoch=2))
    assert torch.equal(seen, orders(tiny, data))


def test_order_depends_on_the_seed_alone(tiny: Making, data: Data) -> None:
    assert torch.equal(orders(tiny, data)[1], orders(tiny, data, seeds=[8])[0])


def test_loss_is_the_mean_over_images(tiny: Making, data: Data) -> None:
    loss = one_epoch(data, looker(tiny, data), 1)
    assert loss == pytest.approx([(T - 1) / 2] * 2, rel=1e-12)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_divergence_error_names_epoch_layer_and_parameter(
    tiny: Making, data: Data, value: float
) -> None:
    rule = looker(tiny, data)
    rule.factor = value
    rule.network.layers[0].m.data[1, 0, 1] = -30.0
    rule.network.layers[1].xi.data[0, 1, 1] = 2e9
    message = (
        r"training diverged in epoch 7: the largest parameter is xi of layer 2, \|xi\| = 2e\+09"
    )
    with pytest.raises(UserError, match=message):
        one_epoch(data, rule, 7)
    rule.network.layers[0].pi.data[0, 0, 0] = float("nan")
    with pytest.raises(UserError, match=r"pi of layer 1, \|pi\| = inf; lower lr"):
        one_epoch(data, rule, 7)
    rule.network.layers[0].pi.data[0, 0, 0] = 0
    rule.network.r = [torch.full((2, 3, 3), 1e30)]
    with pytest.raises(UserError, match=r"the largest parameter is R of layer 1, \|R\| = 1e\+30"):
        one_epoch(data, rule, 7)
    rule.network.r = []
    rule.network.layers[0].pi.data[0, 0, 0] = float("nan")
    rule.factor = 1  # the loss was finite still: the last batch's change was not
    with pytest.raises(UserError, match=r"diverged in epoch 7: .* pi of layer 1"):
        one_epoch(data, rule, 7)


def test_accuracies_are_of_the_complete_test_set(tiny: Making, data: Data) -> None:
    test, mean = evaluate(data, looker(tiny, data), 2, tiny())
    assert test == [1.0, 0.0] and mean == [1.0, 1.0]


def test_mean_network_is_evaluated_when_due_and_at_the_end(tiny: Making, data: Data) -> None:
    rule, config = looker(tiny, data), tiny(epochs=5)
    measured = [evaluate(data, rule, epoch, config)[1][0] for epoch in range(1, 6)]
    assert measured == [None, 1.0, None, 1.0, 1.0]


def test_batch_larger_than_t_becomes_t_with_a_warning(
    tiny: Making, data: Data, capsys: pytest.CaptureFixture[str]
) -> None:
    assert setup(tiny(batch_size=T), data).batch_size == T
    assert not capsys.readouterr().out
    assert setup(tiny(batch_size=T + 1), data).batch_size == T
    message = capsys.readouterr().out
    assert message == f"warning: batch_size {T + 1} exceeds T; using {T}\n"


def diverged_after(*signals: int) -> None:
    """Signals come, then the training diverges."""
    with stopping():
        for number in signals:
            signal.raise_signal(number)
        raise DivergedError(2, "m")


def test_signal_before_a_divergence_stops_a_sweep() -> None:
    with pytest.raises(Stopped) as stopped:
        diverged_after(signal.SIGTERM)
    assert stopped.value.code == 128 + signal.SIGTERM
    with pytest.raises(DivergedError):
        diverged_after()
