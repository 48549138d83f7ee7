"""Entropy per connection by both estimators, one row per layer; and the same over training."""

from collections.abc import Mapping, Sequence

import pandas as pd
import torch

from sascli.analysis.layers import entropies
from sascli.core.network import FeedForward


@torch.no_grad()
def entropy_table(
    network: FeedForward, seeds: Sequence[int], estimators: Sequence[str]
) -> pd.DataFrame:
    """Mean and standard deviation over a layer's connections, in nats."""
    rows = [
        {
            "replica": r,
            "seed": seed,
            "layer": number,
            "estimator": estimator,
            "mean": own.double().mean().item(),
            "std": own.double().std(correction=0).item(),
            "n_connections": own.numel(),
        }
        for estimator in estimators
        for number, values in enumerate(entropies(network, seeds, estimator), 1)
        for r, (seed, own) in enumerate(zip(seeds, values, strict=True))
    ]
    return pd.DataFrame(rows)


def entropy_epochs(
    paths: Sequence[Mapping[int, FeedForward]], seeds: Sequence[int], estimators: Sequence[str]
) -> pd.DataFrame:
    """entropy_epochs.csv: `entropy_table` after the epochs that each replica's path has.

    A path gives, by epoch, the network of all replicas of which this one is meant.
    """
    tables, epochs = [], sorted({epoch for path in paths for epoch in path})
    for epoch in epochs:
        replicas = [r for r, path in enumerate(paths) if epoch in path]
        networks = {id(network): network for r in replicas for network in [paths[r][epoch]]}
        for key, network in networks.items():
            table = entropy_table(network, seeds, estimators)
            of = [r for r in replicas if id(paths[r][epoch]) == key]
            tables.append(table[table["replica"].isin(of)].assign(epoch=epoch))
    columns = ["replica", "seed", "epoch", "layer", "estimator", "mean", "std", "n_connections"]
    return pd.concat(tables, ignore_index=True)[columns]
