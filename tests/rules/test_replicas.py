"""Replicas taken out of a rule's population, and put side by side again."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from sascli.config import Optim, rule_settings
from sascli.core.network import FeedForward
from sascli.core.recurrent import Dynamics, Recurrent
from sascli.rules import rule_class
from sascli.rules.base import Rule, Setup

REPLICAS, BATCH, N_IN = 4, 7, 6
SHARED = dict.fromkeys(("m", "pi", "xi", "r"), [0.02] * REPLICAS)
DIFFERENT = SHARED | {"m": [0.02, 0.02, 0.01, 0.01], "pi": [0.3, 0.1, 0.1, 0.1]}
SETUP = Setup(
    seeds=[3, 8, 1, 5],
    batch_size=BATCH,
    lr=SHARED,
    decay=dict.fromkeys(("m", "pi", "xi"), [0.1] * REPLICAS),
    optim=Optim(),
    m_var=[0.5] * 3,
    pi=0.2,
    xi_max=[0.01] * 3,
)
RMSPROP = Optim(name="rmsprop", eps_inside=True, halve_every=1, halve=["pi"])
CASES: dict[str, tuple[dict[str, Any], Setup]] = {
    "gbp": ({"name": "gbp"}, SETUP),
    "gbp, rates": ({"name": "gbp"}, replace(SETUP, lr=DIFFERENT)),
    "gbp, rmsprop": ({"name": "gbp"}, replace(SETUP, lr=DIFFERENT, optim=RMSPROP)),
    "gbp, sgd": ({"name": "gbp"}, replace(SETUP, lr=DIFFERENT, optim=Optim(name="sgd"))),
    "bp, rates": ({"name": "bp"}, replace(SETUP, lr=DIFFERENT)),
    "copi": ({"name": "copi", "credit": "fa", "decorrelation_epochs": 0, "gain": 1.0}, SETUP),
    "bp_decor": ({"name": "bp_decor", "adam": True, "decorrelation_epochs": 0}, SETUP),
    "recurrent": ({"name": "gbp"}, replace(SETUP, lr=DIFFERENT, optim=RMSPROP)),
}
Making = Callable[[], Rule]


def feed_forward() -> FeedForward:
    return FeedForward([N_IN, 5, 4, 3], REPLICAS, dtype=torch.float64)


def recurrent() -> FeedForward:
    """A recurrent network of two steps with frozen parameters in its second replica."""
    network = Recurrent([3, 5, 3], Dynamics(2, 0.5), REPLICAS, dtype=torch.float64)
    network.freeze(0, "xi", 0.0)
    where = torch.zeros(REPLICAS, 5, 5, dtype=torch.bool)
    where[1, 2] = True
    network.freeze(1, "pi", 0.7, where)
    return network


@pytest.fixture(params=CASES)
def make(request: pytest.FixtureRequest) -> Making:
    """A rule of four replicas after two steps."""
    settings, setup = CASES[request.param]

    def rule() -> Rule:
        network = recurrent() if request.param == "recurrent" else feed_forward()
        chosen = rule_settings(settings)
        made = rule_class(chosen)(network, chosen, setup)
        made.initialise()
        steps(made, 1)
        return made

    return rule


def steps(rule: Rule, epoch: int, replicas: slice = slice(None)) -> list[Tensor]:
    """Losses of two steps on batches of the replicas."""
    rule.start_epoch(epoch)
    draw = torch.Generator().manual_seed(epoch)
    x = torch.rand(2, REPLICAS, BATCH, N_IN, generator=draw, dtype=torch.float64)
    y = torch.randint(3, (2, REPLICAS, BATCH), generator=draw)
    return [rule.step(a[replicas], b[replicas]) for a, b in zip(x, y, strict=True)]


def numbers(rule: Rule, replicas: slice = slice(None)) -> list[Tensor]:
    """Copies of all numbers of the network."""
    return [tensor[replicas].clone() for tensor in rule.network.tensors()]


@pytest.mark.parametrize("replicas", [slice(1, 2), slice(1, 4), slice(0, 4, 2)])
def test_selected_replicas_continue_as_in_their_population(make: Making, replicas: slice) -> None:
    rule = make()
    part, before = rule.select(replicas), numbers(rule)
    assert part.setup.seeds == SETUP.seeds[replicas]
    losses = steps(part, 2, replicas)
    assert all(torch.equal(*pair) for pair in zip(before, numbers(rule), strict=True))
    torch.testing.assert_close(
        losses, [loss[replicas] for loss in steps(rule, 2)], rtol=1e-10, atol=0
    )
    torch.testing.assert_close(numbers(part), numbers(rule, replicas), rtol=1e-10, atol=1e-14)
    assert not all(map(torch.equal, before, numbers(rule)))


def test_concatenated_parts_continue_bit_for_bit(make: Making) -> None:
    rule = make()
    parts = [rule.select(slice(0, 1)), rule.select(slice(1, 4))]
    joined = type(rule).concat(parts)
    assert joined.setup == rule.setup
    for epoch in (2, 3):
        assert all(map(torch.equal, steps(joined, epoch), steps(rule, epoch)))
    assert all(map(torch.equal, numbers(joined), numbers(rule)))


def test_selection_before_the_first_step_has_no_moments() -> None:
    settings = rule_settings({"name": "gbp"})
    rule = rule_class(settings)(feed_forward(), settings, SETUP)
    rule.initialise()
    part = type(rule).concat([rule.select(slice(0, 2)), rule.select(slice(2, 4))])
    assert part.optimiser is not None and not part.optimiser.state
    assert all(map(torch.equal, steps(part, 1), steps(rule, 1)))


def test_selection_copies_plain_values_of_the_state() -> None:
    class Counting(rule_class(rule_settings({"name": "bp"}))):  # type: ignore[misc]
        count = 0

        def state(self) -> dict[str, Any]:
            return super().state() | {"count": self.count}

        def load(self, state: dict[str, Any]) -> None:
            self.count = state["count"]
            super().load(state)

    rule = Counting(feed_forward(), rule_settings({"name": "bp"}), SETUP)
    rule.count = 3
    assert rule.select(slice(1)).count == 3
    assert Counting.concat([rule, rule]).count == 3


@pytest.mark.parametrize("stopped", [[1], [0, 3]])
def test_masks_restore_only_the_chosen_replicas(make: Making, stopped: list[int]) -> None:
    rule, running = make(), [r for r in range(REPLICAS) if r not in stopped]
    before, other = rule.select(slice(None)), rule.select(slice(None))
    masks = [(value, mask, value.clone()) for value, mask in rule.masks(stopped)]
    steps(rule, 2)
    steps(other, 2)
    for value, mask, old in masks:
        torch.where(mask, old, value, out=value)
    pairs = zip(numbers(rule), numbers(before), numbers(other), strict=True)
    for now, old, new in pairs:
        assert torch.equal(now[stopped], old[stopped])
        assert torch.equal(now[running], new[running])
    steps(rule, 3)
    steps(other, 3)
    for now, new in zip(numbers(rule), numbers(other), strict=True):
        assert torch.equal(now[running], new[running])  # the moments of the others too
