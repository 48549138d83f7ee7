"""The feed-forward network of spike-and-slab weights, and its gradients by gBP and BP."""

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sascli.core import mean_field
from sascli.core.mean_field import Moments, mean_field_linear
from sascli.core.products import product
from sascli.core.spike_slab import SpikeSlab
from sascli.core.streams import Generators, fill_normal

KINDS = ("m", "pi", "xi")


class FeedForward(nn.Module):
    """ReLU layers a = relu(z) under a linear output, each weight a spike and slab.

    `layers[l]` has parameters (replicas, widths[l+1], widths[l]); every pre-activation carries
    the prefactor 1/sqrt(widths[l]). All parameters are views of one tensor, `all`, and those of
    one kind of `flat[kind]`, so that optimiser and projection touch one tensor instead of three
    per layer; therefore make the network on its device, it cannot be moved with `.to()`.

    Activations are (replicas, batch, n). Inputs may lack the replicas axis: all share them.
    """

    def __init__(
        self,
        widths: Sequence[int],
        replicas: int = 1,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.widths, self.replicas = list(widths), replicas
        self.scales = [1 / math.sqrt(n) for n in self.widths[:-1]]
        self.slope, self.r = 0.0, list[Tensor]()
        shapes = [(replicas, n, k) for k, n in zip(self.widths, self.widths[1:], strict=False)]
        self._shapes, self._sizes = shapes, [math.prod(shape) for shape in shapes]
        total = sum(self._sizes)
        self.all = torch.zeros(len(KINDS), total, device=device, dtype=dtype)
        self.flat = dict(zip(KINDS, self.all, strict=True))
        slabs = [SpikeSlab(0, 0) for _ in self.split(self.flat["m"])]
        for kind in KINDS:
            for layer, view in zip(slabs, self.split(self.flat[kind]), strict=True):
                setattr(layer, kind, nn.Parameter(view))
        self.layers: Sequence[SpikeSlab] = nn.ModuleList(slabs)  # type: ignore[assignment]

    def decorrelate(self, r: Sequence[Tensor], slope: float) -> None:
        """Become COPI's kind of network: weights m r[l], no prefactor, leaky ReLU of that slope.

        r[l] is (replicas, widths[l], widths[l]). Only `run`, `sample` and the mean network know
        of it, gBP and BP do not.
        """
        self.r, self.slope, self.scales = list(r), slope, [1.0] * len(self.layers)

    def _decorrelated(self, weights: list[Tensor]) -> list[Tensor]:
        """Weights times r, where there is one."""
        return [product(w, r) for w, r in zip(weights, self.r, strict=True)] if self.r else weights

    def matrices(self, flat: Tensor) -> list[Tensor]:
        """Views of a flat tensor, one (replicas, n_out, n_in) per matrix product."""
        parts = torch.split(flat, self._sizes)
        return [part.view(shape) for part, shape in zip(parts, self._shapes, strict=True)]

    def split(self, flat: Tensor) -> list[Tensor]:
        """Views of a flat tensor, one (replicas, n_out, n_in) per layer."""
        return self.matrices(flat)

    def counterpart(self, parameter: Tensor, other: Tensor) -> Tensor:
        """The part of `other`, laid out like `all`, where the view `parameter` is in `all`."""
        return other.as_strided(parameter.shape, parameter.stride(), parameter.storage_offset())

    def _apply(self, fn: Any, recurse: bool = True) -> "FeedForward":
        raise TypeError("make the network on its device and in its dtype: moving cuts its views")

    def like(self, replicas: int, device: torch.device | str) -> "FeedForward":
        """A network of the same kind and widths with all numbers 0."""
        network = FeedForward(self.widths, replicas, device=device, dtype=self.all.dtype)
        if self.r:
            r = [r.new_zeros(replicas, *r.shape[1:], device=device) for r in self.r]
            network.decorrelate(r, self.slope)
        return network

    def tensors(self) -> list[Tensor]:
        """Views (replicas, ...) of all numbers that the network consists of."""
        return [*(view for flat in self.all for view in self.split(flat)), *self.r]

    def select(self, replicas: slice, device: torch.device | str | None = None) -> "FeedForward":
        """A copy of the chosen replicas, by default on the same device."""
        device = self.all.device if device is None else device
        network = self.like(len(range(self.replicas)[replicas]), device)
        for target, source in zip(network.tensors(), self.tensors(), strict=True):
            target.detach().copy_(source[replicas])
        return network

    @staticmethod
    def concat(networks: Sequence["FeedForward"], device: torch.device | str) -> "FeedForward":
        """A copy of networks of the same kind and widths, their replicas side by side."""
        stops = list(accumulate(network.replicas for network in networks))
        population = networks[0].like(stops[-1], device)
        for network, stop in zip(networks, stops, strict=True):
            for target, source in zip(population.tensors(), network.tensors(), strict=True):
                target[stop - network.replicas : stop].copy_(source)
        return population

    def __deepcopy__(self, memo: dict[int, Any]) -> "FeedForward":
        return self.select(slice(None))

    @property
    def layer_names(self) -> Sequence[str]:
        """input, hidden, ..., output."""
        middle = ["hidden"] * (len(self.layers) - 2)
        return ["input", *middle, "output"][-len(self.layers) :]

    @torch.no_grad()
    def project_(self) -> "FeedForward":
        """Put pi back into [0, 1] and Xi into [0, inf); their exact ends are meaningful."""
        self.flat["pi"].clamp_(0, 1)
        self.flat["xi"].clamp_(min=0)
        return self

    @property
    def noisy(self) -> bool:
        """Whether the neurons have noise of their own, there with given weights too."""
        return False

    @property
    def noise_size(self) -> int:
        """Normal draws that one sample needs: one per neuron downstream."""
        return sum(self.widths[1:])

    def split_noise(self, flat: Tensor, batch: int) -> list[Tensor]:
        """Views (replicas, batch, n_out), one per layer, of (replicas, >= batch * noise_size)."""
        views, start = [], 0
        for n in self.widths[1:]:
            views.append(flat[:, start : start + batch * n].unflatten(1, (batch, n)))
            start += batch * n
        return views

    def draw_noise(self, batch: int, generator: Generators) -> list[Tensor]:
        """Fresh normal draws for a batch, as `forward` takes them."""
        flat = self.all.new_empty(self.replicas, batch * self.noise_size)
        return self.split_noise(fill_normal(flat, generator), batch)

    def forward(self, x: Tensor, eps: Sequence[Tensor] | None = None) -> Tensor:
        """Logits (replicas, batch, classes): mean field with `eps`, the mean network without."""
        if eps is None:
            return self.run(self.mean(), x)
        a = self.per_replica(x)
        for layer, noise in zip(self.layers, eps, strict=True):
            a = a if layer is self.layers[0] else a.relu()
            a = mean_field_linear(a, layer.m, layer.pi, layer.xi, noise)
        return a

    def run(
        self, weights: Sequence[Tensor], x: Tensor, eps: Sequence[Tensor] | None = None
    ) -> Tensor:
        """Logits of networks of given weights, one (networks, n_out, n_in) per layer.

        `eps` is for networks whose neurons have noise of their own (`noisy`).
        """
        a = self.per_replica(x, weights[0].shape[0])
        for number, (w, scale) in enumerate(zip(weights, self.scales, strict=True)):
            a = product(a if number == 0 else F.leaky_relu_(a, self.slope), w.mT) * scale
        return a

    def mean(self) -> list[Tensor]:
        """Weights of the mean network; for `run`."""
        return self._decorrelated([layer.mean() for layer in self.layers])

    def sample(self, *, generator: Generators) -> list[Tensor]:
        """Weights of one effective network per replica, drawn once; for `run`."""
        return self._decorrelated([layer.sample(generator=generator) for layer in self.layers])

    def gbp(self) -> "MeanFieldGradients":
        """The gBP gradients of this network."""
        return GeneralisedBackprop(self)

    def bp(self) -> "Gradients":
        """The BP gradients of this network."""
        return Backprop(self)

    def per_replica(self, x: Tensor, networks: int | None = None) -> Tensor:
        """Inputs with a leading axis for every replica (or given number of networks)."""
        return x.expand(networks or self.replicas, *x.shape[-2:])


class Gradients(Protocol):
    """Computes gradients of a network's parameters, in place and without autograd."""

    grads: dict[str, Tensor]
    """The gradients by kind of parameter, flat like `network.flat[kind]`."""

    def __call__(self, x: Tensor, y: Tensor, eps: Sequence[Tensor] | None = None) -> Tensor:
        """Gradients of the mean loss of inputs (replicas, batch, n), into `grads`.

        y are the labels (replicas, batch), or the targets of a network read out at every step;
        eps as `split_noise` gives it, which BP ignores but for the neurons' noise. Returns the
        losses (replicas,).
        """


class MeanFieldGradients(Gradients, Protocol):
    """Gradients of the mean field, gBP's."""

    def logits(self, x: Tensor, eps: Sequence[Tensor]) -> Tensor:
        """Outputs of the mean field as `FeedForward.forward` returns them, without autograd."""


class GeneralisedBackprop:
    """gBP gradients of a `FeedForward` network without autograd, Eqs. 2-7, in place.

    The gradients are written to `grads[kind]`, flat like `network.flat[kind]`. Scratch space is
    kept between calls, so one object serves one training loop.
    """

    def __init__(self, network: FeedForward) -> None:
        self.network = network
        m = network.flat["m"]
        self.moments = Moments.empty_like(m)
        self.all = torch.empty_like(network.all)
        self.grads = dict(zip(KINDS, self.all, strict=True))
        self._grad_mu, self._grad_var = torch.empty_like(m), torch.empty_like(m)
        self._x2 = m.new_empty(0)
        pieces = (self.moments.mu, self.moments.var, self._grad_mu, self._grad_var)
        self._layers = list(zip(*map(network.split, pieces), network.scales, strict=True))

    def _forward(
        self, x: Tensor, eps: Sequence[Tensor]
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor, Tensor]]]:
        """Logits, and a, a^2 and r of every layer."""
        flat = self.network.flat
        mean_field.moments(flat["m"], flat["pi"], flat["xi"], out=self.moments)
        x2 = torch.mul(x, x, out=self._x2.resize_(x.shape))
        a, a2 = self.network.per_replica(x), self.network.per_replica(x2)
        seen: list[tuple[Tensor, Tensor, Tensor]] = []
        for (mu, var, _, _, scale), noise in zip(self._layers, eps, strict=True):
            if seen:
                a = a.clamp_(min=0)
                a2 = a * a
            z, r = mean_field.forward(a, a2, mu, var, noise, scale)
            seen.append((a, a2, r))
            a = z
        return a, seen

    @torch.no_grad()
    def logits(self, x: Tensor, eps: Sequence[Tensor]) -> Tensor:
        """As `MeanFieldGradients.logits`."""
        return self._forward(x, eps)[0]

    @torch.no_grad()
    def __call__(self, x: Tensor, y: Tensor, eps: Sequence[Tensor] | None = None) -> Tensor:
        """As `Gradients`, of the mean cross entropy."""
        assert eps is not None, "gBP needs eps"
        a, seen = self._forward(x, eps)
        loss, k = cross_entropy(a, y)
        for number in reversed(range(len(seen))):
            mu, var, grad_mu, grad_var, scale = self._layers[number]
            a, a2, r = seen[number]
            below = mean_field.backward(
                k.mul_(scale), a, a2, mu, var, r, grad_mu, grad_var, input_gradient=number > 0
            )
            if below is not None:
                k = relu_backward(below, a)
        grads = (self.grads["m"], self.grads["pi"], self.grads["xi"])
        m = self.network.flat["m"]
        mean_field.chain(m, self.moments, self._grad_mu, self._grad_var, grads)
        return loss


class Backprop:
    """BP gradients of m alone: the limit pi = Xi = 0 of gBP, same loop, half the products."""

    def __init__(self, network: FeedForward) -> None:
        self.network = network
        self.grads = {"m": torch.empty_like(network.flat["m"])}
        weights, grads = network.split(network.flat["m"]), network.split(self.grads["m"])
        self._layers = list(zip(weights, grads, network.scales, strict=True))

    @torch.no_grad()
    def __call__(self, x: Tensor, y: Tensor, eps: Sequence[Tensor] | None = None) -> Tensor:
        """As `Gradients`, of the mean cross entropy."""
        a = self.network.per_replica(x)
        seen: list[Tensor] = []
        for w, _, scale in self._layers:
            a = a.clamp_(min=0) if seen else a
            seen.append(a)
            a = product(a, w.mT).mul_(scale)
        loss, k = cross_entropy(a, y)
        for number in reversed(range(len(seen))):
            w, grad, scale = self._layers[number]
            product(k.mul_(scale).mT, seen[number], out=grad)
            if number:
                k = relu_backward(product(k, w), seen[number])
        return loss


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
