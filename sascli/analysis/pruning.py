"""Which connections go: scores by credit and by magnitude, and the masks of those that stay."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sascli.core.network import FeedForward

Keys = list[NDArray[Any]]


def flat(tensors: Sequence[Tensor]) -> NDArray[Any]:
    """The connections of all layers in one row per replica."""
    return torch.cat([t.detach().flatten(1) for t in tensors], 1).double().cpu().numpy()


def keys(network: FeedForward, criterion: str) -> Keys:
    """What connections are sorted by, the last first, each (replicas, connections).

    What stays longest: smallest `pi`, largest |mu| / sigma (`snr`), both with VIPs before all
    others, or largest `magnitude`, of the weight as it multiplies an activation: |mu| / sqrt(N).
    Ties of pi are broken by |mu| / sigma, which is infinite for a VIP and 0 for a UIP; those of
    |mu| / sigma by magnitude.
    """
    magnitude = flat([w.abs() * s for w, s in zip(network.mean(), network.scales, strict=True)])
    if criterion == "magnitude":
        return [magnitude]
    mu, variance = flat(network.mean()), flat([layer.variance() for layer in network.layers])
    certain = np.where(mu == 0, 0.0, np.inf)
    snr = np.divide(np.abs(mu), np.sqrt(variance), out=certain, where=variance > 0)
    vip = flat([layer.vip() for layer in network.layers])
    if criterion == "snr":
        return [magnitude, snr, vip]
    return [magnitude, snr, -flat([layer.pi for layer in network.layers]), vip]


def fractions(network: FeedForward, criterion: str, levels: Sequence[float]) -> list[Tensor]:
    """Masks of the connections that stay, one (replicas, levels, n_out, n_in) per layer.

    Each level is the fraction of all connections that stays, chosen in all layers together.
    """
    order = np.lexsort(keys(network, criterion))
    count = order.shape[-1]
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(count)[None], -1)  # 0: the first to go
    stays = [rank >= count - round(level * count) for level in levels]
    return shaped(network, np.stack(stays, 1))


def thresholds(network: FeedForward, levels: Sequence[float]) -> list[Tensor]:
    """As `fractions`, of the connections whose pi is below each level."""
    return [
        torch.stack([layer.pi.detach() < level for level in levels], 1) for layer in network.layers
    ]


def shaped(network: FeedForward, masks: NDArray[Any]) -> list[Tensor]:
    """(replicas, levels, connections) as one (replicas, levels, n_out, n_in) per layer."""
    shapes = [layer.m.shape[1:] for layer in network.layers]
    parts = torch.from_numpy(masks).split([shape.numel() for shape in shapes], -1)
    device = network.flat["m"].device
    return [p.unflatten(-1, shape).to(device) for p, shape in zip(parts, shapes, strict=True)]
