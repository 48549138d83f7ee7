"""Loops over the numbers of tensors in one pass, where torch's operations take one pass each.

numba compiles a loop at its first call and caches the machine code on disk. A loop is only for
tensors that `fit`; its callers have torch's operations for all others.
"""

import math
from collections.abc import Callable
from functools import cache, wraps
from importlib.util import find_spec
from inspect import getfullargspec
from typing import Any

import torch
from torch import Tensor

Loop = Callable[..., None]
Numbers = Any
"""A tensor's numbers as an array of one dimension."""
FLOATS = (torch.float32, torch.float64)
INSTALLED = find_spec("numba") is not None
"""`make gpu-check` does without."""
LARGE = 2**15
"""Numbers of a tensor from which a loop is used: a small network trains without numba, whose
import and first call take as long as a quarter of the import of torch."""


def fit(first: Tensor, *others: Tensor) -> bool:
    """Whether a loop can run over large tensors of one shape and precision, on the CPU, no gaps.

    The answer depends on nothing else, so that a run always computes the same numbers.
    """
    dtype, shape = first.dtype, first.shape
    if first.numel() < LARGE or dtype not in FLOATS or not INSTALLED:
        return False
    if torch.compiler.is_compiling():
        return False
    for tensor in others:
        if not (tensor.is_cpu and tensor.is_contiguous()):
            return False
        if tensor.dtype is not dtype or tensor.shape != shape:
            return False
    return first.is_cpu and first.is_contiguous()


def fused(loop: Loop) -> Callable[..., None]:
    """A loop over arrays as a function of tensors and of numbers, which get their precision."""

    @cache
    def compiled() -> Any:
        import numba

        options: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract"}}
        try:
            return numba.njit(cache=True, **options)(loop)
        except RuntimeError:  # no folder for the cache can be written
            return numba.njit(**options)(loop)

    names = getfullargspec(loop).args

    @wraps(loop)
    def call(*tensors: Tensor, **numbers: float) -> None:
        values = [tensor.detach() if tensor.requires_grad else tensor for tensor in tensors]
        arrays = [value.numpy().reshape(-1) for value in values]
        precision = arrays[0].dtype.type
        compiled()(*arrays, *[precision(numbers[name]) for name in names[len(arrays) :]])

    return call


@fused
def add_noise(z: Numbers, variance: Numbers, eps: Numbers, scale: float) -> None:
    """`mean_field.add_noise`: z = s (z + eps sqrt(variance)); r is written over the variance."""
    one, zero, infinite = z.dtype.type(1), z.dtype.type(0), z.dtype.type(math.inf)
    for i in range(z.size):
        v = variance[i]
        r = one / math.sqrt(v)
        r = (zero if r == infinite else r) * eps[i]
        z[i] = scale * (z[i] + v * r)
        variance[i] = r


@fused
def moments(m: Numbers, pi: Numbers, xi: Numbers, mu: Numbers, var: Numbers) -> None:
    """mu = (1 - pi) m and var = (1 - pi)(Xi + pi m^2)."""
    one = m.dtype.type(1)
    for i in range(m.size):
        w, p, x = m[i], pi[i], xi[i]
        mu[i] = (one - p) * w
        var[i] = (one - p) * (x + p * w * w)


@fused
def chain(
    m: Numbers, pi: Numbers, xi: Numbers, grad_m: Numbers, grad_pi: Numbers, grad_xi: Numbers
) -> None:
    """`mean_field.chain`."""
    one, two, half = m.dtype.type(1), m.dtype.type(2), m.dtype.type(0.5)
    for i in range(m.size):
        w, p, x, by_mu, by_var = m[i], pi[i], xi[i], grad_m[i], half * grad_xi[i]
        by_x = (one - p) * by_var
        grad_m[i] = (one - p) * by_mu + two * p * w * by_x
        grad_pi[i] = (w * ((one - p) * w) - (x + p * w * w)) * by_var - w * by_mu
        grad_xi[i] = by_x


@fused
def adamw(
    m: Numbers, pi: Numbers, xi: Numbers, by_mu: Numbers, by_var: Numbers,
    mean_m: Numbers, mean_pi: Numbers, mean_xi: Numbers,
    square_m: Numbers, square_pi: Numbers, square_xi: Numbers,
    keep_m: float, keep_pi: float, keep_xi: float, rate_m: float, rate_pi: float, rate_xi: float,
    root: float, rest1: float, beta2: float, rest2: float, eps: float,
) -> None:  # fmt: skip
    """`chain` from dC/dmu and 2 dC/dv, and a step of AdamW down the gradients."""
    one, two, half = m.dtype.type(1), m.dtype.type(2), m.dtype.type(0.5)
    for i in range(m.size):
        w, p, x, g, h = m[i], pi[i], xi[i], by_mu[i], half * by_var[i]
        grad_xi = (one - p) * h
        grad_m = (one - p) * g + two * p * w * grad_xi
        grad_pi = (w * ((one - p) * w) - (x + p * w * w)) * h - w * g

        mean, square = mean_m[i], beta2 * square_m[i] + rest2 * grad_m * grad_m
        mean += rest1 * (grad_m - mean)
        m[i] = keep_m * w - rate_m * mean / (root * math.sqrt(square) + eps)
        mean_m[i], square_m[i] = mean, square

        mean, square = mean_pi[i], beta2 * square_pi[i] + rest2 * grad_pi * grad_pi
        mean += rest1 * (grad_pi - mean)
        pi[i] = keep_pi * p - rate_pi * mean / (root * math.sqrt(square) + eps)
        mean_pi[i], square_pi[i] = mean, square

        mean, square = mean_xi[i], beta2 * square_xi[i] + rest2 * grad_xi * grad_xi
        mean += rest1 * (grad_xi - mean)
        xi[i] = keep_xi * x - rate_xi * mean / (root * math.sqrt(square) + eps)
        mean_xi[i], square_xi[i] = mean, square
