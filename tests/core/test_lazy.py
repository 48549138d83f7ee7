"""Lazy training of wide random networks, and the dynamics that their kernel gives."""

from itertools import repeat

import pytest
import torch
from reference import error, normal, rng
from torch import Tensor

from sascli.core.kernel import Scales, gradients_at, random_networks
from sascli.core.lazy import descend_, kernel_dynamics
from sascli.core.recurrent import Recurrent

STEPS, N_IN, WIDTH, SAMPLES = 3, 2, 6, 4
SCALES = Scales(alpha=0.7, w_in=0.8, w_rec=1.3, w_out=0.9)
Y = torch.tensor([1.0, -1.0, 1.0, 0.5]).double()


def made(seed: int = 1, width: int = WIDTH) -> tuple[Recurrent, Tensor, list[Tensor]]:
    """A random network, samples and their eps."""
    generator = rng(seed)
    network = random_networks(N_IN, STEPS, width, SCALES, 1, generator=generator)
    return network, normal(SAMPLES, STEPS * N_IN), network.draw_noise(SAMPLES, generator)


def test_descent_is_that_of_autograd_in_the_scaled_parameters() -> None:
    """The plain recursion of m~, xi~ and pi, with the variance of a weight written out."""
    network, x, eps = made()
    factors = [0.8 / N_IN**0.5, 1.3 / WIDTH**0.5, 0.9 / WIDTH**0.5]
    m = [layer.m.detach()[0] / f for layer, f in zip(network.layers, factors, strict=True)]
    xi, pi = network.layers[1].xi.detach()[0] * WIDTH, torch.zeros(WIDTH, WIDTH).double()
    start = network.dynamics.start
    assert isinstance(start, Tensor)
    want = []
    for _ in range(4):
        scaled = [t.detach().requires_grad_() for t in (*m, xi, pi)]
        w_in, w_rec, w_out = (t * f for t, f in zip(scaled[:3], factors, strict=True))
        second = (1 - scaled[4]) * (scaled[3] / WIDTH + w_rec**2)
        mu = (1 - scaled[4]) * w_rec
        h = start[0].expand(SAMPLES, WIDTH)
        for t, x_t in enumerate(x.unflatten(1, (STEPS, N_IN)).unbind(1)):
            r = h.relu()
            delta = (r**2 @ (second - mu**2).T).sqrt()
            u = r @ mu.T + x_t @ w_in.T + eps[0][0, t] * delta
            h = 0.3 * h + 0.7 * u
        f = (h.relu() @ w_out.T)[:, 0]
        want.append(f.detach())
        grads = torch.autograd.grad(((f - Y) ** 2).sum() / 2, scaled)
        *m, xi, pi = (t.detach() - 0.01 * g for t, g in zip(scaled, grads, strict=True))
    got = torch.cat(list(descend_(network, x, Y, repeat(eps, 4), SCALES, 0.01)))
    assert error(got, torch.stack(want)) < 1e-12


def test_small_step_follows_the_kernel() -> None:
    network, x, eps = made()
    rows = torch.cat(list(gradients_at(network, x, eps, SCALES)))
    before, after = descend_(network, x, Y, repeat(eps, 2), SCALES, 1e-7)
    want = kernel_dynamics(rows @ rows.T, before, Y, 1e-7, 2)[1]
    assert error(after - before, want - before) < 1e-5


def test_kernel_dynamics_has_its_closed_form() -> None:
    a, f = normal(SAMPLES, SAMPLES, seed=3), normal(SAMPLES, seed=4)
    theta = a @ a.T
    got = kernel_dynamics(theta, f, Y, 0.01, 6)
    decay = torch.linalg.matrix_power(torch.eye(SAMPLES) - 0.01 * theta, 5)
    assert torch.equal(got[0], f)
    assert error(got[5], Y + decay @ (f - Y)) < 1e-12


@pytest.mark.parametrize("project", [True, False])
def test_projection_is_optional(project: bool) -> None:
    network, x, eps = made()
    list(descend_(network, x, Y, repeat(eps, 5), SCALES, 0.01, project=project))
    assert bool((network.layers[1].pi < 0).any()) is not project
    assert (network.layers[0].pi == 0).all() and (network.layers[2].xi == 0).all()


@pytest.mark.slow
def test_wider_networks_follow_their_kernel_more_closely() -> None:
    distance = []
    for width in (30, 1000):
        network, x, eps = made(width=width)
        rows = torch.cat(list(gradients_at(network, x, eps, SCALES)))
        outputs = torch.cat(list(descend_(network, x, Y, repeat(eps, 30), SCALES, 0.01)))
        want = kernel_dynamics(rows @ rows.T, outputs[0], Y, 0.01, 30)
        distance.append((outputs - want).abs().max())
    assert distance[1] < distance[0] / 4
