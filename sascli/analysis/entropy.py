"""Entropy per connection by both estimators, one row per layer; and the same over training."""

from collections.abc import Mapping, Sequence

import pandas as pd
import torch

from sascli.analysis.layers import entropies
from sascli.analysis.replicas import replica_rows
from sascli.core.network import FeedForward


@torch.no_grad()
def entropy_table(
    network: FeedForward, seeds: Sequence[int], estimators: Sequence[str]
) -> pd.DataFrame:
    """Mean and standard deviation over a layer's connections, in nats."""
    tables = [
        replica_rows(
            seeds,
            layer=number,
            estimator=estimator,
            mean=[replica.double().mean().item() for replica in values],
            std=[replica.double().std(correction=0).item() for replica in values],
            n_connections=values[0].numel(),
        )
        for estimator in estimators
        for number, values in enumerate(entropies(network, seeds, estimator), 1)
    ]
    return pd.concat(tables, ignore_index=True)


def entropy_epochs(
    paths: Sequence[Mapping[int, FeedForward]], seeds: Sequence[int], estimators: Sequence[str]
) -> pd.DataFrame:
    """entropy_epochs.csv: `entropy_table` after the epochs in each replica's path.

    The path of a replica maps epochs to networks of all replicas, of which it uses its own.
    """
    tables = []
    for epoch in sorted({epoch for path in paths for epoch in path}):
        replicas = [r for r, path in enumerate(paths) if epoch in path]
        networks = {id(network): network for r in replicas for network in [paths[r][epoch]]}
        for key, network in networks.items():
            table = entropy_table(network, seeds, estimators)
            chosen = [r for r in replicas if id(paths[r][epoch]) == key]
            tables.append(table[table["replica"].isin(chosen)].assign(epoch=epoch))
    columns = ["replica", "seed", "epoch", "layer", "estimator", "mean", "std", "n_connections"]
    return pd.concat(tables, ignore_index=True)[columns]
