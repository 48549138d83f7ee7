"""Pruning: scores of connections by credit and by magnitude, and masks of those that remain."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sascli.core.spike_slab import Layered

Keys = list[NDArray[Any]]


def flat(tensors: Sequence[Tensor]) -> NDArray[Any]:
    """The connections of all layers in one row per replica."""
    return torch.cat([t.detach().flatten(1) for t in tensors], 1).double().cpu().numpy()


def keys(network: Layered, criterion: str) -> Keys:
    """Sort keys of connections for `np.lexsort`, each (replicas, connections).

    Connections remain longest that have the smallest `pi`, the largest signal-to-noise ratio
    |mu| / sigma (`snr`), both after all VIPs, or the largest `magnitude`, that of the factor of
    an activation: |mu| / sqrt(N). Ties of pi are broken by |mu| / sigma, which is infinite for a
    VIP and 0 for a UIP; those of |mu| / sigma by magnitude.
    """
    magnitude = flat([w.abs() * s for w, s in zip(network.mean(), network.scales, strict=True)])
    if criterion == "magnitude":
        return [magnitude]
    mu, variance = flat(network.mean()), flat([layer.variance() for layer in network.layers])
    limit = np.where(mu == 0, 0.0, np.inf)
    snr = np.divide(np.abs(mu), np.sqrt(variance), out=limit, where=variance > 0)
    vip = flat([layer.vip() for layer in network.layers])
    if criterion == "snr":
        return [magnitude, snr, vip]
    return [magnitude, snr, -flat([layer.pi for layer in network.layers]), vip]


def fractions(network: Layered, criterion: str, levels: Sequence[float]) -> list[Tensor]:
    """Masks of the connections that remain, one (replicas, levels, n_out, n_in) per layer.

    Each level is the fraction of all connections that remains, chosen from all layers together.
    """
    rank = np.lexsort(keys(network, criterion)).argsort(-1)  # 0: the first to be removed
    count = rank.shape[-1]
    masks = np.stack([rank >= count - round(level * count) for level in levels], 1)
    shapes = [layer.m.shape[1:] for layer in network.layers]
    parts = torch.from_numpy(masks).split([shape.numel() for shape in shapes], -1)
    device = network.layers[0].m.device
    return [p.unflatten(-1, shape).to(device) for p, shape in zip(parts, shapes, strict=True)]


def thresholds(network: Layered, levels: Sequence[float]) -> list[Tensor]:
    """As `fractions`, but the connections whose pi is below each level remain."""
    return [
        torch.stack([layer.pi.detach() < level for level in levels], 1) for layer in network.layers
    ]
