"""Generalised back-propagation of spike-and-slab weights (Li and Huang, PRL 125, 178301)."""

from collections.abc import Callable

import torch
from torch import Tensor

from sascli.core.backprop import Gradients
from sascli.core.spike_slab import SpikeSlab
from sascli.core.streams import Generators, fill_on_cpu, fill_uniform
from sascli.rules.gradient import GradientRule


class GBP(GradientRule):
    """Descent on m, pi and Xi with the gradients of Eqs. 5-7, then the projection."""

    noisy = True

    def make_gradients(self) -> Gradients:
        """Eqs. 2-7 in place, on a recurrent network through time."""
        return self.network.gbp()

    def initialise_layer(self, number: int, layer: SpikeSlab, generators: Generators) -> None:
        """m as in BP, pi constant, Xi ~ Uniform(0, xi_max)."""
        super().initialise_layer(number, layer, generators)
        layer.pi.data.fill_(self.setup.pi)
        fill_on_cpu(fill_uniform, layer.xi.data, generators).mul_(self.setup.xi_max[number])

    def project(self) -> None:
        """pi into [0, 1] and Xi into [0, inf)."""
        self.network.project_()

    @torch.no_grad()
    def logits(self, x: Tensor, generator: Generators | None = None) -> Tensor:
        """Outputs with noise as in training (mean field), or without any."""
        return self.predictor(generator)(x)

    @torch.no_grad()
    def predictor(self, generator: Generators | None = None) -> Callable[[Tensor], Tensor]:
        """`logits` with the moments of the weights computed once."""
        network = self.network
        if generator is None:
            weights = network.mean()
            return lambda x: network.run(weights, x)
        outputs = self.gradients.predictor()
        return lambda x: outputs(x, network.draw_noise(x.shape[-2], generator))


RULE = GBP
