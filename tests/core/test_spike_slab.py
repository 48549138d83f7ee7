"""The spike-and-slab distribution: moments, samples, masks, projection, entropies."""

import math
from collections.abc import Callable
from itertools import pairwise, product

import pytest
import torch
from reference import ended_parameters, error, normal, rng, smooth_parameters
from scipy.integrate import quad
from torch import Tensor

from sascli.core import SpikeSlab
from sascli.core.streams import streams

POINTS = [(0.3, 1.0, 0.05), (0.3, 0.01, 0.05), (0.9, -0.2, 2.0), (0.05, 0.0, 1e-3)]


def make(m: Tensor, pi: Tensor, xi: Tensor) -> SpikeSlab:
    replicas, n_out, n_in = m.shape
    weights = SpikeSlab(n_out, n_in, replicas, dtype=m.dtype)
    for parameter, value in ((weights.m, m), (weights.pi, pi), (weights.xi, xi)):
        parameter.data.copy_(value)
    return weights


def constant(point: tuple[float, float, float], n: int = 1) -> SpikeSlab:
    """Connections that all have the same (pi, m, xi)."""
    pi, m, xi = (torch.full((1, 1, n), value, dtype=torch.float64) for value in point)
    return make(m, pi, xi)


def density(w: float, m: float, xi: float) -> float:
    return math.exp(-((w - m) ** 2) / (2 * xi)) / math.sqrt(2 * math.pi * xi)


def integrate(
    function: Callable[[float], float], m: float, xi: float, breaks: tuple[float, ...] = ()
) -> float:
    """Integral over the slab, 12 standard deviations to each side, cut at the breaks."""
    low, high = m - 12 * math.sqrt(xi), m + 12 * math.sqrt(xi)
    points = sorted({low, m, high, *(b for b in breaks if low < b < high)})
    parts = (quad(function, a, b, epsabs=1e-12, limit=200)[0] for a, b in pairwise(points))
    return math.fsum(parts)


def mixed_by_integration(pi: float, m: float, xi: float) -> float:
    """-S is the integral of the density times its log, plus the point mass times its log."""

    def term(w: float) -> float:
        p = (1 - pi) * density(w, m, xi)
        return p * math.log(p)

    return -integrate(term, m, xi) - (pi * math.log(pi) if pi else 0.0)


def paper_by_integration(pi: float, m: float, xi: float, half_width: float) -> float:
    """Eq. 8's estimator for endless draws."""

    def term(w: float) -> float:
        box = 1 / (2 * half_width) if abs(w) < half_width else 0.0
        return density(w, m, xi) * math.log(pi * box + (1 - pi) * density(w, m, xi))

    slab = integrate(term, m, xi, (-half_width, half_width))
    return -pi * math.log(pi + (1 - pi) * density(0.0, m, xi)) - (1 - pi) * slab


def test_a_new_layer_is_zero() -> None:
    weights = SpikeSlab(4, 5, 3, dtype=torch.float64)
    parameters = dict(weights.named_parameters())
    assert set(parameters) == {"m", "pi", "xi"}
    for parameter in parameters.values():
        assert parameter.shape == (3, 4, 5)
        assert parameter.dtype == torch.float64
        assert (parameter == 0).all()


@pytest.mark.parametrize("ends", [False, True])
def test_moments_are_their_definitions(ends: bool) -> None:
    m, pi, xi = (ended_parameters if ends else smooth_parameters)(2, 5, 7)
    weights = make(m, pi, xi)
    first, second = (1 - pi) * m, (1 - pi) * (xi + m**2)
    assert error(weights.mean().detach(), first) < 1e-14
    assert error(weights.variance().detach(), second - first**2) < 1e-13


def test_variance_is_never_negative_in_float32() -> None:
    m, pi, _ = smooth_parameters(1, 100, 100)
    weights = make((1e3 * m).float(), (1e-7 * pi).float(), torch.zeros(1, 100, 100))
    assert (weights.variance() >= 0).all()
    assert (weights.variance() > 0).any()


def test_moments_are_differentiable() -> None:
    weights = make(*smooth_parameters(1, 3, 4))
    (weights.mean().sum() + weights.variance().sum()).backward()
    m, pi, xi = smooth_parameters(1, 3, 4)
    want = {
        "m": (1 - pi) * (1 + 2 * pi * m),
        "pi": -m - xi + m**2 * (1 - 2 * pi),
        "xi": 1 - pi,
    }
    for name, parameter in weights.named_parameters():
        assert error(parameter.grad, want[name]) < 1e-14, name


def test_moments_of_samples() -> None:
    kinds, draws = 40, 20_000
    m, pi, xi = (p.expand(1, kinds, draws) for p in ended_parameters(1, kinds, 1, seed=2))
    weights = make(m, pi, xi)
    w, mean, variance = weights.sample(generator=rng(3))[0], weights.mean(), weights.variance()
    mu, var = mean.detach()[0, :, 0], variance.detach()[0, :, 0]
    squares = (w - mu[:, None]).square()
    mean_error = (var / draws).sqrt()
    variance_error = (squares.var(1) / draws).sqrt()
    exact = var == 0
    assert exact.any()
    assert torch.equal(w[exact], mu[exact, None].expand(-1, draws))
    assert ((w.mean(1) - mu).abs()[~exact] < 4.5 * mean_error[~exact]).all()
    assert ((squares.mean(1) - var).abs()[~exact] < 4.5 * variance_error[~exact]).all()


def test_samples_are_spikes_and_slabs() -> None:
    pi, m, xi, n = 0.3, 0.7, 0.25, 100_000
    w = constant((pi, m, xi), n).sample(generator=rng(4)).flatten()
    slab = w[w != 0]
    spikes = 1 - len(slab) / n
    assert abs(spikes - pi) < 4.5 * math.sqrt(pi * (1 - pi) / n)
    standard = (slab - m) / math.sqrt(xi)
    for power, moment, spread in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        got = standard.pow(power).mean().item()
        assert abs(got - moment) < 4.5 * math.sqrt(spread / len(slab)), power


def test_sample_is_zero_where_pi_is_one() -> None:
    m, pi, xi = smooth_parameters(2, 30, 40)
    pi = torch.where(normal(2, 30, 40, seed=5) > 0, 1.0, 0.0)
    w = make(m, pi, xi).sample(generator=rng(6))
    assert torch.equal(w == 0, pi == 1)
    assert not w.requires_grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sample_is_the_slab_where_pi_is_zero(dtype: torch.dtype) -> None:
    n = 300_000  # a uniform draw in float32 is exactly 0 once in 2^24
    m = torch.ones(1, 1, n, dtype=dtype)
    w = make(m, torch.zeros_like(m), torch.zeros_like(m)).sample(generator=rng(7))
    assert torch.equal(w, m)
    assert w.dtype == dtype


def test_sample_of_a_replica_does_not_depend_on_its_companions() -> None:
    m, pi, xi = smooth_parameters(3, 5, 6)
    together = make(m, pi, xi).sample(generator=streams([7, 8, 9], "sample"))
    for r, seed in enumerate([7, 8, 9]):
        one = slice(r, r + 1)
        alone = make(m[one], pi[one], xi[one]).sample(generator=streams([seed], "sample"))
        assert torch.equal(alone, together[one])
    assert not torch.equal(together[0], together[1])


def test_masks() -> None:
    pi, xi = torch.tensor(list(product([0.0, 1e-3, 0.5, 0.999, 1.0], [0.0, 1e-3, 0.5]))).mT
    weights = make(torch.ones(1, 1, 15), pi.view(1, 1, 15), xi.view(1, 1, 15))
    assert torch.equal(weights.vip().flatten(), (pi == 0) & (xi == 0))
    assert torch.equal(weights.uip().flatten(), pi == 1)
    assert torch.equal(weights.vip(2e-3).flatten(), (pi < 0.5) & (xi < 0.5))
    assert torch.equal(weights.uip(2e-3).flatten(), pi > 0.5)
    assert weights.vip().dtype == weights.uip().dtype == torch.bool
    assert weights.vip().shape == (1, 1, 15)


def test_masks_exclude_each_other() -> None:
    weights = make(*ended_parameters(2, 20, 20))
    assert weights.vip().any()
    assert weights.uip().any()
    assert not (weights.vip() & weights.uip()).any()


def test_projection_is_exact() -> None:
    m, pi, xi = (3 * normal(2, 20, 20, seed=seed) for seed in range(3))
    xi[0, 0, 0], pi[0, 0, :2] = -0.0, torch.tensor([-1e-300, 1 + 2**-52])
    weights = make(m, pi, xi)
    assert weights.project_() is weights
    assert torch.equal(weights.m, m)
    assert torch.equal(weights.pi, torch.where(pi < 0, 0.0, torch.where(pi > 1, 1.0, pi)))
    assert torch.equal(weights.xi, torch.where(xi < 0, 0.0, xi))
    assert all(parameter.requires_grad for parameter in weights.parameters())
    before = [parameter.clone() for parameter in weights.parameters()]
    weights.project_()
    assert all(torch.equal(p, b) for p, b in zip(weights.parameters(), before, strict=True))


@pytest.mark.parametrize("point", [*POINTS, (0.0, 0.4, 0.3), (1e-6, 0.4, 0.3)])
def test_mixed_entropy_by_integration(point: tuple[float, float, float]) -> None:
    got = constant(point).entropy("mixed").item()
    assert got == pytest.approx(mixed_by_integration(*point), rel=1e-8, abs=1e-10)


@pytest.mark.parametrize("half_width", [1e-4, 0.05])
@pytest.mark.parametrize("point", POINTS)
def test_paper_entropy_by_integration(
    point: tuple[float, float, float], half_width: float
) -> None:
    n = 20_000
    got = constant(point, n).entropy(generator=rng(8), half_width=half_width)
    want = paper_by_integration(*point, half_width)
    assert abs(got.mean().item() - want) < 4.5 * got.std().item() / math.sqrt(n)


@pytest.mark.parametrize(
    ("point", "difference", "last_digit"),
    [((0.3, 1.0, 0.05), -0.00006, 1e-5), ((0.3, 0.01, 0.05), -0.494, 1e-3)],
)
def test_paper_entropy_against_mixed(
    point: tuple[float, float, float], difference: float, last_digit: float
) -> None:
    n, exact = 40_000, paper_by_integration(*point, 1e-4) - mixed_by_integration(*point)
    assert exact == pytest.approx(difference, abs=last_digit / 2)
    weights = constant(point, n)
    paper, mixed = weights.entropy("paper", generator=rng(9)), weights.entropy("mixed")
    standard_error = paper.std().item() / math.sqrt(n)
    got = (paper - mixed).mean().item()
    assert abs(got - exact) < 4.5 * standard_error


@pytest.mark.parametrize("draws", [1, 10, 100])
@pytest.mark.parametrize("pi", [0.1, 0.3, 0.8])
def test_spread_of_the_paper_entropy(pi: float, draws: int) -> None:
    n = 20_000
    got = constant((pi, 2.0, 0.05), n).entropy(generator=rng(10), draws=draws).flatten()
    want = (1 - pi) ** 2 / (2 * draws)
    squares = (got - got.mean()).square()
    assert abs(squares.mean().item() - want) < 4.5 * squares.std().item() / math.sqrt(n)


def binary(pi: float) -> float:
    return -pi * math.log(pi) - (1 - pi) * math.log(1 - pi)


@pytest.mark.parametrize("estimator", ["paper", "mixed"])
@pytest.mark.parametrize(
    ("point", "want"),
    [
        ((1.0, 0.5, 0.3), 0.0),
        ((1.0, 0.0, 0.0), 0.0),
        ((1.0, 0.5, 0.0), 0.0),
        ((0.0, 0.5, 0.3), 0.5 * math.log(2 * math.pi * math.e * 0.3)),
        ((0.0, 0.0, 1e-9), 0.5 * math.log(2 * math.pi * math.e * 1e-9)),
        ((0.3, 0.5, 0.0), binary(0.3)),
        ((0.9, -1e-3, 0.0), binary(0.9)),
        ((0.3, 0.0, 0.0), 0.0),
        ((0.0, 0.5, 0.0), 0.0),
        ((0.0, 0.0, 0.0), 0.0),
    ],
)
def test_entropy_known_exactly(
    point: tuple[float, float, float], want: float, estimator: str
) -> None:
    got = constant(point).entropy(estimator, generator=rng(11)).item()
    assert got == pytest.approx(want, rel=1e-14, abs=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("estimator", ["paper", "mixed"])
def test_entropy_of_any_projected_layer_is_finite(estimator: str, dtype: torch.dtype) -> None:
    m, pi, xi = (p.to(dtype) for p in ended_parameters(2, 30, 30))
    xi[xi > 0] *= torch.logspace(-30, 0, int((xi > 0).sum()), dtype=dtype)
    m[:, :, :10] = 0
    weights = make(m, pi, xi)
    entropy = weights.entropy(estimator, generator=rng(12))
    assert entropy.shape == (2, 30, 30)
    assert entropy.dtype == dtype
    assert entropy.isfinite().all()
    assert not entropy.requires_grad


def test_paper_entropy_is_default_and_reproducible() -> None:
    weights = make(*ended_parameters(2, 5, 6))
    default = weights.entropy(generator=streams([0, 1], "entropy"))
    assert torch.equal(default, weights.entropy("paper", generator=streams([0, 1], "entropy")))
    assert not torch.equal(default, weights.entropy(generator=streams([2, 3], "entropy")))


def test_paper_entropy_of_a_replica_does_not_depend_on_its_companions() -> None:
    m, pi, xi = ended_parameters(2, 5, 6)
    together = make(m, pi, xi).entropy(generator=streams([0, 1], "entropy"))
    alone = make(m[1:], pi[1:], xi[1:]).entropy(generator=streams([1], "entropy"))
    assert torch.equal(alone, together[1:])


def test_entropy_errors() -> None:
    weights = constant((0.3, 1.0, 0.05))
    with pytest.raises(ValueError, match="exact"):
        weights.entropy("exact", generator=rng())
    with pytest.raises(ValueError, match="generator"):
        weights.entropy("paper")
    with pytest.raises(ValueError, match="generator"):
        weights.entropy()
