"""Some of a population's replicas: copied, or kept as they are."""

from collections.abc import Sequence

import torch

from sascli.core.network import FeedForward
from sascli.rules.base import Rule


def alone(network: FeedForward, replica: int) -> FeedForward:
    """A copy of one replica."""
    return network.select(slice(replica, replica + 1))


class Frozen:
    """Keeps some replicas of a rule as they are now while their companions learn.

    `restore` puts back their parameters and the optimiser's state, in place and without waiting
    for the device.
    """

    @torch.no_grad()
    def __init__(self, rule: Rule, replicas: Sequence[int]) -> None:
        self._saved = [(tensor, mask, tensor.clone()) for tensor, mask in rule.masks(replicas)]

    @torch.no_grad()
    def restore(self) -> None:
        """Undo the steps since the last call."""
        for tensor, mask, value in self._saved:
            torch.where(mask, value, tensor, out=tensor)
