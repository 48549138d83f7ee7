"""The feed-forward network of spike-and-slab weights, and its gradients by gBP and BP."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sascli.core import mean_field
from sascli.core.mean_field import Moments, mean_field_linear
from sascli.core.products import product
from sascli.core.spike_slab import SpikeSlab
from sascli.core.streams import UNIT, Generators, fill_normal

KINDS = ("m", "pi", "xi")
Weights = Sequence[Tensor]
Saved = tuple[Tensor, ...]
"""Tensors of one matrix product for its backward pass, its input first."""
Tape = list[Saved] | None
"""Those of all products in their order, None where no backward pass follows."""


class FeedForward(nn.Module):
    """ReLU layers a = relu(z) under a linear output, each weight a spike and slab.

    `layers[l]` has parameters (replicas, widths[l+1], widths[l]); every pre-activation carries
    the prefactor 1/sqrt(widths[l]). All parameters are views of one tensor, `all`, and those of
    one kind are views of `flat[kind]`, so that optimiser and projection change one tensor instead
    of three per layer. The network is made on its device and cannot be moved with `.to()`.

    Activations are (replicas, batch, n). Inputs without the replicas axis are shared by all.
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
        """Make this a network as of COPI: weights m r[l], no prefactor, leaky ReLU of this slope.

        r[l] is (replicas, widths[l], widths[l]). It affects `run`, `sample` and the mean network
        only, not gBP and BP.
        """
        self.r, self.slope, self.scales = list(r), slope, [1.0] * len(self.layers)

    def _decorrelated(self, weights: list[Tensor]) -> list[Tensor]:
        """Weights times r, if any."""
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
        raise TypeError("a network cannot be moved or cast: make it on its device, in its dtype")

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
        return self.concat([self], self.all.device if device is None else device, replicas)

    @staticmethod
    def concat(
        networks: Sequence["FeedForward"],
        device: torch.device | str,
        replicas: slice = slice(None),
    ) -> "FeedForward":
        """A copy of the chosen replicas of networks of the same kind and widths, side by side."""
        count = sum(len(range(network.replicas)[replicas]) for network in networks)
        population = networks[0].like(count, device)
        tensors = (network.tensors() for network in (population, *networks))
        for target, *sources in zip(*tensors, strict=True):
            target.copy_(torch.cat([source[replicas].to(device) for source in sources]))
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
        """Project pi into [0, 1] and Xi into [0, inf); their exact bounds are meaningful."""
        self.flat["pi"].clamp_(0, 1)
        self.flat["xi"].clamp_(min=0)
        return self

    @property
    def noisy(self) -> bool:
        """Whether the neurons are noisy, in addition to the noise of the weights."""
        return False

    def noise_shapes(self, batch: int) -> list[tuple[int, ...]]:
        """Shapes of the normal draws for a batch, without the replicas: one per layer."""
        return [(batch, n) for n in self.widths[1:]]

    @property
    def noise_size(self) -> int:
        """Normal draws that one sample needs."""
        return sum(math.prod(shape) for shape in self.noise_shapes(1))

    def split_noise(self, flat: Tensor, batch: int) -> list[Tensor]:
        """Views (replicas, *shape), one per noise shape, of (replicas, >= batch * noise_size)."""
        shapes = self.noise_shapes(batch)
        parts = flat[:, : batch * self.noise_size].split([math.prod(s) for s in shapes], 1)
        return [part.unflatten(1, shape) for part, shape in zip(parts, shapes, strict=True)]

    def draw_noise(self, batch: int, generator: Generators) -> list[Tensor]:
        """Fresh normal draws for a batch, the argument `eps` of `forward`.

        A GPU draws for `UNIT` samples at a time, so that they have the same noise in a batch of
        any other size.
        """
        unit = batch if self.all.device.type == "cpu" else UNIT
        parts = []
        for start in range(0, batch, unit):
            size = min(unit, batch - start)
            flat = self.all.new_empty(self.replicas, size * self.noise_size)
            parts.append(self.split_noise(fill_normal(flat, generator), size))
        if len(parts) == 1:
            return parts[0]
        return [torch.cat(noise, -2) for noise in zip(*parts, strict=True)]

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
        self,
        weights: Weights | Callable[[], Weights],
        x: Tensor,
        eps: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """Logits of networks with these weights, one (networks, n_out, n_in) per layer.

        `weights` may be a function that draws them. `eps` is for networks whose neurons are
        `noisy`.
        """
        weights = weights() if callable(weights) else weights
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

    def gbp(self) -> "Gradients":
        """The gBP gradients of this network."""
        return Gradients(self, MeanFieldMaps(self))

    def bp(self) -> "Gradients":
        """The BP gradients of this network."""
        return Gradients(self, MeanMaps(self))

    def per_replica(self, x: Tensor, networks: int | None = None) -> Tensor:
        """Inputs with a leading axis of the replicas, or of another number of networks."""
        return x.expand(networks or self.replicas, *x.shape[-2:])


class MeanFieldMaps:
    """gBP of every matrix product of a network, Eqs. 2-7.

    Buffers are reused between calls, so that one object serves one training loop. The gradients
    of products that are `repeated`, at every time step, are sums.
    """

    def __init__(self, network: FeedForward, *, repeated: bool = False) -> None:
        m = network.flat["m"]
        self.flat, self.repeated = network.flat, repeated
        self.moments = Moments.empty_like(m)
        self.all = torch.empty_like(network.all)
        self.grads = dict(zip(KINDS, self.all, strict=True))
        self._sums = (torch.empty_like(m), torch.empty_like(m))  # dC/dmu and 2 dC/dv
        terms = (torch.empty_like(m), torch.empty_like(m)) if repeated else self._sums
        tensors = (self.moments.mu, self.moments.var, *self._sums, *terms)
        self._maps = list(zip(*map(network.matrices, tensors), network.scales, strict=True))

    def begin(self) -> None:
        """Called before the forward pass."""
        mean_field.moments(**self.flat, out=self.moments)
        if self.repeated:
            for tensor in self._sums:
                tensor.zero_()

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
        mu, var, sum_mu, sum_var, term_mu, term_var, _ = self._maps[number]
        a, a2, r = saved
        below = mean_field.backward(
            k, a, a2, mu, var, r, term_mu, term_var, input_gradient=input_gradient
        )
        if self.repeated:
            sum_mu += term_mu
            sum_var += term_var
        return below

    def finish(self) -> None:
        """Called after the backward pass."""
        mean_field.chain(self.flat["m"], self.moments, *self._sums, self.grads.values())


class MeanMaps:
    """BP of every matrix product, of m alone: the limit pi = Xi = 0, half the products."""

    def __init__(self, network: FeedForward, *, repeated: bool = False) -> None:
        self.repeated, self.grads = repeated, {"m": torch.empty_like(network.flat["m"])}
        tensors = (network.flat["m"], self.grads["m"])
        self._maps = list(zip(*map(network.matrices, tensors), network.scales, strict=True))

    def begin(self) -> None:
        """As of `MeanFieldMaps`."""
        if self.repeated:
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
            grad.baddbmm_(k.mT, saved[0])
        else:
            product(k.mT, saved[0], out=grad)
        return product(k, w) if input_gradient else None

    def finish(self) -> None:
        """As of `MeanFieldMaps`: nothing is left to do."""


class Gradients:
    """Computes gradients of a network's parameters, in place and without autograd.

    They are `grads[kind]`, flat like `network.flat[kind]`; `maps` computes those of each layer.
    """

    def __init__(self, network: FeedForward, maps: MeanFieldMaps | MeanMaps) -> None:
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

        It is valid until the parameters or the gradients change.
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
        for number, scale in reversed(list(enumerate(self.network.scales))):
            saved = tape[number]
            below = self.maps.backward(number, k.mul_(scale), saved, input_gradient=number > 0)
            if below is not None:
                k = relu_backward(below, saved[0])
        self.maps.finish()


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
