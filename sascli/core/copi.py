"""Constrained parameter inference (COPI): layers that learn from decorrelated inputs.

N. Ahmad, E. Schrader and M. van Gerven, TMLR (2023), arXiv:2203.13203. <> is the mean over a
batch; B images of n neurons are a (replicas, B, n) tensor, weights (replicas, n_out, n_in).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from sascli.core.network import FeedForward
from sascli.core.products import product

Rate = float | Tensor
"""A learning rate, or one per replica as (replicas, 1, 1)."""


def mean_square(x: Tensor) -> Tensor:
    """<x_j^2> as (replicas, 1, n)."""
    return x.square().mean(-2, keepdim=True)


def decorrelate_(
    r: Tensor, x: Tensor, power: Tensor, rate: Rate, *, local: bool = False
) -> Tensor:
    """R <- R - rate (<x x^T> - diag<x^2>) R in place; local: with R on the left.

    Decorrelated means <x_i x_j> = 0 for i != j, not centred. With X of shape (B, n) and
    d = <x^2> the term is X^T (X R) / B - diag(d) R, or (X R^T)^T X / B - R diag(d): two products
    of order B n^2, never one of n^3, and no n x n tensor beside R. `power` is `mean_square(x)`.
    """
    if local:
        left, right, scale = product(x, r.mT), x, power
    else:
        left, right, scale = x, product(x, r), power.mT
    return r.mul_(1 + rate * scale).baddbmm_(left.mT, right * (rate / -x.shape[-2]))


def infer_(w: Tensor, x: Tensor, target: Tensor, rate: Rate, forget: Rate) -> Tensor:
    """W <- W + rate (<target x^T> - W diag(forget)) in place, in order B n_in n_out.

    COPI: target z* = a + p, forget <x^2>. Back-propagation: target p, forget 0. What is added to
    `forget` is decoupled decay.
    """
    return w.mul_(1 - rate * forget).baddbmm_(target.mT, x * (rate / x.shape[-2]))


def correlation(x: Tensor) -> Tensor:
    """Mean over i != j of |<x_i x_j>| / sqrt(<x_i^2> <x_j^2>), one number per replica.

    Only neurons that are active somewhere in the batch count.
    """
    u = F.normalize(x, dim=-2, eps=torch.finfo(x.dtype).tiny)
    total = torch.stack([(images.mT @ images).abs_().sum() for images in u])
    active = (u != 0).any(-2).sum(-1)
    return (total - active) / (active * (active - 1)).clamp(min=1)


class Decorrelated:
    """The layers of a network on decorrelated inputs: x = R y, a = W x, y' = leaky ReLU(a).

    The output layer has the leaky ReLU as well. `w` are views of the network's m, without a
    prefactor; `r`, one (replicas, n_in, n_in) per layer, are those of the network, which gets
    identities if it has none. `feedback`, one (replicas, n_out, n_in) for every layer but the
    first, propagates perturbations instead of W R: feedback alignment.
    """

    def __init__(
        self, network: FeedForward, slope: float, feedback: Sequence[Tensor] = ()
    ) -> None:
        self.network, self.slope, self.feedback = network, slope, feedback
        self.w = network.split(network.flat["m"])
        if not network.r:
            eyes = [torch.eye(w.shape[-1], device=w.device, dtype=w.dtype) for w in self.w]
            network.decorrelate([eye.repeat(network.replicas, 1, 1) for eye in eyes], slope)
        self.r = network.r

    def forward(self, y: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Decorrelated inputs x and activations a of every layer, for network inputs y."""
        inputs: list[Tensor] = []
        activations: list[Tensor] = []
        y = self.network.per_replica(y)
        for r, w in zip(self.r, self.w, strict=True):
            if activations:
                y = self.outputs(activations[-1])
            inputs.append(product(y, r.mT))
            activations.append(product(inputs[-1], w.mT))
        return inputs, activations

    def outputs(self, a: Tensor) -> Tensor:
        """y' = f(a), the leaky ReLU, as a new tensor."""
        return F.leaky_relu(a, self.slope)

    def squared_error(self, a: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Means (replicas,) of C = |y - t|^2 / 2, and dC/da of every image, for the last a.

        t is 1 at the label, (replicas, batch), and 0 elsewhere.
        """
        error, target = self.outputs(a), labels.unsqueeze(-1)
        error.scatter_add_(-1, target, error.new_full((1,), -1.0).expand_as(target))
        return error.square().sum(-1).mean(-1) / 2, self.derivative(error, a)

    def derivative(self, k: Tensor, a: Tensor) -> Tensor:
        """k f'(a) of the leaky ReLU f, in one pass."""
        return torch.ops.aten.leaky_relu_backward(k, a, self.slope, False)  # type: ignore[no-any-return]

    def perturbations(self, activations: Sequence[Tensor], top: Tensor) -> list[Tensor]:
        """p of every layer, given that of the output: p' = f'(a') (R^T W^T p), or (feedback p)."""
        p = [top]
        for number in reversed(range(1, len(self.w))):
            if self.feedback:
                below = product(p[0], self.feedback[number - 1])
            else:
                below = product(product(p[0], self.w[number]), self.r[number])
            p.insert(0, self.derivative(below, activations[number - 1]))
        return p
