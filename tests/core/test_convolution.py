"""The mean-field convolution and its closed-form gradients against autograd."""

import math
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from reference import ended_parameters, error, normal, rng, safe_sqrt, smooth_parameters
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from sascli.core.convolution import (
    Settings,
    convolution,
    mean_field_convolution,
    output_size,
    without_residue,
)
from sascli.core.mean_field import mean_field_linear, moments
from sascli.core.spike_slab import SpikeSlab

NAMES = ("a", "m", "pi", "xi")


@dataclass(frozen=True)
class Case:
    """Shapes of a convolution."""

    kernel: tuple[int, ...] = (3, 3)
    stride: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0)
    dilation: tuple[int, ...] = (1, 1)
    groups: int = 1
    size: tuple[int, ...] = (7, 9)

    @property
    def settings(self) -> Settings:
        """As the function takes them."""
        return self.stride, self.padding, self.dilation, self.groups

    def values(self, ended: bool = True) -> tuple[Tensor, ...]:
        """Inputs, of which one is 0, and parameters."""
        a = normal(5, 4, *self.size, seed=100).relu()
        a[2] = 0
        make = ended_parameters if ended else smooth_parameters
        return a, *make(6, 4 // self.groups, *self.kernel)

    def plain(self, a: Tensor, m: Tensor, pi: Tensor, xi: Tensor, eps: Tensor | None) -> Tensor:
        """Eqs. 2-3 by torch's convolutions with a prefactor of 0.3; without noise G alone."""
        function = (F.conv1d, F.conv2d, F.conv3d)[len(self.kernel) - 1]
        mean, var = (1 - pi) * m, (1 - pi) * (xi + pi * m**2)
        g = 0.3 * function(a, mean, None, *self.settings)
        if eps is None:
            return g
        return g + eps * safe_sqrt(0.3**2 * function(a**2, var, None, *self.settings))


without_onednn = pytest.mark.filterwarnings("ignore:TF32 acceleration on top of oneDNN")
"""For tests that switch oneDNN off, which torch warns of."""


@without_onednn
@pytest.mark.skipif(not torch.backends.nnpack.is_available(), reason="needs NNPACK")
def test_transforms_leave_no_negative_variance() -> None:
    a = normal(16, 32, 32, 32, seed=3).float().relu()
    a[:, :, 8:] = 0
    a[:, :, 20:24, 20:24] = 1e-3
    m, pi, xi = (value.float() for value in smooth_parameters(32, 32, 3, 3))
    eps, settings = normal(16, 32, 32, 32, seed=4).float(), ((1, 1), (1, 1), (1, 1), 1)
    with torch.backends.mkldnn.flags(enabled=False):
        plain = convolution(a * a, moments(m, pi, xi).var, settings)
        z = mean_field_convolution(a, m, pi, xi, eps, settings=settings, scale=1.0)
    assert plain.min() < 0 and z.isfinite().all()
    want = mean_field_convolution(a, m, pi, xi, eps, settings=settings, scale=1.0)
    assert error(z, want.double()) < 1e-3


@without_onednn
@pytest.mark.skipif(not torch.backends.nnpack.is_available(), reason="needs NNPACK")
def test_transforms_leave_no_variance_where_the_inputs_are_dark() -> None:
    """Of images as of ReLU, their lower half 0, by the weights of a new layer."""
    a = normal(16, 32, 32, 32, seed=3).float().relu()
    a[:, :, 16:] = 0
    m = 0.06 * (2 * torch.rand(16, 32, 3, 3, generator=rng(5)) - 1)
    pi, xi = torch.full_like(m, 0.1), torch.full_like(m, 1e-4)
    eps, settings = normal(16, 16, 32, 32, seed=4).float(), ((1, 1), (1, 1), (1, 1), 1)
    with torch.backends.mkldnn.flags(enabled=False):
        plain = convolution(a * a, moments(m, pi, xi).var, settings)
        z = mean_field_convolution(a, m, pi, xi, eps, settings=settings, scale=1.0)
    assert plain[:, :, 17:].min() < 0 and z.isfinite().all()
    assert z[:, :, 17:].abs().max() < 1e-4


def test_residue_is_cut_by_sample_and_group_below_finite_sums() -> None:
    small = 1e-9  # rounding beside 1, but not beside 1e-6
    rows = [[math.nan, 1.0, -small], [math.inf, 1.0, small], [math.inf, small, small]]
    rows += [[1e-6, small, -small]]  # no sum of non-negative numbers is negative
    want = torch.tensor(rows)
    want[0, 2] = want[1, 2] = want[3, 2] = 0
    by_sample = without_residue(torch.tensor(rows).unsqueeze(1))
    by_group = without_residue(torch.tensor(rows).unsqueeze(0), groups=len(rows))
    for got in (by_sample.squeeze(1), by_group.squeeze(0)):
        assert torch.equal(got.nan_to_num(nan=-1.0), want.nan_to_num(nan=-1.0))


@without_onednn
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_keeps_the_variance_of_dark_images(dtype: torch.dtype) -> None:
    settings = ((1, 1), (1, 1), (1, 1), 1)
    brightness = torch.tensor([1.0, 0.1, 0.01]).view(3, 1, 1, 1)  # squared, 1 to 1e-4
    a = (brightness * (1 + normal(1, 4, 6, 6, seed=5).abs())).to(dtype)
    parameters = [value.to(dtype) for value in smooth_parameters(6, 4, 3, 3)]
    eps = torch.ones(3, 6, 6, 6, dtype=dtype)

    def noise() -> Tensor:
        values = (a, *parameters)
        with_eps, without = (
            mean_field_convolution(*values, e, settings=settings, scale=1.0)
            for e in (eps, torch.zeros_like(eps))
        )
        return (with_eps - without).float()

    want = noise()
    with torch.backends.mkldnn.flags(enabled=False):
        got = noise()
    for sample in range(3):
        assert error(got[sample], want[sample]) < 0.03


@without_onednn
def test_infinite_variance_is_not_hidden() -> None:
    settings = ((1, 1), (0, 0), (1, 1), 1)
    a = torch.ones(2, 1, 2, 2)
    a[0, 0, 0, 0] = 1e30  # its square is inf
    m, eps = torch.zeros(1, 1, 1, 1), torch.ones(2, 1, 2, 2)
    xi = torch.ones(1, 1, 1, 1)
    with torch.backends.mkldnn.flags(enabled=False):
        z = mean_field_convolution(a, m, m, xi, eps, settings=settings, scale=1.0)
    assert not z[0, 0, 0, 0].isfinite()
    assert (z.flatten()[1:] == 1).all()


CASES = {
    "plain": Case(),
    "stride": Case(stride=(2, 3)),
    "padding": Case(padding=(2, 1)),
    "dilation": Case(dilation=(2, 3), padding=(1, 2)),
    "groups": Case(groups=2),
    "not_square": Case(kernel=(2, 5), padding=(0, 1)),
    "all": Case((2, 3), (2, 1), (1, 2), (3, 2), groups=2),
    "one_tap": Case(kernel=(1, 1), stride=(2, 2)),
    "one_axis": Case((4,), (2,), (1,), (2,), size=(12,)),
    "three_axes": Case((2, 1, 3), (1, 2, 1), (1, 0, 0), (1, 1, 2), size=(3, 4, 6)),
}


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_gradients_equal_autograd(name: str, ended: bool) -> None:
    case = CASES[name]
    values = case.values(ended)
    want_inputs, inputs = (tuple(v.clone().requires_grad_() for v in values) for _ in range(2))
    shape = case.plain(*values, None).shape
    eps, k = normal(*shape, seed=101), normal(*shape, seed=102)
    z_want = case.plain(*want_inputs, eps)
    z = mean_field_convolution(*inputs, eps, settings=case.settings, scale=0.3)
    assert error(z, z_want) < 1e-10
    want, got = torch.autograd.grad(z_want, want_inputs, k), torch.autograd.grad(z, inputs, k)
    for kind, g, w in zip(NAMES, got, want, strict=True):
        assert w.isfinite().all() and w.any(), kind
        assert error(g, w) < 1e-10, kind


@pytest.mark.parametrize("name", CASES)
def test_output_size_is_that_of_torch(name: str) -> None:
    case = CASES[name]
    a, m, pi, xi = case.values()
    assert output_size(a, m, case.settings) == [*case.plain(a, m, pi, xi, None).shape[2:]]


def test_kernel_of_the_image_is_the_linear_map() -> None:
    a, m, pi, xi = Case(kernel=(7, 9)).values()
    eps = normal(5, 6, seed=101)
    z = mean_field_convolution(
        a, m, pi, xi, eps[..., None, None], settings=Case().settings, scale=0.3
    )
    linear = mean_field_linear(
        a.flatten(1), m.flatten(1), pi.flatten(1), xi.flatten(1), eps, scale=0.3
    )
    assert error(z[..., 0, 0], linear) < 1e-12


def test_groups_are_replicas_side_by_side() -> None:
    case = CASES["padding"]
    populations = [case.values(), tuple(v.flip(0) for v in case.values())]
    eps = [normal(5, 6, 9, 9, seed=seed) for seed in (1, 2)]
    alone = [
        mean_field_convolution(*values, noise, settings=case.settings, scale=0.3)
        for values, noise in zip(populations, eps, strict=True)
    ]
    a = torch.cat([values[0] for values in populations], 1)
    parameters = [torch.cat(pair) for pair in zip(*(v[1:] for v in populations), strict=True)]
    together = (*case.settings[:3], 2)
    z = mean_field_convolution(a, *parameters, torch.cat(eps, 1), settings=together, scale=0.3)
    assert error(z, torch.cat(alone, 1)) < 1e-12


def test_moments_are_those_of_effective_networks() -> None:
    case, count = CASES["all"], 4000
    a, *parameters = case.values()
    layer = SpikeSlab(0, 0)
    for kind, value in zip(("m", "pi", "xi"), parameters, strict=True):
        setattr(layer, kind, torch.nn.Parameter(value.expand(count, *value.shape).clone()))
    weights = layer.sample(generator=rng(3))
    stride, padding, dilation, _ = case.settings
    kernels = weights.transpose(0, 1).reshape(2, 3, count, *weights.shape[2:]).transpose(1, 2)
    z = 0.3 * F.conv2d(a, kernels.flatten(0, 2), None, stride, padding, dilation, 2)
    z = z.unflatten(1, (2, count, 3)).transpose(2, 3).flatten(1, 2)  # (batch, n_out, count, ...)
    g = case.plain(a, *parameters, None)
    variance = (case.plain(a, *parameters, torch.ones_like(g)) - g) ** 2
    assert ((z.mean(2) - g).abs() <= 5 * (variance / count).sqrt() + 1e-12).all()
    assert error(z.var(2), variance) < 0.1


def test_second_backward_gives_same_gradients() -> None:
    case = CASES["all"]
    inputs = tuple(v.requires_grad_() for v in case.values())
    eps = normal(*case.plain(*inputs, None).shape, seed=101)
    z = mean_field_convolution(*inputs, eps, settings=case.settings, scale=1.0)
    first = torch.autograd.grad(z, inputs, eps, retain_graph=True)
    second = torch.autograd.grad(z, inputs, eps)
    assert all(torch.equal(f, s) for f, s in zip(first, second, strict=True))


@pytest.mark.parametrize(("input_gradient", "backward"), [(True, 4), (False, 2)])
def test_number_of_convolutions(input_gradient: bool, backward: int) -> None:
    a, *parameters = CASES["padding"].values()
    inputs = (a.requires_grad_(input_gradient), *(p.requires_grad_() for p in parameters))
    eps = normal(5, 6, 9, 9, seed=101)
    with FlopCounterMode(display=False) as one:
        F.conv2d(a.detach(), parameters[0].detach(), None, *CASES["padding"].settings)
    with FlopCounterMode(display=False) as count:
        z = mean_field_convolution(*inputs, eps, settings=CASES["padding"].settings, scale=1.0)
    assert count.get_total_flops() == 2 * one.get_total_flops()
    with FlopCounterMode(display=False) as count:
        z.sum().backward()
    assert count.get_total_flops() == backward * one.get_total_flops()
