r"""The convolutional network of spike-and-slab weights: convolutions and a linear read-out.

A convolution is the matrix map of `core.mean_field` on the patches of its input. The weights of a
kernel are shared by all positions, but epsilon is drawn independently for each output, as the
mean field treats the pre-activations. The prefactor is 1/sqrt(N) with N the weights of a kernel.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from sascli.core.backprop import Gradients, MeanFieldMaps, MeanMaps, Saved, Tape, relu_backward
from sascli.core.mean_field import mean_field_linear
from sascli.core.network import FeedForward, Weights
from sascli.core.patches import Kernel, add_patches, patches
from sascli.core.products import product

PIECE = 100
"""Images whose patches are in memory at a time where no backward pass follows."""

Layer = Callable[[int, Tensor], Tensor]
"""Outputs of a layer, by its number, from its inputs as rows."""


class Convolutional(FeedForward):
    """Convolutions with ReLU under a linear read-out, with the interface of `FeedForward`.

    `widths` are the channels of the images and of each convolution, and the number of classes.
    A layer's parameters are (replicas, n_out, n_in): for a convolution n_in runs over the
    kernel's rows, its columns and the channels, for the read-out over rows, columns and channels
    of the last images. Inputs are (replicas, batch, channels * height * width), channels first.

    Raises ValueError for images or a kernel without pixels, and without a convolution.
    """

    def __init__(
        self,
        widths: Sequence[int],
        sides: Sequence[int],
        kernel: Kernel,
        replicas: int = 1,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        prefactor: bool = True,
    ) -> None:
        if min(*kernel, *sides) < 1 or len(sides) != 2 or len(widths) < 3:
            raise ValueError(f"no convolutions with {kernel}, {sides=}, {widths=}")
        self.kernel, self.sides = kernel, [(sides[0], sides[1])]
        for _ in widths[1:-1]:
            height, width = self.sides[-1]
            self.sides.append((kernel.outputs(height), kernel.outputs(width)))
        self.positions = [height * width for height, width in self.sides[1:]] + [1]
        taps = [kernel.size**2] * (len(widths) - 2) + [self.positions[-2]]
        super().__init__(
            widths, replicas, device=device, dtype=dtype, prefactor=prefactor,
            inputs=[k * n for k, n in zip(taps, widths, strict=False)],
        )  # fmt: skip

    def like(self, replicas: int, device: torch.device | str) -> "Convolutional":
        """A network of the same layers with all numbers 0."""
        return Convolutional(
            self.widths, self.sides[0], self.kernel, replicas,
            device=device, dtype=self.all.dtype, prefactor=self.prefactor,
        )  # fmt: skip

    def noise_shapes(self, batch: int) -> list[tuple[int, ...]]:
        """Shapes of the normal draws: one for each position of each image and channel."""
        layers = zip(self.positions, self.widths[1:], strict=True)
        return [(batch * positions, n) for positions, n in layers]

    def propagate(self, x: Tensor, layer: Layer) -> Tensor:
        """Outputs (networks, batch, classes) of inputs (networks, batch, n) by the layers."""
        a = x.unflatten(-1, (-1, *self.sides[0])).movedim(2, -1)
        for number, sides in enumerate(self.sides[1:]):
            z = layer(number, patches(a, self.kernel))
            a = z.view(*x.shape[:2], *sides, z.shape[-1]).clamp_(min=0)
        return layer(len(self.sides) - 1, a.flatten(2))

    def forward(self, x: Tensor, eps: Sequence[Tensor] | None = None) -> Tensor:
        """Logits (replicas, batch, classes): mean field with `eps`, the mean network without."""
        if eps is None:
            return self.run(self.mean(), x)

        def layer(number: int, a: Tensor) -> Tensor:
            w = self.layers[number]
            return mean_field_linear(a, w.m, w.pi, w.xi, eps[number], scale=self.scales[number])

        return self.propagate(self.per_replica(x), layer)

    def run(
        self,
        weights: Weights | Callable[[], Weights],
        x: Tensor,
        eps: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """As of a feed-forward network, one network and a piece of the images at a time."""
        weights = weights() if callable(weights) else weights
        outputs = []
        for images, *matrices in zip(self.per_replica(x, len(weights[0])), *weights, strict=True):

            def layer(number: int, a: Tensor, matrices: Sequence[Tensor] = matrices) -> Tensor:
                return product(a, matrices[number].T.unsqueeze(0)).mul_(self.scales[number])

            pieces = [self.propagate(piece.unsqueeze(0), layer) for piece in images.split(PIECE)]
            outputs.append(torch.cat(pieces, 1))
        return torch.cat(outputs)

    def gbp(self) -> "OnPatches":
        """The gBP gradients of this network."""
        return OnPatches(self, MeanFieldMaps(self))

    def bp(self) -> "OnPatches":
        """The BP gradients of this network."""
        return OnPatches(self, MeanMaps(self))


class OnPatches(Gradients):
    """Gradients of a convolutional network: those of matrix maps on patches."""

    network: Convolutional

    @torch.no_grad()
    def _propagate(
        self, x: Tensor, eps: Sequence[Tensor] | None = None, tape: Tape = None
    ) -> Tensor:
        network = self.network
        x = network.per_replica(x)

        def outputs(start: int, stop: int) -> Tensor:
            def layer(number: int, a: Tensor) -> Tensor:
                positions = network.positions[number]
                noise = eps[number][:, start * positions : stop * positions] if eps else None
                return self.maps.forward(number, a, noise, tape)

            return network.propagate(x[:, start:stop], layer)

        batch = x.shape[1]
        if tape is not None:
            return outputs(0, batch)
        ends = pairwise([*range(0, batch, PIECE), batch])
        return torch.cat([outputs(start, stop) for start, stop in ends], 1)

    def _backpropagate(self, k: Tensor, tape: Sequence[Saved]) -> None:
        """The maps' part, with the gradients of patches added up."""
        network = self.network
        replicas, batch = k.shape[:2]
        for number, scale in reversed(list(enumerate(network.scales))):
            rows = self.maps.backward(
                number, k.mul_(scale), tape[number], input_gradient=number > 0
            )
            if rows is None:
                break
            k = relu_backward(rows, tape[number][0])
            if number < len(network.scales) - 1:
                shape = (replicas, batch, *network.sides[number], network.widths[number])
                k = add_patches(k, network.kernel, shape)
            k = k.reshape(replicas, -1, network.widths[number])
