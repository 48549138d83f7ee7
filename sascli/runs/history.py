"""history.csv: the last epochs of each replica; replicas may stop in different epochs."""

import pandas as pd

REPLICA = (
    "job", "setting", "model", "rule", "depth", "train_size", "point", "lr", "decay", "replica",
    "seed",
)  # fmt: skip
"""The columns that distinguish replicas; a table has some of them."""


def replica_keys(history: pd.DataFrame) -> list[str]:
    """The columns of a table that distinguish its replicas."""
    return [name for name in REPLICA if name in history]


def last_epochs(history: pd.DataFrame, count: int = 1) -> pd.DataFrame:
    """The rows of the last `count` epochs of each replica."""
    groups = history.groupby(replica_keys(history), dropna=False)
    return history[history["epoch"] > groups["epoch"].transform("max") - count]
