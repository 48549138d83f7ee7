"""What protects earlier tasks: EWC's penalty, and steps held back by credit."""

import pytest
import torch
from torch import Tensor

from sascli.config import Optim, RuleSettings
from sascli.continual.protection import EWC, VIP, Certainty, Protection, uncertainty
from sascli.core.fisher import fisher
from sascli.core.network import FeedForward
from sascli.core.spike_slab import SpikeSlab
from sascli.rules import rule_class
from sascli.rules.base import Setup
from sascli.rules.gradient import GradientRule

KINDS = ("m", "pi", "xi")
SETUP = Setup(
    seeds=[3, 8],
    batch_size=20,
    lr={kind: [0.1, 0.1] for kind in KINDS},
    decay={kind: [0.01, 0.01] for kind in KINDS},
    optim=Optim(),
    m_var=[0.5] * 3,
    pi=0.1,
    xi_max=[0.01] * 3,
)


def begun(name: str, dtype: torch.dtype = torch.float64) -> GradientRule:
    settings = RuleSettings(name)
    rule = rule_class(settings)(FeedForward((6, 5, 4, 3), 2, dtype=dtype), settings, SETUP)
    assert isinstance(rule, GradientRule)
    rule.initialise()
    rule.start_epoch(1)
    return rule


def images(task: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(task)
    x = torch.rand(2, 20, 6, generator=generator).to(dtype)
    return x, torch.randint(3, (2, 20), generator=generator)


def train(rule: GradientRule, task: int, steps: int = 30) -> None:
    for _ in range(steps):
        rule.step(*images(task, rule.network.all.dtype))


def remember(protection: Protection, task: int, shared: int = 3) -> None:
    x = images(task, protection.network.all.dtype)[0]
    protection.remember(lambda: fisher(protection.network, [x]), shared)


# ---------------------------------------------------------------- elastic weight consolidation


def test_gradient_of_the_penalty() -> None:
    """lambda / 2 sum_k sum_i F_i^k (m_i - m_i^k)^2, two tasks, a lambda for each replica."""
    strength = torch.tensor([7.0, 300.0], dtype=torch.float64)
    rule = begun("bp")
    protection = EWC(rule, strength)
    terms = []
    for task in (1, 2):
        train(rule, task)
        remember(protection, task, shared=2)
        information = fisher(rule.network, [images(task)[0]])
        terms.append((information, rule.network.flat["m"].clone()))
    train(rule, 3)
    m = rule.network.flat["m"].clone().requires_grad_()
    penalty = torch.zeros((), dtype=torch.float64)
    for information, before in terms:
        parts = [rule.network.split(value) for value in (information, m, before)]
        for f, now, then in list(zip(*parts, strict=True))[:2]:  # the output layer is not shared
            penalty = penalty + (strength.view(-1, 1, 1) / 2 * f * (now - then) ** 2).sum()
    penalty.backward()
    rule.gradients.grads["m"].zero_()
    protection.penalise()
    assert m.grad is not None and m.grad.abs().max() > 0.1
    torch.testing.assert_close(rule.gradients.grads["m"], m.grad, rtol=1e-10, atol=1e-10)


def test_penalty_changes_the_step() -> None:
    def moved(strength: float) -> Tensor:
        rule = begun("bp")
        protection = EWC(rule, torch.full((2,), strength, dtype=torch.float64))
        train(rule, 1)
        remember(protection, 1)
        before = rule.network.flat["m"].clone()
        important = fisher(rule.network, [images(1)[0]]) > 1e-3
        train(rule, 2, 60)
        return (rule.network.flat["m"] - before)[important].abs().mean()

    assert moved(1e4) < 0.2 * moved(0.0)


# ---------------------------------------------------------------- steps held back


def test_uncertainty_is_the_relative_variance() -> None:
    """0 for a VIP, the spike mass where Xi = 0, 1 for a UIP; the same in every unit of w."""
    layer = SpikeSlab(1, 6, dtype=torch.float64)
    values = {
        "m": [0.7, 0.7, 0.7, 0.7, 0.0, 0.0],
        "pi": [0.0, 0.3, 1.0, 0.2, 0.4, 0.0],
        "xi": [0.0, 0.0, 0.1, 0.05, 0.1, 0.0],
    }
    for kind, value in values.items():
        getattr(layer, kind).data[:] = torch.tensor(value, dtype=torch.float64)
    v = uncertainty(layer)[0, 0]
    general = (0.05 + 0.2 * 0.49) / (0.05 + 0.49)
    expected = torch.tensor([0.0, 0.3, 1.0, general, 1.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(v, expected, rtol=1e-12, atol=0)
    layer.m.data *= 3
    layer.xi.data *= 9
    torch.testing.assert_close(uncertainty(layer)[0, 0], expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_frozen_connections_keep_their_parameters_bit_for_bit(dtype: torch.dtype) -> None:
    """In spite of Adam's moments, the decay and the projection; the others do move."""
    rule = begun("gbp", dtype)
    protection = VIP(rule, torch.tensor([1e-6, 0.2], dtype=dtype))
    train(rule, 1, 100)
    remember(protection, 1, shared=2)
    before = rule.network.all.clone()
    frozen = protection.scale == 0
    slabs = zip(rule.network.split(frozen), rule.network.layers, strict=True)
    for number, (mask, layer) in enumerate(slabs):
        vips = (layer.vip() & (layer.m != 0))[0]
        assert torch.equal(mask[0], vips if number < 2 else torch.zeros_like(vips))
    assert 10 < frozen.sum() < 0.9 * frozen.numel()
    train(rule, 2, 100)
    assert torch.equal(rule.network.all[:, frozen], before[:, frozen])
    assert (rule.network.flat["m"] != before[0])[~frozen].all()


def test_certainty_scales_steps_by_the_relative_variance() -> None:
    """theta + v^gamma (theta' - theta), then the projection."""
    rule, free = begun("gbp"), begun("gbp")
    gamma = torch.tensor([0.5, 2.0], dtype=torch.float64)
    protection = Certainty(rule, gamma)
    remember(protection, 1)
    shares = [
        uncertainty(layer) ** gamma.view(-1, 1, 1) for layer in rule.network.layers
    ]  # fmt: skip
    before = rule.network.all.clone()
    train(rule, 1, 1)
    reached: list[Tensor] = []
    free.optimiser.register_step_post_hook(lambda *_: reached.append(free.network.all.clone()))
    train(free, 1, 1)
    share = torch.cat([value.flatten() for value in shares])
    expected = before + share * (reached[0] - before)
    expected[1].clamp_(0, 1)
    expected[2].clamp_(min=0)
    torch.testing.assert_close(rule.network.all, expected, rtol=1e-12, atol=1e-15)


def test_scales_never_grow() -> None:
    rule = begun("gbp")
    protection = Certainty(rule, torch.ones(2, dtype=torch.float64))
    seen = [protection.scale.clone()]
    for task in (1, 2, 3):
        train(rule, task)
        remember(protection, task, shared=2)
        seen.append(protection.scale.clone())
        assert (seen[-1] <= seen[-2]).all() and (seen[-1] < seen[-2]).any()
    assert (rule.network.split(seen[-1])[2] == 1).all()


# ---------------------------------------------------------------- no protection


@pytest.mark.parametrize(("name", "kind"), [("bp", EWC), ("gbp", VIP), ("gbp", Certainty)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_strength_zero_protects_nothing_bit_for_bit(
    name: str, kind: type[Protection], dtype: torch.dtype
) -> None:
    """For a replica of strength 0 even beside one that is protected."""
    plain, protected = begun(name, dtype), begun(name, dtype)
    protections = [
        Protection(plain, torch.zeros(2, dtype=dtype)),
        kind(protected, torch.tensor([0.0, 0.5], dtype=dtype)),
    ]
    for task in (1, 2, 3):
        for protection in protections:
            train(protection.rule, task)
            remember(protection, task)
    for one, other in zip(plain.network.layers, protected.network.layers, strict=True):
        for kind in KINDS:
            first, second = getattr(one, kind), getattr(other, kind)
            assert torch.equal(first[0], second[0])
        assert not torch.equal(one.m[1], other.m[1])
