"""Symmetry breaking of the single read-out neuron."""

import math
from typing import Any

import pytest
import torch

from sascli.analysis.order_parameters import order_parameters
from sascli.core.streams import fill_normal, fill_uniform, stream

RATES = {"m": 0.05, "pi": 0.1, "xi": 0.1}
STILL = {"m": 0.0, "pi": 0.0, "xi": 0.0}
SINE = torch.tensor([math.sin(2 * math.pi * t / 20) for t in range(1, 21)], dtype=torch.float64)


def of(parameter: str, **settings: Any) -> dict[str, list[float]]:
    """Columns of one parameter's rows."""
    table = order_parameters(**{"n": 50, "epochs": 30, "lr": RATES, "seeds": [4]} | settings)
    return table[table["parameter"] == parameter].to_dict("list")


def test_without_variance_the_field_obeys_a_scalar_recursion() -> None:
    """M = sum m / sqrt(N): M <- M - lr sum (tanh(s M) - s)(1 - tanh^2) s, m along (1, ..., 1)."""
    got = of("m", pi_max=0, xi_max=0, lr={"m": 0.05, "pi": 0, "xi": 0}, every=1, halve_every=10)
    m = fill_normal(torch.empty(1, 1, 50).double(), [stream(4, "init")])[0, 0] / math.sqrt(50)
    field = start = m.sum() / math.sqrt(50)
    for epoch in range(31):
        moved = m + (field - start) / math.sqrt(50)
        overlap = torch.nn.functional.cosine_similarity(m, moved, 0).item()
        assert got["field"][epoch] == pytest.approx(field.item(), abs=1e-10)
        assert got["to_start"][epoch] == pytest.approx(overlap, abs=1e-10)
        y = (SINE * field).tanh()
        assert got["loss"][epoch] == pytest.approx(((y - SINE) ** 2).sum().item() / 2)
        rate = 0.05 / 2 ** (epoch // 10)
        field = field - rate * ((y - SINE) * (1 - y**2) * SINE).sum()


def test_one_epoch_is_autograd_of_the_plain_formula() -> None:
    seeds = [stream(4, "init")]
    shape = (1, 1, 50)
    m = fill_normal(torch.empty(shape).double(), seeds)[0, 0] / math.sqrt(50)
    pi = fill_uniform(torch.empty(shape).double(), seeds)[0, 0] * 0.1
    xi = fill_uniform(torch.empty(shape).double(), seeds)[0, 0] * 0.1
    eps = fill_normal(torch.empty(1, 20, 1).double(), [stream(4, "noise")])[0, :, 0]
    values = [t.requires_grad_() for t in (m, pi, xi)]
    second = ((1 - pi) * (xi + m**2) - ((1 - pi) * m) ** 2).mean()
    u = SINE * ((1 - pi) * m).sum() / math.sqrt(50) + eps * SINE.abs() * second.sqrt()
    loss = ((u.tanh() - SINE) ** 2).sum() / 2
    grads = torch.autograd.grad(loss, values)
    for (kind, rate), value, grad in zip(RATES.items(), values, grads, strict=True):
        after = (value - rate * grad).detach()
        after = after if kind == "m" else after.clamp(min=0)
        field = after.sum() / (math.sqrt(50) if kind == "m" else 50)
        got = of(kind, epochs=1, every=1)
        assert got["loss"][0] == pytest.approx(loss.item())
        assert got["field"][1] == pytest.approx(field.item(), abs=1e-12)


def test_overlaps_of_weights_that_do_not_learn() -> None:
    table = order_parameters(20_000, epochs=10, lr=STILL, seeds=[0, 1, 2])
    last = table[table["epoch"] == 10].groupby("parameter").mean()
    assert last["to_start"].tolist() == pytest.approx([1, 1, 1])
    assert last.loc["m", "to_others"] == pytest.approx(0, abs=0.03)
    assert last.loc["pi", "to_others"] == pytest.approx(0.75, abs=0.01)  # (1/2)^2 / (1/3)


def test_parameters_that_are_0_have_no_overlap() -> None:
    assert of("pi", pi_max=0, epochs=0, seeds=[0, 1, 2])["to_others"] == [0, 0, 0]


def test_a_seed_does_not_depend_on_the_others() -> None:
    together = order_parameters(50, epochs=20, lr=RATES, seeds=[1, 4])
    alone = order_parameters(50, epochs=20, lr=RATES, seeds=[4])
    part = together[together["seed"] == 4]
    assert part["field"].tolist() == pytest.approx(alone["field"].tolist())
    assert alone["to_others"].isna().all() and together["to_others"].notna().all()


def test_learning_breaks_the_symmetry_of_m() -> None:
    table = order_parameters(1000, epochs=100, lr=RATES, seeds=[0, 1])
    m = table[table["parameter"] == "m"].groupby("epoch").mean(numeric_only=True)
    assert m.loc[100, "field"] > 1
    assert m.loc[100, "to_others"] > m.loc[0, "to_others"] + 0.4
    assert m.loc[100, "loss"] < 0.1 * m.loc[0, "loss"]
