"""gBP and BP gradients of a `Recurrent` network through time, without autograd.

With K(t) = alpha dC/dh(t) for the step's parameters, no alpha at the read-out, and
dC/dh(t-1) = (1 - alpha) dC/dh(t) + 1[h(t-1) > 0] (sum K(t) du(t)/dr + dC/dr of the read-out).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sascli.core import mean_field
from sascli.core.mean_field import Moments
from sascli.core.network import KINDS, cross_entropy, relu_backward
from sascli.core.products import product

if TYPE_CHECKING:
    from sascli.core.recurrent import Recurrent

LOSSES = ("mean", "half_per_step")
"""Scales of the squared error: mean over the unmasked targets, or half of its sum over the
outputs, averaged over all trials and time steps, masked ones included."""

STEP, OUT = 0, 1
"""The two maps: [r(t-1), x(t)] -> u(t) and r(t) -> y(t)."""

Saved = tuple[Tensor, ...]
"""Tensors of one map for its backward pass, its input first."""


class ThroughTime(ABC):
    """The forward and backward loops over time; a subclass computes the single maps.

    The gradients `grads[kind]`, flat like `network.flat[kind]`, are 0 where parameters are frozen.
    """

    def __init__(self, network: "Recurrent", grads: dict[str, Tensor]) -> None:
        self.network, self.grads = network, grads

    @torch.no_grad()
    def logits(self, x: Tensor, eps: Sequence[Tensor] | None = None) -> Tensor:
        """Outputs of the network, without saving tensors for gradients."""
        return self.network.outputs(self._unroll(x, eps, None))

    @torch.no_grad()
    def __call__(self, x: Tensor, y: Tensor, eps: Sequence[Tensor] | None = None) -> Tensor:
        """As `Gradients`: of the cross entropy, with `every_step` of the squared error.

        Targets y are (replicas, batch, steps, n_out).
        """
        outputs, saved = self.forward(x, eps)
        time = self.network.dynamics
        if time.every_step:
            loss, k = squared_error(outputs, y, time.loss)
        else:
            loss, k = cross_entropy(outputs, y)
        self.backward(k, saved)
        return loss

    @torch.no_grad()
    def forward(
        self, x: Tensor, eps: Sequence[Tensor] | None = None
    ) -> tuple[Tensor, list[Saved]]:
        """Outputs, and the tensors for `backward`."""
        saved: list[Saved] = []
        return self.network.outputs(self._unroll(x, eps, saved)), saved

    def _unroll(
        self, x: Tensor, eps: Sequence[Tensor] | None, saved: list[Saved] | None
    ) -> Tensor:
        """y of every read-out, (replicas, readouts, batch, n_out); fills `saved`."""
        network = self.network
        self._begin()

        def apply(number: int, a: Tensor, noise: Tensor | None) -> Tensor:
            z, tensors = self._forward(number, a, noise)
            if saved is not None:
                saved.append(tensors)
            return z

        def current(t: int, a: Tensor) -> Tensor:
            return apply(STEP, a, eps[STEP][:, t] if eps else None)

        rates = network.rates(network.per_replica(x), current, eps)
        noise = eps[OUT].flatten(1, 2) if eps else None
        y: Tensor = apply(OUT, rates.flatten(1, 2), noise).unflatten(1, rates.shape[1:3])
        return y

    @torch.no_grad()
    def backward(self, k: Tensor, saved: Sequence[Saved]) -> None:
        """Gradients from k = dC/doutputs."""
        time, n_rec = self.network.dynamics, self.network.widths[1]
        k = k.transpose(1, 2) if time.every_step else k.unsqueeze(1)
        *steps, last = saved
        direct = relu_backward(self._backward(OUT, k.flatten(1, 2), last), last[0])
        by_readout = direct.unflatten(1, k.shape[1:3])
        by_h = by_readout[:, -1]  # dC/dh(t)
        for t in reversed(range(len(steps))):
            below = self._backward(STEP, by_h * time.alpha, steps[t])[..., :n_rec]
            by_h = relu_backward(below, steps[t][0][..., :n_rec]).add_(by_h, alpha=1 - time.alpha)
            if time.every_step and t:
                by_h += by_readout[:, t - 1]
        self._finish()
        for kind, grad in self.grads.items():
            if kind in self.network.frozen:
                grad.masked_fill_(self.network.frozen[kind], 0)

    @abstractmethod
    def _begin(self) -> None:
        """Called before the forward pass."""

    @abstractmethod
    def _forward(self, number: int, a: Tensor, noise: Tensor | None) -> tuple[Tensor, Saved]:
        """Output of one map, and the tensors for its backward pass."""

    @abstractmethod
    def _backward(self, number: int, k: Tensor, saved: Saved) -> Tensor:
        """Add the gradients of one map; dC/da."""

    def _finish(self) -> None:  # noqa: B027 - optional
        """Called after the backward pass."""


class GeneralisedBackpropThroughTime(ThroughTime):
    """gBP: the closed forms of Eqs. 2-7 with the joint Delta of recurrent and input weights."""

    def __init__(self, network: "Recurrent") -> None:
        self.all = torch.empty_like(network.all)
        super().__init__(network, dict(zip(KINDS, self.all, strict=True)))
        m = network.flat["m"]
        self.moments = Moments.empty_like(m)
        self._grad_mu, self._grad_var = torch.empty_like(m), torch.empty_like(m)
        step_grads = (torch.empty_like(m), torch.empty_like(m))  # of one map at one step
        tensors = (self.moments.mu, self.moments.var, self._grad_mu, self._grad_var, *step_grads)
        self._maps = list(zip(*map(network.matrices, tensors), strict=True))

    def _begin(self) -> None:
        flat = self.network.flat
        mean_field.moments(flat["m"], flat["pi"], flat["xi"], out=self.moments)
        self._grad_mu.zero_()
        self._grad_var.zero_()

    def _forward(self, number: int, a: Tensor, noise: Tensor | None) -> tuple[Tensor, Saved]:
        assert noise is not None, "gBP needs eps"
        mu, var, *_ = self._maps[number]
        a2 = a * a
        z, r = mean_field.forward(a, a2, mu, var, noise, 1.0)
        return z, (a, a2, r)

    def _backward(self, number: int, k: Tensor, saved: Saved) -> Tensor:
        mu, var, grad_mu, grad_var, step_mu, step_var = self._maps[number]
        a, a2, r = saved
        below = mean_field.backward(k, a, a2, mu, var, r, step_mu, step_var)
        assert below is not None
        grad_mu += step_mu
        grad_var += step_var
        return below

    def _finish(self) -> None:
        m, grads = self.network.flat["m"], (self.grads["m"], self.grads["pi"], self.grads["xi"])
        mean_field.chain(m, self.moments, self._grad_mu, self._grad_var, grads)


class BackpropThroughTime(ThroughTime):
    """BP of m alone: the limit pi = Xi = 0."""

    def __init__(self, network: "Recurrent") -> None:
        super().__init__(network, {"m": torch.empty_like(network.flat["m"])})
        flat, grad = network.flat["m"], self.grads["m"]
        self._maps = list(zip(network.matrices(flat), network.matrices(grad), strict=True))

    def _begin(self) -> None:
        self.grads["m"].zero_()

    def _forward(self, number: int, a: Tensor, noise: Tensor | None) -> tuple[Tensor, Saved]:
        return product(a, self._maps[number][0].mT), (a,)

    def _backward(self, number: int, k: Tensor, saved: Saved) -> Tensor:
        w, grad = self._maps[number]
        grad.baddbmm_(k.mT, saved[0])
        return product(k, w)


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
    not finite are not changed, as the loss will report them.
    """
    for matrix in matrices:
        bound = torch.linalg.vector_norm(matrix, dim=(-2, -1))
        if limit < bound.max() < torch.inf:
            norm = torch.linalg.matrix_norm(matrix, 2)
            matrix.mul_((limit / norm).clamp_(max=1).view(-1, 1, 1))
