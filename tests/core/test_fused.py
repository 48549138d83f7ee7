"""Loops compiled by numba against torch's operations and the plain formulas."""

import math
from collections.abc import Callable
from typing import Any

import numba
import pytest
import torch
from reference import ended_parameters, error, normal, smooth_parameters, uniform
from torch import Tensor

from sascli.core import fused, mean_field
from sascli.core.optimisers import AdamW, SlabAdamW

SHAPE = (2, 5, 37)
BOUND = {torch.float32: 1e-6, torch.float64: 1e-14}
dtypes = pytest.mark.parametrize("dtype", BOUND)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loops for small tensors, too."""
    monkeypatch.setattr(fused, "LARGE", 1)


def results(case: str, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """What a function of `mean_field` computes for parameters at all their ends."""
    m, pi, xi = (value.to(dtype) for value in ended_parameters(*SHAPE))
    first, second = normal(*SHAPE, seed=7).to(dtype), normal(*SHAPE, seed=8).to(dtype)
    if case == "moments":
        return mean_field.moments(m, pi, xi)
    if case == "noise":  # some variances are 0
        return mean_field.add_noise(m.clone(), xi.clone(), first, 0.3)
    return mean_field.parameter_gradients(m, pi, xi, first, second)


@dtypes
@pytest.mark.parametrize("case", ["noise", "moments", "chain"])
def test_loop_equals_torch(case: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    got = results(case, dtype)
    monkeypatch.setattr(fused, "fit", lambda *_: False)
    for one, other in zip(got, results(case, dtype), strict=True):
        assert one.dtype == dtype and one.isfinite().all()
        assert error(one, other.double()) < BOUND[dtype]


@dtypes
def test_noise_ends(dtype: torch.dtype) -> None:
    variance = torch.tensor([0, math.nan, -1, math.inf, 4], dtype=dtype)
    one, two = torch.ones_like(variance), torch.full_like(variance, 2)
    z, r = mean_field.add_noise(one, variance, two, 3)
    torch.testing.assert_close(r, r.new_tensor([0, math.nan, math.nan, 0, 1]), equal_nan=True)
    torch.testing.assert_close(z, z.new_tensor([3] + 3 * [math.nan] + [15]), equal_nan=True)


def test_tensors_that_do_not_fit() -> None:
    x = torch.rand(3, 4)
    assert fused.fit(x, x, torch.rand(3, 4))
    others = (x.mT, x[:2], x.double(), x[:, ::2], torch.rand(3, 4, device="meta"))
    assert not any(fused.fit(x, other) or fused.fit(other, x) for other in others)
    assert not fused.fit(x.bfloat16()) and not fused.fit(x[:0])


Optimiser = Callable[..., AdamW]


def train(kind: Optimiser, dtype: torch.dtype, resumed: Optimiser | None = None) -> list[Tensor]:
    """Parameters and state after six steps with projection; the last three by `resumed`."""
    flat = torch.stack([value.flatten() for value in smooth_parameters(*SHAPE)]).to(dtype)
    values = dict(zip(("m", "pi", "xi"), flat, strict=True))
    grads = torch.zeros_like(flat)
    rates = {"m": (0.02, 0.1), "xi": (0.02, 0.1), "pi": (0.3, 0.0)}  # m and Xi share a group
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for (name, pair), grad in zip(rates.items(), grads[[0, 2, 1]], strict=True):
        groups.setdefault(pair, []).append(values[name])
        values[name].grad = grad

    def make(kind: Optimiser) -> AdamW:
        params = [{"params": p, "lr": lr, "weight_decay": d} for (lr, d), p in groups.items()]
        return kind(params, betas=(0.9, 0.99), fused=True)

    optimiser, bounded = make(kind), 0
    for step in range(6):
        if step == 3 and resumed is not None:
            state, optimiser = optimiser.state_dict(), make(resumed)
            optimiser.load_state_dict(state)
        by_mu, by_var = normal(flat.shape[1], seed=step), normal(flat.shape[1], seed=step + 9)
        g = {"m": by_mu.to(dtype), "xi": by_var.to(dtype), "pi": torch.zeros_like(flat[1])}
        if type(optimiser) is AdamW:
            mean_field.chain(*values.values(), g["m"], g["pi"], g["xi"])
        for name, value in values.items():
            assert value.grad is not None
            value.grad.copy_(g[name])
        optimiser.step()
        bounded += int((flat[1:] < 0).sum())
        values["pi"].clamp_(0, 1)
        values["xi"].clamp_(min=0)
    assert bounded > 10
    states: list[dict[str, Any]] = [optimiser.state[value] for value in values.values()]
    assert all(state["step"] == 6 for state in states)
    return [flat, *(state[name] for state in states for name in ("exp_avg", "exp_avg_sq"))]


@dtypes
@pytest.mark.parametrize("resumed", [None, AdamW, SlabAdamW])
def test_step_equals_chain_rule_and_adamw(dtype: torch.dtype, resumed: type[AdamW] | None) -> None:
    """Also where a run continues with the state of the other, for example of an older version."""
    for got, want in zip(train(SlabAdamW, dtype, resumed), train(AdamW, dtype), strict=True):
        assert error(got, want.double()) < 100 * BOUND[dtype]


def test_loop_without_a_folder_for_its_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    njit, attempts = numba.njit, []

    def refuse(cache: bool = False, **options: Any) -> Any:
        attempts.append(cache)
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return njit(**options)

    monkeypatch.setattr(numba, "njit", refuse)
    double = fused.fused(_double)
    x = uniform(4)
    double(y := x.clone(), factor=2.0)
    assert attempts == [True, False] and torch.equal(y, 2 * x)


def _double(x: Any, factor: float) -> None:
    for i in range(x.size):
        x[i] *= factor
