"""Back-propagation: the same network with m alone, pi and Xi fixed at 0."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sascli.config import Never, RuleSettings
from sascli.core.backprop import Gradients
from sascli.core.streams import Generators
from sascli.rules.gradient import GradientRule


@dataclass
class BPSettings(RuleSettings):
    """BP learns m alone."""

    needs = RuleSettings.needs | dict.fromkeys(
        ("lr.pi", "lr.xi", "decay.pi", "decay.xi", "init.pi", "init.xi_max*", "optim.pi",
         "eval.redraw", "model.ordinary_inputs"), Never()
    )  # fmt: skip


class BP(GradientRule):
    """Gradient descent on m: the limit pi = Xi = 0 of gBP."""

    def make_gradients(self) -> Gradients:
        """The gradients of m, on a recurrent network through time."""
        return self.network.bp()

    @torch.no_grad()
    def logits(self, x: Tensor, generator: Generators | None = None) -> Tensor:
        """Outputs of the network; the only noise is that of the neurons."""
        weights = [layer.m for layer in self.network.layers]
        if generator is None or not self.noisy:
            return self.network.run(weights, x)
        return self.network.run(weights, x, self.network.draw_noise(x.shape[-2], generator))


RULE = BP
