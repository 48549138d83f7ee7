"""The spike-and-slab distribution of a weight, Eq. 1."""

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from sascli.core.streams import Generators, fill_normal, fill_uniform

LOG_2PI = math.log(2 * math.pi)
ON_GPU = 2**23
"""Connections whose entropy a GPU estimates together, at least those of one replica."""


class SpikeSlab(nn.Module):
    r"""Independent spike-and-slab weights of one layer.

    .. math::
        P(w_{ij}) = \pi_{ij} \delta(w_{ij})
                    + (1 - \pi_{ij}) \mathcal{N}(w_{ij} \mid m_{ij}, \Xi_{ij})

    Parameters `m`, `pi` and `xi` (Xi, a variance) have shape (replicas, n_out, n_in); row i is
    the downstream neuron, column j the upstream one. A new layer has m = pi = xi = 0.

    Source: Li and Huang, "Learning credit assignment", Phys. Rev. Lett. 125, 178301 (2020).
    """

    def __init__(
        self,
        n_out: int,
        n_in: int,
        replicas: int = 1,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        shape = (replicas, n_out, n_in)
        self.m = nn.Parameter(torch.zeros(shape, device=device, dtype=dtype))
        self.pi = nn.Parameter(torch.zeros(shape, device=device, dtype=dtype))
        self.xi = nn.Parameter(torch.zeros(shape, device=device, dtype=dtype))

    def mean(self) -> Tensor:
        """First moment mu = (1 - pi) m."""
        return (1 - self.pi) * self.m

    def variance(self) -> Tensor:
        """Variance (1 - pi)(Xi + pi m^2), a form that never goes negative in floating point."""
        return (1 - self.pi) * (self.xi + self.pi * self.m**2)

    @torch.no_grad()
    def sample(self, *, generator: Generators) -> Tensor:
        """Weights of one effective network, (replicas, n_out, n_in)."""
        draws = torch.empty(self.m.shape, dtype=at_least_single(self.m), device=self.m.device)
        present = fill_uniform(draws, generator) >= self.pi
        slab = fill_normal(draws, generator).to(self.m.dtype)
        return slab.mul_(self.xi.sqrt()).add_(self.m).mul_(present)

    def vip(
        self, tolerance: float = 0.0, xi_max: float | None = None, m_min: float = 0.0
    ) -> Tensor:
        """Very important connections: pi = 0 and Xi = 0, both up to `tolerance`.

        VIPs in the wider sense have Xi up to `xi_max` instead, and |m| at least `m_min`.
        """
        small = (self.pi <= tolerance) & (self.xi <= (tolerance if xi_max is None else xi_max))
        return small & (self.m.abs() >= m_min)

    def uip(self, tolerance: float = 0.0) -> Tensor:
        """Unimportant connections: pi = 1 up to `tolerance`."""
        return self.pi >= 1 - tolerance

    @torch.no_grad()
    def project_(self) -> "SpikeSlab":
        """Project pi into [0, 1] and Xi into [0, inf); their exact bounds are meaningful."""
        self.pi.clamp_(0, 1)
        self.xi.clamp_(min=0)
        return self

    @torch.no_grad()
    def entropy(
        self,
        estimator: str = "paper",
        *,
        generator: Generators | None = None,
        draws: int = 100,
        half_width: float = 1e-4,
    ) -> Tensor:
        """Entropy of every connection in nats, (replicas, n_out, n_in).

        `paper` is Eq. 8 with `draws` normal draws per connection, the delta replaced by a box of
        half-width `half_width`; it needs a `generator`. `mixed` is the exact entropy of point
        mass plus density, H(pi) + (1 - pi) ln(2 pi e Xi) / 2. Both take the cases of Eq. 8 that
        are known exactly: pi = 1 gives 0, pi = 0 < Xi gives ln(2 pi e Xi) / 2, Xi = 0 gives the
        discrete H(pi), and 0 where also m = 0.

        Raises ValueError for another estimator, or for `paper` without a generator.
        """
        if estimator not in ("paper", "mixed"):
            raise ValueError(f"estimator is 'paper' or 'mixed', not {estimator!r}")
        if estimator == "paper" and generator is None:
            raise ValueError("the paper's estimator draws random numbers: pass generator=")
        m, pi, xi = self.m.detach(), self.pi.detach(), self.xi.detach()
        value = torch.where(pi == 0, _gaussian(xi), _discrete(pi) + (1 - pi) * _gaussian(xi))
        value = torch.where(xi == 0, torch.where(m == 0, 0.0, _discrete(pi)), value)
        value.masked_fill_(pi == 1, 0.0)
        if estimator == "paper":
            general = (pi > 0) & (pi < 1) & (xi > 0)  # Eq. 8 needs draws for these alone
            generators = [generator] if isinstance(generator, torch.Generator) else generator or ()
            together = 1 if m.device.type == "cpu" else max(1, ON_GPU // m[0].numel())
            parts = [t.unflatten(0, (len(generators), -1)) for t in (general, m, pi, xi, value)]
            for start in range(0, len(generators), together):
                mask, *parameters, target = (part[start : start + together] for part in parts)
                counts, index = mask.flatten(1).sum(1).tolist(), mask.nonzero(as_tuple=True)
                drawn = list(zip(counts, generators[start : start + together], strict=True))
                m1, pi1, xi1 = (parameter[index] for parameter in parameters)
                target[index] = _paper(m1, pi1, xi1, drawn, draws, half_width)
        return value


def at_least_single(values: Tensor) -> torch.dtype:
    """The type of random numbers for these: half precision has too few in (0, 1)."""
    return torch.promote_types(values.dtype, torch.float32)


class Layered(Protocol):
    """A network as its tables and its pruning see it: layers of spike-and-slab weights."""

    @property
    def layers(self) -> Sequence[SpikeSlab]:
        """The layers, (replicas, n_out, n_in) each."""

    @property
    def layer_names(self) -> Sequence[str]:
        """Their names."""

    @property
    def scales(self) -> Sequence[float]:
        """The prefactors of their pre-activations."""

    def mean(self) -> Sequence[Tensor]:
        """Weights of the mean network, without prefactors."""


def _discrete(pi: Tensor) -> Tensor:
    """H(pi) = -pi ln pi - (1 - pi) ln(1 - pi)."""
    return -torch.xlogy(pi, pi) - torch.xlogy(1 - pi, 1 - pi)


def _gaussian(xi: Tensor) -> Tensor:
    """Entropy of the slab, ln(2 pi e Xi) / 2."""
    return 0.5 * (1 + LOG_2PI + xi.log())


def _paper(
    m: Tensor,
    pi: Tensor,
    xi: Tensor,
    generators: Sequence[tuple[int, torch.Generator]],
    draws: int,
    half_width: float,
) -> Tensor:
    """Eq. 8; one draw for all connections at a time, so memory does not grow with `draws`.

    Each generator draws for the number of connections beside it.
    """
    peak = (1 - pi) / (2 * math.pi * xi).sqrt()
    at_zero = pi + peak * torch.exp(-(m**2) / (2 * xi))
    eps, total = torch.empty_like(m), torch.zeros_like(m)
    sigma, box = xi.sqrt(), pi / (2 * half_width)
    for _ in range(draws):
        for part, (_, g) in zip(eps.split([n for n, _ in generators]), generators, strict=True):
            fill_normal(part, g)
        inside = torch.addcmul(m, sigma, eps).abs_() <= half_width
        total += torch.addcmul(box * inside, peak, torch.exp(eps**2 / -2)).log_()
    return -torch.xlogy(pi, at_zero) - (1 - pi) * total / draws
