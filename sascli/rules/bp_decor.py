"""Back-propagation on COPI's network: the baselines with and without decorrelation."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sascli.config import Need, Never, setting
from sascli.core.copi import infer_
from sascli.core.network import FeedForward
from sascli.rules.base import Setup
from sascli.rules.copi import COPISettings, DecorrelatedRule
from sascli.rules.gradient import make_optimiser


@dataclass
class BPDecorSettings(COPISettings):
    """Settings of BP with decorrelation; lr.r = 0 keeps R the identity.

    Plain BP has decorrelation_epochs = 0 as well, or W would be frozen for nothing.
    """

    needs = COPISettings.needs | {
        "optim*": Need("rule.adam", "rule.adam=true"),
        **dict.fromkeys(("optim.clip", "optim.halve*", "optim.pi"), Never()),
    }
    adam: bool = setting(False, "W by Adam instead of plain gradient descent")


class BPDecor(DecorrelatedRule):
    """Gradient descent of W on gain C."""

    def __init__(self, network: FeedForward, settings: BPDecorSettings, setup: Setup) -> None:
        super().__init__(network, settings, setup)
        if settings.adam:
            grad = torch.empty_like(network.flat["m"])
            self.optimiser = make_optimiser(network, {"m": grad}, setup)
            self._grads = network.split(grad)

    def learn(self, number: int, x: Tensor, power: Tensor, a: Tensor, p: Tensor) -> None:
        """W <- W + lr (<p x^T> - decay W), or Adam along -<p x^T>."""
        if self.optimiser is None:
            infer_(self.layers.w[number], x, p, self.lr, self.decay)
        else:
            torch.bmm(p.mul_(-1 / x.shape[-2]).mT, x, out=self._grads[number])


RULE = BPDecor
