"""The neural tangent kernel of the recurrent network."""

import math

import pytest
import torch
from reference import error, normal, rng
from torch import Tensor

from sascli.core.kernel import Scales, analytic, gradients, random_networks, relu_moments
from sascli.core.streams import fill_normal

ALL_ONE = Scales(alpha=1.0)


def two_sequences() -> Tensor:
    """(1, -1) and (cos 4.5, sin 4.5), each a sequence of two scalars."""
    x = [[1.0, -1.0], [math.cos(4.5), math.sin(4.5)]]
    return torch.tensor(x, dtype=torch.float64).unsqueeze(-1)


def empirical(x: Tensor, width: int, scales: Scales, networks: int = 1, *, seed: int) -> Tensor:
    """Kernels of finite random networks between sequences, (networks, samples, samples)."""
    generator, (steps, n_in) = rng(seed), x.shape[1:]
    network = random_networks(n_in, steps, width, scales, networks, generator=generator)
    rows = torch.stack(list(gradients(network, x, scales, generator=generator)), 1)
    return rows @ rows.mT


def test_relu_moments_equal_monte_carlo() -> None:
    k, k2, c = 1.5, 0.4, -0.3
    covariance = c * math.sqrt(k * k2)
    chol = torch.linalg.cholesky(torch.tensor([[k, covariance], [covariance, k2]]).double())
    h = normal(1_000_000, 2, seed=1) @ chol.mT
    tensors = (torch.tensor(v, dtype=torch.float64) for v in (covariance, k, k2))
    product, both = relu_moments(*tensors)
    for want, draws in ((product, h.relu().prod(1)), (both, (h > 0).all(1).double())):
        assert abs(draws.mean() - want) < 4 * draws.std() / 1000


def test_relu_moments_in_limits() -> None:
    covariance = torch.tensor([1.0, -1.0, 0.0, 0.0]).double()
    k, k2 = (
        torch.tensor([1.0, 1.0, 1.0, 0.0]).double(),
        torch.tensor([1.0, 1.0, 4.0, 1.0]).double(),
    )
    product, both = relu_moments(covariance, k, k2)
    assert product.tolist() == pytest.approx([0.5, 0, 2 / (2 * math.pi), 0])
    assert both.tolist() == pytest.approx([0.5, 0, 0.25, 0.25])


def test_one_sample_without_leak_by_hand() -> None:
    """Two steps: the variances of h are 1, 1 + 3/4 and 1 + 3/4 * 7/4 = 37/16."""
    theta = analytic(two_sequences()[:1], ALL_ONE)
    by_first_step = 0.25 * (1 + 2 * 0.5)
    by_second_step = 0.5 * (1 + 2 * 1.75 / 2)
    assert theta.item() == pytest.approx(by_first_step + by_second_step + 37 / 32)
    assert theta.item() == 97 / 32


@pytest.mark.parametrize(
    ("alpha", "shared", "want"),
    [
        (1.0, True, (3.031, 1.312, 1.912)),
        (0.5, True, (0.436, 0.351, 0.592)),
        (1.0, False, (3.031, 1.127, 1.912)),  # as published
        (0.5, False, (0.436, 0.211, 0.592)),
    ],
)
def test_two_samples_at_the_angle_4_5(alpha: float, shared: bool, want: tuple[float, ...]) -> None:
    """Both conventions of h(0): one draw shared by all samples, and one for each.

    Values of a second implementation of the recursion and, within errors, of networks.
    """
    theta = analytic(two_sequences(), Scales(alpha=alpha, shared_start=shared))
    got = theta[[0, 0, 1], [0, 1, 1]].tolist()
    assert got == pytest.approx(want, abs=6e-4)


def test_one_step_is_a_network_with_one_hidden_layer() -> None:
    """From h(0) = 0, one step: Theta = E[1 1'] x x' / n_in + E[r r'] of h = w_in x."""
    x = normal(3, 1, 4, seed=2)
    covariance = (x.flatten(1) @ x.flatten(1).mT) / 4
    k = covariance.diagonal()
    product, both = relu_moments(covariance, k[:, None], k[None, :])
    theta = analytic(x, Scales(alpha=1.0, start=0.0))
    assert error(theta, covariance * both + product) < 1e-12


@pytest.mark.parametrize("shared", [True, False])
def test_the_kernel_is_symmetric_positive_and_pairwise(shared: bool) -> None:
    x, scales = (
        normal(5, 6, 3, seed=3),
        Scales(alpha=0.3, w_rec=1.2, w_out=0.7, shared_start=shared),
    )
    theta = analytic(x, scales)
    assert error(theta, theta.mT) < 1e-12
    assert torch.linalg.eigvalsh(theta).min() > 0
    assert error(analytic(x[[3, 1]], scales), theta[[3, 1]][:, [3, 1]]) < 1e-12


def test_the_empirical_kernel_is_that_of_autograd() -> None:
    """Gradients of the scaled parameters: all m, and pi and Xi of the recurrent layer."""
    x, width, count = normal(2, 3, 2, seed=4), 5, 2
    scales = Scales(alpha=0.6, w_in=0.8, w_rec=1.3, w_out=0.9)
    got = empirical(x, width, scales, count, seed=5)
    generator = rng(5)
    network = random_networks(2, 3, width, scales, count, generator=generator)
    w_in, w_rec, w_out = network.layers
    factors = {w_in.m: 0.8 / 2**0.5, w_rec.m: 1.3 / width**0.5, w_out.m: 0.9 / width**0.5}
    factors |= {w_rec.pi: 1.0, w_rec.xi: 1 / width}
    rows = []
    for sample in x.flatten(1):
        noise = fill_normal(x.new_empty(count, network.noise_size), generator)
        y = network(sample.view(1, -1), network.split_noise(noise, 1)).sum()
        grads = torch.autograd.grad(y, list(factors))
        scaled = [g.flatten(1) * f for g, f in zip(grads, factors.values(), strict=True)]
        rows.append(torch.cat(scaled, 1))
    want = torch.stack(rows, 1)
    assert error(got, want @ want.mT) < 1e-10


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("alpha", [1.0, 0.5])
def test_the_empirical_kernel_has_the_analytic_mean(alpha: float, shared: bool) -> None:
    x, scales, count = two_sequences(), Scales(alpha=alpha, shared_start=shared), 40
    drawn = empirical(x, 300, scales, count, seed=6)
    standard_error = drawn.std(0) / math.sqrt(count)
    theta = analytic(x, scales)
    assert ((drawn.mean(0) - theta).abs() < 3 * standard_error + 0.02 * theta).all()


@pytest.mark.slow
def test_the_empirical_kernel_converges() -> None:
    """The deviation of single networks falls like width^(-1/2), here from 100 to 2000."""
    x = two_sequences()
    theta = analytic(x, ALL_ONE)
    networks = [
        torch.cat([empirical(x, width, ALL_ONE, seed=seed) for seed in range(count)])
        for width, count in ((100, 60), (2000, 6))
    ]
    narrow, wide = ((drawn - theta).square().mean().sqrt() for drawn in networks)
    assert 2 < narrow / wide < 10
    assert wide < 0.15
