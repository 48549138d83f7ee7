"""Histograms of pi, m, Xi and the entropy per connection, layer by layer."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sascli.core.network import FeedForward

BINS = 50


@torch.no_grad()
def histograms(
    network: FeedForward, seeds: Sequence[int], entropy: Sequence[Tensor], bins: int = BINS
) -> pd.DataFrame:
    """histograms.csv: counts and densities over bins that the replicas of a layer share."""
    tables = []
    for number, (layer, s) in enumerate(zip(network.layers, entropy, strict=True), 1):
        for name, values in {"pi": layer.pi, "m": layer.m, "xi": layer.xi, "entropy": s}.items():
            edges = _edges(name, values, bins)
            for r, (seed, replica) in enumerate(zip(seeds, values, strict=True)):
                count, _ = np.histogram(replica.double().cpu().numpy(), edges)
                columns = {
                    "replica": r, "seed": seed, "layer": number, "parameter": name,
                    "bin_left": edges[:-1], "bin_right": edges[1:], "count": count,
                    "density": count / (replica.numel() * np.diff(edges)),
                }  # fmt: skip
                tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def _edges(name: str, values: Tensor, bins: int) -> np.ndarray:
    """[0, 1] for pi, from 0 for Xi, symmetric with 0 at a bin's centre for m and the entropy.

    Ends are round numbers, so that the bins of other runs are mostly the same.
    """
    if name == "pi":
        return np.linspace(0, 1, bins + 1)
    largest = max(float(values.abs().max()), 1e-6)
    power = 10.0 ** np.floor(np.log10(largest))
    end = power * min(step for step in (1.5, 2, 3, 4, 5, 6, 8, 10.1) if step * power > largest)
    if name == "xi":
        return np.linspace(0, end, bins + 1)
    return np.linspace(-end, end, 2 * (bins // 2) + 2)
