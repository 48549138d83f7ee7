"""Entropy per connection by both estimators, one row per layer; and the same over training."""

from collections.abc import Mapping, Sequence

import numpy as np
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
            mean=torch.stack([replica.double().mean() for replica in values]).tolist(),
            std=torch.stack([replica.double().std(correction=0) for replica in values]).tolist(),
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
    for epoch in sorted(set[int]().union(*paths)):
        for network in dict.fromkeys(path[epoch] for path in paths if epoch in path):
            table = entropy_table(network, seeds, estimators)
            chosen = [path.get(epoch) is network for path in paths]
            tables.append(table[np.take(chosen, table["replica"])].assign(epoch=epoch))
    columns = ["replica", "seed", "epoch", "layer", "estimator", "mean", "std", "n_connections"]
    return pd.concat(tables, ignore_index=True)[columns]
