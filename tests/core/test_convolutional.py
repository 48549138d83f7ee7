"""The convolutional network: patches, its gradients, its populations."""

import copy

import pytest
import reference
import torch
import torch.nn.functional as F
from reference import Parameters, error, fill, leaves, normal, rng, safe_sqrt
from torch import Tensor

from sascli.core.convolutional import PIECE, Convolutional
from sascli.core.network import KINDS
from sascli.core.patches import Kernel, add_patches, patches

WIDTHS = [3, 4, 5, 6]
SIDES = (7, 8)
BATCH = 5
KERNELS = [Kernel(3, 2), Kernel(2, 1), Kernel(4, 3), Kernel(1, 2)]


def make(kernel: Kernel = KERNELS[0], replicas: int = 2) -> Convolutional:
    network = Convolutional(WIDTHS, SIDES, kernel, replicas, dtype=torch.float64)
    fill(network)
    return network


def make_batch(network: Convolutional, batch: int = BATCH) -> tuple[Tensor, Tensor, list[Tensor]]:
    x = normal(network.replicas, batch, WIDTHS[0] * SIDES[0] * SIDES[1], seed=50).relu()
    y = torch.randint(WIDTHS[-1], (network.replicas, batch), generator=rng(51))
    eps = network.split_noise(normal(network.replicas, batch * network.noise_size, seed=52), batch)
    return x, y, eps


def plain(
    network: Convolutional, parameters: list[Parameters], x: Tensor, eps: list[Tensor]
) -> Tensor:
    """The network by torch's convolutions, a replica at a time."""
    size, stride = network.kernel
    outputs = []
    for r in range(network.replicas):
        a = x[r].view(-1, WIDTHS[0], *SIDES)
        for number, (m, pi, xi) in enumerate(parameters):
            mean, var = (1 - pi[r]) * m[r], (1 - pi[r]) * (xi[r] + pi[r] * m[r] ** 2)
            noise, scale = eps[number][r], 1 / m.shape[-1] ** 0.5
            if number == len(parameters) - 1:
                rows = a.permute(0, 2, 3, 1).flatten(1)
                g, v = rows @ mean.T, rows**2 @ var.T
            else:
                mean, var = (
                    w.view(len(w), size, size, -1).permute(0, 3, 1, 2) for w in (mean, var)
                )
                g = F.conv2d(a, mean, stride=stride, padding=size // 2)
                v = F.conv2d(a**2, var, stride=stride, padding=size // 2)
                noise = noise.view(len(a), *g.shape[2:], -1).permute(0, 3, 1, 2)
            a = scale * g + noise * safe_sqrt(scale**2 * v)
            a = a if number == len(parameters) - 1 else a.relu()
        outputs.append(a)
    return torch.stack(outputs)


@pytest.mark.parametrize("kernel", KERNELS)
def test_gbp_equals_autograd_of_the_plain_formulas(kernel: Kernel) -> None:
    network = make(kernel)
    x, y, eps = make_batch(network)
    gbp = network.gbp()
    losses = gbp(x, y, eps)
    parameters = leaves(network)
    outputs = plain(network, parameters, x, eps)
    want = reference.loss(outputs, y)
    want.sum().backward()
    assert error(losses, want.detach()) < 1e-10
    assert error(gbp.logits(x, eps), outputs.detach()) < 1e-10
    for number, kind in enumerate(KINDS):
        for got, layer in zip(network.split(gbp.grads[kind]), parameters, strict=True):
            assert layer[number].grad is not None
            assert error(got, layer[number].grad) < 1e-10, kind


def test_forward_is_differentiable_by_the_same_gradients() -> None:
    network = make()
    x, y, eps = make_batch(network)
    gbp = network.gbp()
    gbp(x, y, eps)
    reference.loss(network(x, eps), y).sum().backward()
    for kind in KINDS:
        for got, layer in zip(network.split(gbp.grads[kind]), network.layers, strict=True):
            assert error(got, getattr(layer, kind).grad) < 1e-10, kind


def test_bp_is_the_limit_without_spike_and_variance() -> None:
    network = make()
    network.flat["pi"].zero_()
    network.flat["xi"].zero_()
    x, y, eps = make_batch(network)
    gbp, bp = network.gbp(), network.bp()
    assert error(gbp(x, y, eps), bp(x, y)) < 1e-12
    assert error(gbp.grads["m"], bp.grads["m"]) < 1e-12
    assert bp.grads["m"].norm() > 0
    assert error(bp.logits(x), network.run(network.mean(), x)) < 1e-12


def test_replicas_of_a_population_are_as_alone() -> None:
    network = make(replicas=3)
    x, y, eps = make_batch(network)
    gbp = network.gbp()
    losses = gbp(x, y, eps)
    for r in range(3):
        single = slice(r, r + 1)
        one = network.select(single)
        assert isinstance(one, Convolutional) and one.kernel == network.kernel
        alone = one.gbp()
        loss = alone(x[single], y[single], [noise[single] for noise in eps])
        assert error(loss, losses[single]) < 1e-12
        for kind in KINDS:
            got, want = network.split(gbp.grads[kind]), one.split(alone.grads[kind])
            for a, b in zip(got, want, strict=True):
                assert error(a[single], b) < 1e-12
        assert error(one.run(one.mean(), x[r]), network.run(network.mean(), x)[single]) < 1e-12


def test_evaluation_in_pieces_is_that_of_all_images() -> None:
    network = make()
    x, _, eps = make_batch(network, 2 * PIECE + 3)
    assert error(network.gbp().logits(x, eps), network(x, eps).detach()) < 1e-12
    shared = x[:1].expand(2, -1, -1)
    assert error(network.gbp().logits(x[0], eps), network(shared, eps).detach()) < 1e-12
    few = network.run(network.mean(), x[:, :3])
    assert error(network.run(network.mean(), x)[:, :3], few) < 1e-12


@pytest.mark.parametrize("kernel", KERNELS)
def test_add_patches_is_the_transpose_of_patches(kernel: Kernel) -> None:
    shape = (2, 3, 7, 6, 4)
    a = normal(*shape, seed=1)
    rows = patches(a, kernel)
    other = normal(*rows.shape, seed=2)
    assert rows.shape[1] == 3 * kernel.outputs(7) * kernel.outputs(6)
    inner = (a * add_patches(other, kernel, shape)).sum()
    assert torch.isclose((rows * other).sum(), inner, rtol=1e-12)


def test_copy_has_separate_numbers() -> None:
    network = make()
    other = copy.deepcopy(network)
    assert isinstance(other, Convolutional)
    assert torch.equal(other.all, network.all)
    other.flat["m"].zero_()
    assert network.flat["m"].abs().sum() > 0
