"""Histograms of pi, m, Xi and the entropy per connection, layer by layer."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sascli.analysis.replicas import replica_tables
from sascli.core.network import FeedForward

BINS = 50


@torch.no_grad()
def histograms(
    network: FeedForward, seeds: Sequence[int], entropy: Sequence[Tensor]
) -> pd.DataFrame:
    """histograms.csv: counts and densities over bins that the replicas of a layer share."""
    tables = []
    for number, (layer, s) in enumerate(zip(network.layers, entropy, strict=True), 1):
        for name, values in {"pi": layer.pi, "m": layer.m, "xi": layer.xi, "entropy": s}.items():
            edges = _edges(name, values)
            bins = {"layer": number, "parameter": name}
            bins |= {"bin_left": edges[:-1], "bin_right": edges[1:]}
            counts = (np.histogram(v.double().cpu().numpy(), edges)[0] for v in values)
            table = replica_tables(seeds, (pd.DataFrame(bins | {"count": c}) for c in counts))
            width = values[0].numel() * np.tile(np.diff(edges), len(seeds))
            tables.append(table.assign(density=table["count"] / width))
    return pd.concat(tables, ignore_index=True)


def _edges(name: str, values: Tensor) -> np.ndarray:
    """[0, 1] for pi, from 0 for Xi, symmetric with 0 at a bin's centre for m and the entropy.

    Ends are round numbers, so that the bins of other runs are mostly the same.
    """
    if name == "pi":
        return np.linspace(0, 1, BINS + 1)
    largest = max(float(values.abs().max()), 1e-6)
    power = 10.0 ** np.floor(np.log10(largest))
    end = power * min(step for step in (1.5, 2, 3, 4, 5, 6, 8, 10.1) if step * power > largest)
    if name == "xi":
        return np.linspace(0, end, BINS + 1)
    return np.linspace(-end, end, 2 * (BINS // 2) + 2)
