"""gBP and BP: how parameters begin, and what a step makes of them."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sascli.config import Optim, RuleSettings, rule_settings
from sascli.core import fused
from sascli.core.convolutional import Convolutional
from sascli.core.network import FeedForward
from sascli.core.optimisers import AdamW, SlabAdamW
from sascli.core.patches import Kernel
from sascli.core.recurrent import Dynamics, Recurrent
from sascli.core.streams import streams
from sascli.errors import UserError
from sascli.rules import rule_class
from sascli.rules.base import Rule, Setup

KINDS = ("m", "pi", "xi")
SETUP = Setup(
    seeds=[3, 8],
    batch_size=10,
    lr={"m": [0.02, 0.02], "pi": [0.3, 0.1], "xi": [0.05, 0.05]},
    decay={"m": [0.1, 0.1], "pi": [0.0, 0.2], "xi": [0.2, 0.1]},
    optim=Optim(beta2=0.99),
    m_var=[0.5, 0.5],
    pi=0.2,
    xi_max=[0.01, 0.01],
)

STILL = replace(SETUP, lr=dict.fromkeys(KINDS, [0.0] * 2), decay=dict.fromkeys(KINDS, [0.0] * 2))


def begun(
    name: str,
    setup: Setup = SETUP,
    widths: tuple[int, ...] = (6, 5, 3),
    network: FeedForward | None = None,
) -> Rule:
    """A rule with its parameters drawn, ready for the batches of epoch 1."""
    settings = RuleSettings(name)
    network = network or FeedForward(widths, len(setup.seeds), dtype=torch.float64)
    rule = rule_class(settings)(network, settings, setup)
    rule.initialise()
    rule.start_epoch(1)
    return rule


def batch(step: int, size: int = 10) -> tuple[Tensor, Tensor]:
    """Images and labels, the same for every replica."""
    generator = torch.Generator().manual_seed(step)
    x = torch.rand(size, 6, generator=generator, dtype=torch.float64).expand(2, size, 6)
    return x.contiguous(), torch.randint(3, (size,), generator=generator).expand(2, size)


def rates_by_parameter(rule: Rule, values: Sequence[float]) -> Tensor:
    """A number per replica at the place of each of its parameters in a flat tensor."""
    rates = torch.empty_like(rule.network.flat["m"])
    for part in rule.network.split(rates):
        part.copy_(part.new_tensor(values).view(-1, 1, 1).expand_as(part))
    return rates


# ---------------------------------------------------------------- the beginning


def test_gbp_initialises_as_published() -> None:
    layer = begun("gbp", widths=(200, 150, 2)).network.layers[0]
    n = layer.m.numel()
    assert abs(layer.m.mean()) < 5 * (0.5 / n) ** 0.5
    assert abs(layer.m.var() - 0.5) < 5 * 0.5 * (2 / n) ** 0.5
    assert (layer.pi == 0.2).all()
    assert layer.xi.min() >= 0 and 0.0099 < layer.xi.max() < 0.01
    assert abs(layer.xi.mean() - 0.005) < 5 * 0.01 / (12 * n) ** 0.5


def test_bp_initialises_m_only() -> None:
    first = begun("bp").network
    assert (first.flat["pi"] == 0).all() and (first.flat["xi"] == 0).all()
    assert torch.equal(first.layers[0].m, begun("gbp").network.layers[0].m)


@pytest.mark.parametrize("name", ["gbp", "bp"])
def test_initial_replica_depends_on_its_seed_only(name: str) -> None:
    both = begun(name).network
    alone = begun(name, SETUP.select(slice(1, 2))).network
    for one, other in zip(both.layers, alone.layers, strict=True):
        for kind in KINDS:
            assert torch.equal(getattr(one, kind)[1], getattr(other, kind)[0])
        assert not torch.equal(one.m[0], one.m[1])


# ---------------------------------------------------------------- a step


@pytest.mark.parametrize(("name", "learns"), [("gbp", KINDS), ("bp", ("m",))])
def test_step_is_adam_with_decoupled_decay_then_projection(
    name: str, learns: tuple[str, ...]
) -> None:
    """theta <- theta - lr (Adam direction + decay theta), by kind and replica."""
    rule = begun(name)
    flat = rule.network.flat
    first = {kind: torch.zeros_like(flat[kind]) for kind in learns}
    second = {kind: torch.zeros_like(flat[kind]) for kind in learns}
    clamped = 0
    for t in range(1, 6):
        before = {kind: flat[kind].clone() for kind in KINDS}
        rule.step(*batch(t))
        for kind in KINDS:
            if kind not in learns:
                assert torch.equal(flat[kind], before[kind])
                continue
            grad = rule.gradients.grads[kind]  # type: ignore[attr-defined]
            first[kind] = 0.9 * first[kind] + 0.1 * grad
            second[kind] = 0.99 * second[kind] + 0.01 * grad**2
            adam = first[kind] / (1 - 0.9**t) / ((second[kind] / (1 - 0.99**t)).sqrt() + 1e-8)
            lr, decay = (
                rates_by_parameter(rule, SETUP.lr[kind]),
                rates_by_parameter(rule, SETUP.decay[kind]),
            )
            free = before[kind] - lr * (adam + decay * before[kind])
            low, high = {"m": (-9, 9), "pi": (0, 1), "xi": (0, 9)}[kind]
            clamped += int(((free < low) | (free > high)).sum())
            assert torch.allclose(flat[kind], free.clamp(low, high), rtol=1e-12, atol=1e-14)
    assert name == "bp" or clamped > 10


@pytest.mark.parametrize(
    ("early", "factors"), [(True, [1, 1, 0.5, 0.5, 0.5, 0.25]), (False, [1, 1, 1, 0.5, 0.5, 0.5])]
)
def test_rates_are_halved_in_or_after_every_third_epoch(early: bool, factors: list[float]) -> None:
    optim = replace(SETUP.optim, halve_every=3, halve=["pi"], halve_early=early)
    rule = begun("gbp", replace(SETUP, optim=optim))
    seen: list[list[float]] = []
    for epoch in range(1, 7):
        rule.start_epoch(epoch)
        groups = rule.optimiser.param_groups  # type: ignore[attr-defined]
        seen.append([group["lr"] for group in groups])
    first = begun("gbp").rates  # type: ignore[attr-defined]
    for rates, factor in zip(seen, factors, strict=True):
        pi = [rate in (0.3, 0.1) for rate in first]  # the rates of pi
        want = [rate * factor if halved else rate for rate, halved in zip(first, pi, strict=True)]
        assert rates == want


@pytest.mark.parametrize("pi", [None, "sgd"])
def test_rmsprop_steps_with_coupled_decay_and_plain_descent_on_pi(pi: str | None) -> None:
    """theta <- theta - lr g / sqrt(s + eps), g with decay; with pi=sgd theta <- theta - lr g."""
    optim = Optim(name="rmsprop", beta2=0.9, eps=1e-8, eps_inside=True, pi=pi)
    rule = begun("gbp", replace(SETUP, optim=optim))
    flat = rule.network.flat
    square = {kind: torch.zeros_like(flat[kind]) for kind in KINDS}
    for t in range(1, 4):
        before = {kind: flat[kind].clone() for kind in KINDS}
        rule.step(*batch(t))
        for kind in KINDS:
            lr, decay = (
                rates_by_parameter(rule, SETUP.lr[kind]),
                rates_by_parameter(rule, SETUP.decay[kind]),
            )
            g = rule.gradients.grads[kind] + decay * before[kind]  # type: ignore[attr-defined]
            square[kind] = 0.9 * square[kind] + 0.1 * g**2
            size = 1.0 if kind == "pi" and pi == "sgd" else (square[kind] + 1e-8).sqrt()
            low, high = {"m": (-99, 99), "pi": (0, 1), "xi": (0, 99)}[kind]
            want = (before[kind] - lr * g / size).clamp(low, high)
            assert torch.allclose(flat[kind], want, rtol=1e-12, atol=1e-14)


def test_sgd_steps_down_the_gradient_with_decay() -> None:
    rule = begun("gbp", replace(SETUP, optim=Optim(name="sgd")))
    before = {kind: rule.network.flat[kind].clone() for kind in KINDS}
    rule.step(*batch(1))
    for kind, (low, high) in {"m": (-99, 99), "pi": (0, 1), "xi": (0, 99)}.items():
        lr, decay = (rates_by_parameter(rule, of[kind]) for of in (SETUP.lr, SETUP.decay))
        g = rule.gradients.grads[kind]  # type: ignore[attr-defined]
        want = (before[kind] - lr * (g + decay * before[kind])).clamp(low, high)
        assert torch.allclose(rule.network.flat[kind], want, rtol=1e-12, atol=1e-14)


def test_bp_keeps_pi_and_xi_at_zero_for_any_init() -> None:
    rule = begun("bp")
    for t in range(5):
        rule.step(*batch(t))
    assert (rule.network.flat["pi"] == 0).all() and (rule.network.flat["xi"] == 0).all()


def test_gbp_draws_fresh_noise_for_every_batch_and_epoch() -> None:
    rule = begun("gbp", STILL)
    losses = [rule.step(*batch(0)) for _ in range(3)]
    rule.start_epoch(2)
    losses.append(rule.step(*batch(0)))
    assert len({float(value) for loss in losses for value in loss}) == 8
    rule.start_epoch(1)
    assert torch.equal(rule.step(*batch(0)), losses[0])


def test_a_smaller_batch_does_not_change_the_noise_of_the_next() -> None:
    losses = []
    for size in (10, 7):
        rule = begun("gbp", STILL)
        rule.step(*batch(0, size))
        losses.append(rule.step(*batch(1)))
    assert torch.equal(*losses)


@pytest.mark.parametrize("name", ["gbp", "bp"])
def test_rule_continues_from_its_state_exactly(name: str) -> None:
    unbroken, other = begun(name), begun(name, replace(SETUP, seeds=[0, 1]))
    unbroken.step(*batch(1))
    other.load(deepcopy(unbroken.state()))
    other.setup = unbroken.setup
    for rule in (unbroken, other):
        rule.start_epoch(2)
        rule.step(*batch(2))
    assert torch.equal(unbroken.network.all, other.network.all)


# ---------------------------------------------------------------- evaluation


def test_prediction_modes_differ_for_gbp_only() -> None:
    x, _ = batch(0)
    noise = streams(SETUP.seeds, "test")
    gbp, bp = begun("gbp"), begun("bp")
    mean = gbp.logits(x)
    assert torch.equal(mean, gbp.network.run([layer.mean() for layer in gbp.network.layers], x))
    noisy = gbp.logits(x, noise)
    sampled = gbp.network.run(gbp.sample(streams(SETUP.seeds, "test")), x)
    assert not torch.allclose(noisy, mean) and not torch.allclose(sampled, mean)
    assert not torch.allclose(noisy, sampled)
    assert torch.equal(bp.logits(x), bp.logits(x, noise))
    assert torch.equal(bp.logits(x), bp.network.run(bp.sample(noise), x))


# ---------------------------------------------------------------- names


def test_an_unknown_rule_gets_a_suggestion() -> None:
    with pytest.raises(UserError, match="no learning rule 'gpb'; did you mean 'gbp'?"):
        rule_settings({"name": "gpb"})
    with pytest.raises(UserError, match="no learning rule 'base'"):
        rule_settings({"name": "base"})


EQUAL = replace(
    SETUP,
    lr={"m": [0.02] * 2, "pi": [0.3] * 2, "xi": [0.05] * 2},
    decay={"m": [0.1] * 2, "pi": [0.0] * 2, "xi": [0.2] * 2},
)


@pytest.mark.parametrize("convolutional", [False, True])
def test_population_of_equal_rates_steps_as_one_of_different(
    convolutional: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gBP's chain rule and AdamW in one pass equal the two one after the other."""
    ends = []
    for large, optimiser in ((1, SlabAdamW), (10**9, AdamW)):
        monkeypatch.setattr(fused, "LARGE", large)
        filters = Convolutional((1, 4, 3), (2, 3), Kernel(2, 1), 2, dtype=torch.float64)
        rule = begun("gbp", EQUAL, network=filters if convolutional else None)
        assert type(rule.optimiser) is optimiser
        losses = torch.stack([rule.step(*batch(t, 10 - t)) for t in range(6)])
        ends.append(torch.cat((rule.network.all.flatten(), losses.flatten())))
    assert (rule.network.flat["pi"] == 0).any()
    assert torch.allclose(*ends, rtol=1e-11, atol=1e-13)


def test_gradients_that_are_needed_are_those_of_the_parameters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fused, "LARGE", 1)
    by_layer = replace(EQUAL, lr=EQUAL.lr | {"hidden.m": [0.01] * 2}, m_var=[0.5] * 3)
    for name, setup in (
        ("gbp", SETUP),
        ("bp", by_layer),
        ("bp", EQUAL),
        ("gbp", replace(EQUAL, optim=Optim(clip=1.0))),
        ("gbp", replace(EQUAL, optim=Optim(name="rmsprop", beta2=0.9))),
        ("recurrent", replace(EQUAL, m_var=[0.5] * 3, xi_max=[0.01] * 3)),
    ):
        if name == "recurrent":
            network = Recurrent([3, 5, 3], Dynamics(2, 0.5), 2, dtype=torch.float64)
            rule = begun("gbp", setup, network=network)
        else:
            rule = begun(name, setup, (6, 6, 6, 6) if setup is by_layer else (6, 5, 3))
        assert not isinstance(rule.optimiser, SlabAdamW)
        assert not rule.gradients.before_chain  # type: ignore[attr-defined]
