"""gBP and BP gradients of a `FeedForward` network, in place and without autograd."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sascli.core import mean_field
from sascli.core.mean_field import Moments
from sascli.core.products import add_product, product

if TYPE_CHECKING:
    from sascli.core.network import FeedForward

Saved = tuple[Tensor, ...]
"""Tensors of one matrix product for its backward pass, its input first."""
Tape = list[Saved] | None
"""Those of all products in their order, None where no backward pass follows."""


class MeanFieldMaps:
    """gBP of every matrix product of a network, Eqs. 2-7.

    Buffers are reused between calls, so that one object serves one training loop. The gradients
    of products that are `repeated`, at every time step, are sums.
    """

    def __init__(self, network: "FeedForward", *, repeated: bool = False) -> None:
        m = network.flat["m"]
        self.flat, self.repeated = network.flat, repeated
        self.moments = Moments(torch.empty_like(m), torch.empty_like(m))
        self.all = torch.empty_like(network.all)
        self.grads = dict(zip(network.flat, self.all, strict=True))
        # dC/dmu and 2 dC/dv until `finish`
        tensors = (*self.moments, self.grads["m"], self.grads["xi"])
        self._maps = list(zip(*map(network.matrices, tensors), network.scales, strict=True))

    def begin(self) -> None:
        """Called before the forward pass."""
        mean_field.moments(**self.flat, out=self.moments)

    def begin_backward(self) -> None:
        """Called before the backward pass if products are repeated."""
        self.all.zero_()

    def forward(self, number: int, a: Tensor, noise: Tensor | None, tape: Tape) -> Tensor:
        """Output of one map; appends the tensors for its backward pass to the tape, if any."""
        assert noise is not None, "gBP needs eps"
        mu, var, *_, scale = self._maps[number]
        shared = a.stride(0) == 0  # inputs of all replicas are squared once
        a2 = a[:1].square().expand_as(a) if shared else a * a
        z, r = mean_field.forward(a, a2, mu, var, noise, scale)
        if tape is not None:
            tape.append((a, a2, r))
        return z

    def backward(
        self, number: int, k: Tensor, saved: Saved, *, input_gradient: bool = True
    ) -> Tensor | None:
        """Gradients of one map from k = s dC/dz; dC/da."""
        mu, var, grad_mu, grad_var, _ = self._maps[number]
        a, a2, r = saved
        return mean_field.backward(
            k, a, a2, mu, var, r, grad_mu, grad_var,
            add=self.repeated, input_gradient=input_gradient,
        )  # fmt: skip

    def finish(self) -> None:
        """Called after the backward pass."""
        mean_field.chain(*self.flat.values(), *self.grads.values())


class MeanMaps:
    """BP of every matrix product, of m alone: the limit pi = Xi = 0, half the products."""

    def __init__(self, network: "FeedForward", *, repeated: bool = False) -> None:
        self.repeated, self.grads = repeated, {"m": torch.empty_like(network.flat["m"])}
        tensors = (network.flat["m"], self.grads["m"])
        self._maps = list(zip(*map(network.matrices, tensors), network.scales, strict=True))

    def begin(self) -> None:
        """As of `MeanFieldMaps`: nothing to compute."""

    def begin_backward(self) -> None:
        """As of `MeanFieldMaps`."""
        self.grads["m"].zero_()

    def forward(self, number: int, a: Tensor, noise: Tensor | None, tape: Tape) -> Tensor:
        """As of `MeanFieldMaps`, without noise."""
        w, _, scale = self._maps[number]
        if tape is not None:
            tape.append((a,))
        return product(a, w.mT).mul_(scale)

    def backward(
        self, number: int, k: Tensor, saved: Saved, *, input_gradient: bool = True
    ) -> Tensor | None:
        """As of `MeanFieldMaps`."""
        w, grad, _ = self._maps[number]
        if self.repeated:
            add_product(k.mT, saved[0], out=grad)
        else:
            product(k.mT, saved[0], out=grad)
        return product(k, w) if input_gradient else None

    def finish(self) -> None:
        """As of `MeanFieldMaps`: nothing is left to do."""


class Gradients:
    """Computes gradients of a network's parameters, in place and without autograd.

    They are `grads[kind]`, flat like `network.flat[kind]`; `maps` computes those of each layer.
    With `before_chain` gBP's grads["m"] and grads["xi"] are dC/dmu and 2 dC/dv, for `SlabAdamW`.
    """

    before_chain = False

    def __init__(self, network: "FeedForward", maps: MeanFieldMaps | MeanMaps) -> None:
        self.network, self.maps, self.grads = network, maps, maps.grads

    @torch.no_grad()
    def __call__(self, x: Tensor, y: Tensor, eps: Sequence[Tensor] | None = None) -> Tensor:
        """Gradients of the mean loss of inputs (replicas, batch, n), into `grads`.

        y are the labels (replicas, batch), or the targets (replicas, batch, steps, n_out) of a
        network read out at every step; eps as `split_noise` gives it, which BP ignores but for
        the neurons' noise. Returns the losses (replicas,).
        """
        tape: list[Saved] = []
        loss, k = self.loss(self.logits(x, eps, tape), y)
        self.backward(k, tape)
        return loss

    def loss(self, outputs: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """The mean cross entropy, and K = dC/doutputs."""
        return cross_entropy(outputs, y)

    @torch.no_grad()
    def logits(self, x: Tensor, eps: Sequence[Tensor] | None = None, tape: Tape = None) -> Tensor:
        """Outputs as of `FeedForward.forward`; tensors for `backward` onto the tape, if any."""
        return self.predictor()(x, eps, tape)

    @torch.no_grad()
    def predictor(self) -> Callable[..., Tensor]:
        """`logits` of the present parameters, whose moments are computed once for all calls.

        It is valid until the parameters change.
        """
        self.maps.begin()
        return self._propagate

    @torch.no_grad()
    def _propagate(
        self, x: Tensor, eps: Sequence[Tensor] | None = None, tape: Tape = None
    ) -> Tensor:
        a = self.network.per_replica(x)
        for number in range(len(self.network.scales)):
            a = a.clamp_(min=0) if number else a
            a = self.maps.forward(number, a, eps[number] if eps else None, tape)
        return a

    @torch.no_grad()
    def backward(self, k: Tensor, tape: Sequence[Saved]) -> None:
        """Gradients from k = dC/doutputs, which is overwritten."""
        self._backpropagate(k, tape)
        if not self.before_chain:
            self.maps.finish()

    def _backpropagate(self, k: Tensor, tape: Sequence[Saved]) -> None:
        """The maps' part of `backward`."""
        for number, scale in reversed(list(enumerate(self.network.scales))):
            saved = tape[number]
            below = self.maps.backward(number, k.mul_(scale), saved, input_gradient=number > 0)
            if below is not None:
                k = relu_backward(below, saved[0])


def cross_entropy(logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Mean cross entropy (replicas,) and K = dC/dlogits, (replicas, batch, classes)."""
    target = y.unsqueeze(-1)
    log_p = torch.log_softmax(logits, -1)
    loss = -log_p.gather(-1, target).mean((-2, -1))
    k = log_p.exp_()
    k.scatter_add_(-1, target, k.new_full((1,), -1.0).expand_as(target))
    return loss, k.div_(logits.shape[-2])


def relu_backward(k: Tensor, a: Tensor) -> Tensor:
    """dC/dz from dC/da of a = relu(z), in one pass: k where a > 0, else 0."""
    return torch.ops.aten.threshold_backward(k, a, 0)  # type: ignore[no-any-return]
