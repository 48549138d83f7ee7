"""The precision of numbers, and that of products of float32 matrices on a GPU."""

import os
from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor

SIZE = 512
"""Of the matrices whose product shows the precision: cuBLAS multiplies tiny ones in float32."""


Backward = Callable[[Any, Tensor], tuple[Tensor | None, ...]]


def without_autocast(backward: Backward) -> Backward:
    """A backward pass in the precision of its tensors, also where it is called under autocast."""

    @wraps(backward)
    def call(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        if not torch.is_autocast_enabled(grad.device.type):
            return backward(ctx, grad)
        with torch.autocast(grad.device.type, enabled=False):
            return backward(ctx, grad)

    return call


def dtype_of(precision: str) -> torch.dtype:
    """The type of the numbers: TF32 rounds them inside matrix products alone."""
    return torch.float64 if precision == "float64" else torch.float32


def set_precision(precision: str, device: torch.device) -> str:
    """Fix how matrices are multiplied: float32, tf32 or float64; returns what the device does.

    What the environment says (TORCH_ALLOW_TF32_CUBLAS_OVERRIDE, NVIDIA_TF32_OVERRIDE) no longer
    counts, the latter unless cuBLAS is already in use.
    """
    os.environ.pop("NVIDIA_TF32_OVERRIDE", None)
    torch.backends.cuda.matmul.fp32_precision = "tf32" if precision == "tf32" else "ieee"
    if precision == "float64":
        return precision
    return "tf32" if device.type == "cuda" and rounds_to_tf32(device) else "float32"


def rounds_to_tf32(device: torch.device) -> bool:
    """Whether products lose a bit that float32 has, 2^-12, and TF32 does not."""
    x = torch.full((SIZE, SIZE), 1 + 2**-12, device=device)
    return bool((x @ torch.eye(SIZE, device=device) != x).any())
