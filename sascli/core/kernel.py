r"""The neural tangent kernel of recurrent networks, analytic at infinite width or empirical.

The weights are scaled, m = sigma m~ / sqrt(N) with m~ ~ N(0, 1) and N the width (for w_in the
number of inputs), Xi_rec = xi~ / N with xi~ ~ Uniform(0, 1), pi = 0, Xi_in = Xi_out = 0. The
trained parameters are m~, xi~_rec and pi_rec. eps is drawn for every sample, step and neuron.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sascli.core.backprop import Saved
from sascli.core.recurrent import Dynamics, Recurrent
from sascli.core.streams import fill_normal, fill_on_cpu, fill_uniform


@dataclass(frozen=True)
class Scales:
    """The leak alpha and the standard deviations of the scaled weights and of h(0).

    h(0) is one draw shared by all samples, or with `shared_start=False` one for each.
    """

    alpha: float = 1.0
    w_in: float = 1.0
    w_rec: float = 1.0
    w_out: float = 1.0
    start: float = 1.0
    shared_start: bool = True


def relu_moments(covariance: Tensor, k: Tensor, k2: Tensor) -> tuple[Tensor, Tensor]:
    r"""E[r r'] and E[1[h > 0] 1[h' > 0]] of centred Gaussians h, h' with variances k and k'.

    .. math::
        E[r r'] = \sqrt{k k'} / 2\pi \, (c (\pi - \arccos c) + \sqrt{1 - c^2}), \quad
        E[1 1'] = (\pi - \arccos c) / 2\pi
    """
    root = (k * k2).sqrt()
    c = torch.where(root > 0, covariance / root, 0.0).clamp(-1, 1)
    angle = math.pi - c.arccos()
    return root / (2 * math.pi) * (c * angle + (1 - c * c).sqrt()), angle / (2 * math.pi)


def analytic(x: Tensor, scales: Scales) -> Tensor:
    """The kernel Theta of infinite width between sequences, (samples, samples).

    x is (samples, steps, n_in), in double precision for double-precision results. Sigma is the
    covariance of h(t) and h'(t'), Pi that of the gradients with respect to them.
    """
    samples, steps, n_in = x.shape
    leak, gain = 1 - scales.alpha, scales.alpha**2
    drive = scales.w_in**2 / n_in * torch.einsum("ptn,qsn->pqts", x, x)
    same = torch.eye(samples, dtype=x.dtype, device=x.device)
    start = torch.ones_like(same) if scales.shared_start else same

    sigma = x.new_zeros(samples, samples, steps + 1, steps + 1)
    decay = leak ** torch.arange(steps + 1, dtype=x.dtype, device=x.device)
    sigma[:, :, :, 0] = scales.start**2 * start[:, :, None] * decay
    sigma[:, :, 0, :] = sigma[:, :, :, 0]
    for s in range(1, steps + 1):
        for t in range(1, s + 1):
            past = sigma[:, :, t - 1, s - 1]
            k, k2 = (sigma[:, :, u, u].diagonal() for u in (t - 1, s - 1))
            product, _ = relu_moments(past, k[:, None], k2)
            noise = 0.5 * same if t == s else 0.0
            omega = drive[:, :, t - 1, s - 1] + (scales.w_rec**2 + noise) * product
            sigma[:, :, t, s] = leak * (sigma[:, :, t - 1, s] + sigma[:, :, t, s - 1])
            sigma[:, :, t, s] += gain * omega - leak**2 * past
            sigma[:, :, s, t] = sigma[:, :, t, s].T

    variance = sigma.diagonal(dim1=0, dim2=1).diagonal(dim1=0, dim2=1)  # (samples, steps + 1)
    product, both = relu_moments(sigma, variance[:, None, :, None], variance[None, :, None, :])
    pi = torch.zeros_like(sigma)
    pi[:, :, :, steps] = scales.w_out**2 * both[:, :, steps, steps, None] * decay.flip(0)
    pi[:, :, steps, :] = pi[:, :, :, steps]
    for t in reversed(range(1, steps)):
        for s in reversed(range(1, steps)):
            gamma = scales.w_rec**2 * both[:, :, t, s] * pi[:, :, t + 1, s + 1]
            pi[:, :, t, s] = leak * (pi[:, :, t + 1, s] + pi[:, :, t, s + 1])
            pi[:, :, t, s] += gain * gamma - leak**2 * pi[:, :, t + 1, s + 1]

    # at pi = 0 the recurrent parts of m and pi are equal; that of Xi vanishes with the width
    by_step = drive + 2 * scales.w_rec**2 * product[:, :, :-1, :-1]
    theta = gain * (pi[:, :, 1:, 1:] * by_step).sum((2, 3))
    return theta + scales.w_out**2 * product[:, :, steps, steps]


def random_networks(
    n_in: int, steps: int, width: int, scales: Scales, networks: int, *,
    generator: torch.Generator, dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
) -> Recurrent:  # fmt: skip
    """Networks with one output and scaled random weights, h(0) drawn once for each network.

    All numbers are drawn on the CPU, here and in the functions below.
    """
    h = torch.empty(networks, 1, width, dtype=dtype, device=device)
    time = Dynamics(steps, scales.alpha, fill_on_cpu(fill_normal, h, generator) * scales.start)
    network = Recurrent([n_in, width, 1], time, networks, dtype=dtype, device=device)
    for layer, scale in zip(network.layers, _standard_deviations(network, scales), strict=True):
        fill_on_cpu(fill_normal, layer.m.data, generator).mul_(scale)
    fill_on_cpu(fill_uniform, network.layers[1].xi.data, generator).div_(width)
    return network


def noise_of(network: Recurrent, batch: int, generator: torch.Generator) -> list[Tensor]:
    """eps of a batch."""
    flat = network.all.new_empty(network.replicas, batch * network.noise_size)
    return network.split_noise(fill_on_cpu(fill_normal, flat, generator), batch)


def gradients(
    network: Recurrent, x: Tensor, scales: Scales, *, generator: torch.Generator
) -> Iterator[Tensor]:
    """Gradients with respect to the scaled parameters, (networks, parameters) for each sample."""
    time = network.dynamics
    for sample in x.flatten(1):
        if not scales.shared_start:
            h = x.new_empty(network.replicas, 1, network.widths[1])
            start = fill_on_cpu(fill_normal, h, generator) * scales.start
            network.dynamics = Dynamics(time.steps, time.alpha, start=start)
        noise = noise_of(network, 1, generator)
        yield next(gradients_at(network, sample.unsqueeze(0), noise, scales))


def gradients_at(
    network: Recurrent, x: Tensor, eps: Sequence[Tensor], scales: Scales
) -> Iterator[Tensor]:
    """As `gradients`, for samples (samples, steps * n_in) and their eps."""
    gbp, ones = network.gbp(), x.new_ones(network.replicas, 1, 1)
    for number, sample in enumerate(x):
        noise = [part[:, :, number : number + 1] for part in eps]
        tape: list[Saved] = []
        gbp.logits(sample.unsqueeze(0), noise, tape)
        gbp.backward(ones, tape)
        parts = [grad * factor for grad, factor in trained(network, gbp.grads, scales)]
        yield torch.cat([part.flatten(1) for part in parts], 1)


def _standard_deviations(network: Recurrent, scales: Scales) -> list[float]:
    """sigma / sqrt(N) of in, rec and out."""
    sigmas = (scales.w_in, scales.w_rec, scales.w_out)
    return [
        sigma / math.sqrt(layer.m.shape[-1])
        for sigma, layer in zip(sigmas, network.layers, strict=True)
    ]


def trained(
    network: Recurrent, flat: Mapping[str, Tensor], scales: Scales
) -> list[tuple[Tensor, float]]:
    """Views of the trained parameters, m, pi_rec, Xi_rec, with d(it) / d(scaled parameter)."""
    m = zip(network.split(flat["m"]), _standard_deviations(network, scales), strict=True)
    pi, xi = (network.split(flat[kind])[1] for kind in ("pi", "xi"))
    return [*m, (pi, 1.0), (xi, 1 / network.widths[1])]
