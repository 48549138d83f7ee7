"""The feed-forward network of spike-and-slab weights."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sascli.core.backprop import Gradients, MeanFieldMaps, MeanMaps
from sascli.core.mean_field import mean_field_linear
from sascli.core.products import product
from sascli.core.spike_slab import SpikeSlab
from sascli.core.streams import UNIT, Generators, fill_normal

KINDS = ("m", "pi", "xi")
Weights = Sequence[Tensor]


class FeedForward(nn.Module):
    """ReLU layers a = relu(z) under a linear output, each weight a spike and slab.

    `layers[l]` has parameters (replicas, widths[l+1], widths[l]), or `inputs[l]` where a subclass
    has other numbers of inputs; every pre-activation carries the prefactor, one over their root,
    unless `prefactor` is False. All parameters are views of one
    tensor, `all`, and those of one kind are views of `flat[kind]`, so that optimiser and
    projection change one tensor instead of three per layer. The network is made on its device and
    cannot be moved with `.to()`.

    Activations are (replicas, batch, n). Inputs without the replicas axis are shared by all.
    """

    def __init__(
        self,
        widths: Sequence[int],
        replicas: int = 1,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        prefactor: bool = True,
        inputs: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.widths, self.replicas, self.prefactor = list(widths), replicas, prefactor
        self.inputs = self.widths[:-1] if inputs is None else list(inputs)
        self.scales = [1 / math.sqrt(n) if prefactor else 1.0 for n in self.inputs]
        self.slope, self.r = 0.0, list[Tensor]()
        shapes = [(replicas, n, k) for k, n in zip(self.inputs, self.widths[1:], strict=True)]
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
        network = FeedForward(
            self.widths, replicas, device=device, dtype=self.all.dtype, prefactor=self.prefactor
        )
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
    def prefactors(self) -> Sequence[float]:
        """The factors of the layers' pre-activations."""
        return self.scales

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
        for layer, noise, scale in zip(self.layers, eps, self.scales, strict=True):
            a = a if layer is self.layers[0] else a.relu()
            a = mean_field_linear(a, layer.m, layer.pi, layer.xi, noise, scale=scale)
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

    def gbp(self) -> Gradients:
        """The gBP gradients of this network."""
        return Gradients(self, MeanFieldMaps(self))

    def bp(self) -> Gradients:
        """The BP gradients of this network."""
        return Gradients(self, MeanMaps(self))

    def per_replica(self, x: Tensor, networks: int | None = None) -> Tensor:
        """Inputs with a leading axis of the replicas, or of another number of networks."""
        return x.expand(networks or self.replicas, *x.shape[-2:])
