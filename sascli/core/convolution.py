r"""The mean-field convolution: Eqs. 2-3 and 5-7 with convolutions in place of matrix products.

As in `core.mean_field`, with j running over the taps of output i: input channels of its group and
positions of the kernel. Forward it takes two convolutions (a with mu, a^2 with v), backward those
of their inputs and kernels. A kernel's weights are shared by all positions, but epsilon is drawn
for each output on its own, as the mean field treats the pre-activations.

A population is one call with `groups` times as many groups, replicas side by side as channels.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sascli.core.mean_field import add_noise, moments, parameter_gradients
from sascli.core.precision import without_autocast

Settings = tuple[Sequence[int], Sequence[int], Sequence[int], int]
"""Stride, padding and dilation by axis; groups."""


RESIDUE = 64
"""Rounding steps of the largest variance up to which another one is rounding error.

Transforms of NNPACK on the CPU err by up to 45 of them in 3 x 3 kernels of 1 to 32 channels.
"""


def convolution(a: Tensor, w: Tensor, settings: Settings) -> Tensor:
    """Cross-correlation of (batch, channels, *size), without a bias."""
    stride, padding, dilation, groups = settings
    none = [0] * len(stride)
    return torch.convolution(a, w, None, stride, padding, dilation, False, none, groups)


def convolution_backward(
    k: Tensor, a: Tensor, w: Tensor, settings: Settings, *, input_gradient: bool
) -> tuple[Tensor | None, Tensor]:
    """Gradients of `convolution` in a, unless it is not needed, and in w from that in z."""
    stride, padding, dilation, groups = settings
    none, mask = [0] * len(stride), [input_gradient, True, False]
    grad_a, grad_w, _ = torch.ops.aten.convolution_backward(
        k, a, w, None, stride, padding, dilation, False, none, groups, mask
    )
    return grad_a, grad_w


def adds_products(device: torch.device) -> bool:
    """Whether convolutions add up products, as oneDNN does, the library of the CPU.

    Others may use transforms (Winograd's, FFT), which leave numbers of either sign where the sum
    is 0.
    """
    mkldnn = torch.backends.mkldnn
    return device.type == "cpu" and mkldnn.is_available() and bool(mkldnn.enabled)


def variances(a2: Tensor, var: Tensor, settings: Settings) -> Tensor:
    """The convolution of squared inputs with variances of weights, 0 where it is only rounding.

    Where that rounding is to be found, half precision is too coarse: it is at least float32.
    """
    if adds_products(a2.device):
        return convolution(a2, var, settings)
    dtype = torch.promote_types(a2.dtype, torch.float32)
    variance = convolution(a2.to(dtype), var.to(dtype), settings)
    return without_residue(variance, settings[-1]).to(a2.dtype)


def without_residue(variance: Tensor, groups: int = 1) -> Tensor:
    """Sums of non-negative numbers, in place, with 0 for what is only rounding.

    That is relative to the greatest finite sum of the same sample and group, so that neither
    other images nor other replicas count. Infinity and NaN stay.

    Arguments:
        variance: (batch, channels, *size), at least float32.
        groups: of the convolution.
    """
    sums = variance.unflatten(1, (groups, -1))
    finite = sums.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
    largest = finite.amax([*range(2, sums.dim())], keepdim=True)
    sums.masked_fill_(sums <= RESIDUE * torch.finfo(sums.dtype).eps * largest, 0)
    return variance


class _MeanFieldConvolution(torch.autograd.Function):
    """Eqs. 2-3 forward, Eqs. 5-7 backward."""

    @staticmethod
    def forward(
        ctx: Any, a: Tensor, m: Tensor, pi: Tensor, xi: Tensor, eps: Tensor, scale: float,
        settings: Settings,
    ) -> Tensor:  # fmt: skip
        w = moments(m, pi, xi)
        a2 = a * a
        variance = variances(a2, w.var, settings)
        z, r = add_noise(convolution(a, w.mu, settings), variance, eps, scale)
        ctx.save_for_backward(a, a2, m, pi, xi, r, *w)
        ctx.scale, ctx.settings = scale, settings
        return z

    @staticmethod
    @once_differentiable
    @without_autocast
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor | None, ...]:
        a, a2, m, pi, xi, r, mu, var = ctx.saved_tensors
        k = grad_z if ctx.scale == 1 else grad_z * ctx.scale
        needed = ctx.needs_input_grad[0]
        grad_a, grad_mu = convolution_backward(k, a, mu, ctx.settings, input_gradient=needed)
        half, grad_var = convolution_backward(r * k, a2, var, ctx.settings, input_gradient=needed)
        if grad_a is not None and half is not None:
            grad_a.addcmul_(a, half)
        return grad_a, *parameter_gradients(m, pi, xi, grad_mu, grad_var), None, None, None


def mean_field_convolution(
    a: Tensor, m: Tensor, pi: Tensor, xi: Tensor, eps: Tensor, *, settings: Settings, scale: float
) -> Tensor:
    """Pre-activations z = G + eps Delta of a convolution by spike-and-slab weights.

    Arguments:
        a: upstream activations, (batch, channels, *size) with one, two or three axes of size.
        m, pi, xi: parameters of the kernels, (n_out, channels / groups, *kernel).
        eps: standard normal draws of z's shape (batch, n_out, *size), `output_size` has the last.
        settings: stride, padding and dilation, one number for each axis of size; groups.
        scale: the prefactor.

    Returns:
        z, differentiable in a, m, pi and xi by the closed forms (Eqs. 5-7).
    """
    z: Tensor = _MeanFieldConvolution.apply(a, m, pi, xi, eps, scale, settings)
    return z


def output_size(a: Tensor, m: Tensor, settings: Settings) -> list[int]:
    """Size of a convolution's output by axis."""
    stride, padding, dilation, _ = settings
    axes = zip(a.shape[2:], m.shape[2:], stride, padding, dilation, strict=True)
    return [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in axes]
