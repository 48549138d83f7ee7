"""gBP and BP gradients of a `Recurrent` network through time, without autograd.

With K(t) = alpha dC/dh(t) for the step's parameters, no alpha at the read-out, and
dC/dh(t-1) = (1 - alpha) dC/dh(t) + 1[h(t-1) > 0] (sum K(t) du(t)/dr + dC/dr of the read-out).
"""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sascli.core.backprop import Gradients, Saved, Tape, relu_backward

if TYPE_CHECKING:
    from sascli.core.recurrent import Recurrent

LOSSES = ("mean", "half_per_step")
"""Scales of the squared error: mean over the unmasked targets, or half of its sum over the
outputs, averaged over all trials and time steps, masked ones included."""

STEP, OUT = 0, 1
"""The two maps: [r(t-1), x(t)] -> u(t) and r(t) -> y(t)."""


class ThroughTime(Gradients):
    """Gradients of a recurrent network by loops over time, 0 where parameters are frozen."""

    network: "Recurrent"

    def loss(self, outputs: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """The cross entropy, with `every_step` the squared error, and K = dC/doutputs."""
        time = self.network.dynamics
        if time.every_step:
            return squared_error(outputs, y, time.loss)
        return super().loss(outputs, y)

    @torch.no_grad()
    def _propagate(
        self, x: Tensor, eps: Sequence[Tensor] | None = None, tape: Tape = None
    ) -> Tensor:
        network, maps = self.network, self.maps

        def current(t: int, a: Tensor) -> Tensor:
            return maps.forward(STEP, a, eps[STEP][:, t] if eps else None, tape)

        rates = network.rates(network.per_replica(x), current, eps)
        noise = eps[OUT].flatten(1, 2) if eps else None
        y = maps.forward(OUT, rates.flatten(1, 2), noise, tape)
        return network.outputs(y.unflatten(1, rates.shape[1:3]))

    @torch.no_grad()
    def backward(self, k: Tensor, tape: Sequence[Saved]) -> None:
        """Gradients from k = dC/doutputs."""
        time, n_rec = self.network.dynamics, self.network.widths[1]
        k = k.transpose(1, 2) if time.every_step else k.unsqueeze(1)
        *steps, last = tape
        self.maps.begin_backward()
        below = self.maps.backward(OUT, k.flatten(1, 2), last)
        assert below is not None
        by_readout = relu_backward(below, last[0]).unflatten(1, k.shape[1:3])
        by_h = by_readout[:, -1]  # dC/dh(t)
        for t in reversed(range(len(steps))):
            below = self.maps.backward(STEP, by_h * time.alpha, steps[t])
            assert below is not None
            direct = relu_backward(below[..., :n_rec], steps[t][0][..., :n_rec])
            by_h = direct.add_(by_h, alpha=1 - time.alpha)
            if time.every_step and t:
                by_h += by_readout[:, t - 1]
        self.maps.finish()
        for kind in self.grads.keys() & self.network.frozen.keys():
            self.grads[kind].masked_fill_(self.network.frozen[kind], 0)


def squared_error(outputs: Tensor, y: Tensor, scale: str = "mean") -> tuple[Tensor, Tensor]:
    r"""Squared error C (replicas,) over the targets that are not NaN, and K = dC/doutputs.

    Outputs and targets y are (replicas, B, T, n_out); a NaN in y masks that output. With
    scale="mean" C is the mean over the unmasked targets, with "half_per_step"

    .. math:: C = \sum mask \, (y - y^*)^2 / (2 B T)

    of B trials of T steps, padding included.
    """
    known = ~y.isnan()
    if scale == "mean":
        count = known.flatten(1).sum(1).view(-1, 1, 1, 1)
    else:
        count = known.new_full((len(y), 1, 1, 1), 2 * y.shape[1] * y.shape[2], dtype=torch.long)
    difference = torch.where(known, outputs - y, 0.0)
    loss = (difference.square() / count).flatten(1).sum(1)
    return loss, difference.mul_(2).div_(count)


def clip_spectral_(matrices: Iterable[Tensor], limit: float) -> None:
    """Scale matrices (replicas, n_out, n_in) so that no spectral norm is more than `limit`.

    The Frobenius norm is an upper bound, so most matrices need no decomposition; matrices that are
    not finite are not changed, as the loss will report them. The bounds of all matrices are read
    back at once.
    """
    matrices = list(matrices)
    norms = [torch.linalg.vector_norm(matrix, dim=(-2, -1)).max() for matrix in matrices]
    for matrix, bound in zip(matrices, torch.stack(norms).tolist(), strict=True):
        if limit < bound < math.inf:
            norm = torch.linalg.matrix_norm(matrix, 2)
            matrix.mul_((limit / norm).clamp_(max=1).view(-1, 1, 1))
