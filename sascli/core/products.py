"""Batched matrix products by the fastest library that torch carries."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

LARGE = 2**23
"""Multiplications from which oneDNN's product is used instead of BLAS.

torch multiplies float32 matrices on the CPU by MKL, which takes about twice as long as oneDNN on
AMD processors and mostly less time on Intel's (`python -m benchmarks.products`); oneDNN's setup
costs more for small products. The choice depends on the manufacturer and on no measurement,
so that a machine always computes the same numbers.
"""


def by_intel(info: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor is one of Intel's, as far as the file says."""
    return info.exists() and "GenuineIntel" in info.read_text()


_unsafe_view: Any = torch.ops.aten._unsafe_view
_linear: Any = None  # x w^T, the operation that torch.compile puts in place of nn.Linear
if torch.backends.mkldnn.is_available():
    _linear = getattr(torch.ops.mkldnn, "_linear_pointwise", None)

ONEDNN = _linear is not None and not (torch.backends.mkl.is_available() and by_intel())
"""Whether large products use oneDNN."""


def by_onednn(x: Tensor, y: Tensor) -> Tensor:
    """x @ y of two float32 matrices on the CPU."""
    result: Tensor = _linear(x, y.mT, None, "none", [], "")
    return result


def product(x: Tensor, y: Tensor, out: Tensor | None = None) -> Tensor:
    """x @ y of (replicas, n, k) and (replicas, k, m), into `out` if any."""
    replicas, n, k = x.shape
    m = y.shape[-1]
    supported = ONEDNN and x.dtype == torch.float32 and x.device.type == "cpu"
    if torch.is_grad_enabled() and (x.requires_grad or y.requires_grad):
        supported = False  # oneDNN's has no gradient
    if not supported or n * k * m < LARGE:
        return torch.bmm(x, y) if out is None else torch.bmm(x, y, out=out)
    if out is None and replicas == 1:
        # no view, which a user's autograd could not change in place
        result: Tensor = _unsafe_view(by_onednn(x[0], y[0]), (1, n, m))
        return result
    out = x.new_empty(replicas, n, m) if out is None else out
    for left, right, result in zip(x, y, out, strict=True):
        result.copy_(by_onednn(left, right))
    return out


def add_product(x: Tensor, y: Tensor, out: Tensor) -> Tensor:
    """Add x @ y to `out`, by BLAS: many small products are added up."""
    return out.baddbmm_(x, y)
