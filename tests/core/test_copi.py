"""COPI's updates, forward pass and perturbations against their definitions."""

import pytest
import torch
import torch.nn.functional as F
from reference import error, normal, rng
from torch import Tensor

from sascli.core.copi import Decorrelated, correlation, decorrelate_, infer_, mean_square
from sascli.core.network import FeedForward

BATCH, SLOPE = 9, 0.1
WIDTHS = [7, 6, 5, 4]
REPLICAS = pytest.mark.parametrize("replicas", [1, 2])


def rates(replicas: int) -> Tensor:
    """Different rates of the replicas."""
    return torch.linspace(0.1, 0.3, replicas, dtype=torch.float64).view(-1, 1, 1)


def off_diagonal(x: Tensor) -> Tensor:
    """<x x^T> - diag<x^2> of one replica, entry by entry."""
    n = x.shape[-1]
    c = torch.zeros(n, n, dtype=x.dtype)
    for i in range(n):
        for j in range(n):
            if i != j:
                c[i, j] = (x[:, i] * x[:, j]).mean()
    return c


def make(replicas: int = 1, feedback: bool = False) -> Decorrelated:
    """A network with random W and R, and feedback if asked for."""
    network = FeedForward(WIDTHS, replicas, dtype=torch.float64)
    layers = Decorrelated(network, SLOPE)
    for number, (w, r) in enumerate(zip(layers.w, layers.r, strict=True)):
        w.copy_(normal(*w.shape, seed=number))
        r += 0.3 * normal(*r.shape, seed=10 + number)
    if feedback:
        layers.feedback = [normal(*w.shape, seed=20) for w in layers.w[1:]]
    return layers


@REPLICAS
@pytest.mark.parametrize("local", [False, True])
def test_decorrelation_equals_definition(local: bool, replicas: int) -> None:
    x, r, rate = normal(replicas, BATCH, 6), normal(replicas, 6, 6, seed=1), rates(replicas)
    want = []
    for own_r, xr, rate_r in zip(r, x, rate, strict=True):
        c = off_diagonal(xr)
        want.append(own_r - rate_r * (own_r @ c if local else c @ own_r))
    got = decorrelate_(r, x, mean_square(x), rate, local=local)
    assert got is r
    assert error(r, torch.stack(want)) < 1e-10


@REPLICAS
def test_inference_equals_definition(replicas: int) -> None:
    x, target = normal(replicas, BATCH, 6), normal(replicas, BATCH, 4, seed=1)
    w, rate = normal(replicas, 4, 6, seed=2), rates(replicas)
    want = w.clone()
    for r_one, xr, zr, rate_r in zip(want, x, target, rate, strict=True):
        hebb = sum(torch.outer(z, each) for z, each in zip(zr, xr, strict=True)) / BATCH
        r_one += rate_r * (hebb - r_one @ torch.diag((xr**2).mean(0)))
    assert infer_(w, x, target, rate, mean_square(x)) is w
    assert error(w, want) < 1e-10


def test_decorrelated_inputs_without_perturbation_are_a_fixed_point() -> None:
    basis = torch.linalg.qr(normal(BATCH, 6))[0]
    x = (basis * torch.arange(1, 7, dtype=torch.float64)).unsqueeze(0)
    w, r = normal(1, 4, 6, seed=1), normal(1, 6, 6, seed=2)
    before = w.clone(), r.clone()
    infer_(w, x, x @ w.mT, 0.5, mean_square(x))
    decorrelate_(r, x, mean_square(x), 0.5)
    assert error(w, before[0]) < 1e-14
    assert error(r, before[1]) < 1e-14


def test_correlated_inputs_are_not_a_fixed_point() -> None:
    x, w = normal(1, BATCH, 6), normal(1, 4, 6, seed=1)
    before = w.clone()
    infer_(w, x, x @ w.mT, 0.5, mean_square(x))
    assert error(w, before) > 1e-2


@pytest.mark.parametrize("local", [False, True])
def test_r_alone_decorrelates_gaussian_data(local: bool) -> None:
    mixing = torch.eye(6, dtype=torch.float64) + 0.4 * normal(6, 6)
    data = normal(1, 400, 6, seed=1) @ mixing.T
    r = torch.eye(6, dtype=torch.float64).unsqueeze(0)
    before, variance = correlation(data).item(), mean_square(data).sum().item()
    for _ in range(4000):
        x = data @ r.mT
        decorrelate_(r, x, mean_square(x), 0.005, local=local)
    x = data @ r.mT
    assert before > 0.2
    assert correlation(x).item() < 0.01 * before
    assert mean_square(x).sum().item() < 0.98 * variance
    assert torch.linalg.det(r[0]).item() == pytest.approx(1, abs=0.02)


def test_determinant_is_conserved_to_first_order() -> None:
    x, r = normal(1, BATCH, 6), normal(1, 6, 6, seed=1)
    changes = []
    for rate in (1e-3, 5e-4):
        changed = decorrelate_(r.clone(), x @ r.mT, mean_square(x @ r.mT), rate)
        changes.append((torch.linalg.det(changed) / torch.linalg.det(r) - 1).abs().item())
    assert changes[0] < 1e-3
    assert changes[0] / changes[1] == pytest.approx(4, rel=0.1)


def test_correlation_equals_definition() -> None:
    x = normal(2, BATCH, 5)
    for got, r_one in zip(correlation(x), x, strict=True):
        norms = [(r_one[:, i] ** 2).mean().sqrt() for i in range(5)]
        scaled = off_diagonal(r_one) / torch.outer(torch.stack(norms), torch.stack(norms))
        assert got.item() == pytest.approx(scaled.abs().sum().item() / 20, rel=1e-12)


def test_correlation_ignores_silent_neurons() -> None:
    x = normal(1, BATCH, 3)
    with_silent = torch.cat([x, torch.zeros(1, BATCH, 2, dtype=torch.float64)], -1)
    assert error(correlation(with_silent), correlation(x)) < 1e-12
    assert correlation(torch.ones(1, BATCH, 4, dtype=torch.float64)).item() == pytest.approx(1)
    assert correlation(torch.zeros(1, BATCH, 4)).item() == 0


@REPLICAS
def test_forward_equals_definition(replicas: int) -> None:
    layers, y = make(replicas), normal(replicas, BATCH, WIDTHS[0], seed=30)
    inputs, activations = layers.forward(y)
    for r, w, x, a in zip(layers.r, layers.w, inputs, activations, strict=True):
        assert error(x, torch.einsum("rij,rbj->rbi", r, y)) < 1e-12
        assert error(a, torch.einsum("rij,rbj->rbi", w, x)) < 1e-12
        y = torch.where(a > 0, a, SLOPE * a)


def test_new_network_does_not_change_its_inputs() -> None:
    layers = Decorrelated(FeedForward(WIDTHS, 2), SLOPE)
    y = torch.rand(2, BATCH, WIDTHS[0], generator=rng())
    assert torch.equal(layers.forward(y)[0][0], y)


@REPLICAS
def test_perturbations_are_gradients_of_every_image(replicas: int) -> None:
    layers, y = make(replicas), normal(replicas, BATCH, WIDTHS[0], seed=30)
    labels = torch.randint(WIDTHS[-1], (replicas, BATCH), generator=rng(31))
    _, activations = layers.forward(y)
    loss, slope = layers.squared_error(activations[-1], labels)
    p = layers.perturbations(activations, -1000 * slope)

    added = [torch.zeros_like(a, requires_grad=True) for a in activations]
    for r, w, extra in zip(layers.r, layers.w, added, strict=True):
        y = F.leaky_relu(y @ r.mT @ w.mT + extra, SLOPE)
    square = ((y - F.one_hot(labels, WIDTHS[-1])) ** 2).sum(-1) / 2
    square.sum().backward()
    assert error(loss, square.mean(-1).detach()) < 1e-12
    for r_one, extra in zip(p, added, strict=True):
        assert extra.grad is not None
        assert error(r_one, -1000 * extra.grad) < 1e-10


@REPLICAS
def test_feedback_matrices_propagate_perturbations(replicas: int) -> None:
    layers, y = make(replicas, feedback=True), normal(replicas, BATCH, WIDTHS[0], seed=30)
    _, activations = layers.forward(y)
    p = layers.perturbations(activations, normal(replicas, BATCH, WIDTHS[-1], seed=31))
    for number in range(len(p) - 1):
        down = torch.einsum("rij,rbi->rbj", layers.feedback[number], p[number + 1])
        slope = torch.where(activations[number] > 0, torch.ones_like(down), SLOPE)
        assert error(p[number], slope * down) < 1e-12


def test_single_precision_follows_double() -> None:
    x, r = normal(2, 50, 700), torch.eye(700) + normal(2, 700, 700, seed=1) / 700
    want = decorrelate_(r.clone(), x, mean_square(x), 0.1)
    single = x.float()
    got = decorrelate_(r.float(), single, mean_square(single), 0.1)
    assert error(got, want) < 1e-5
