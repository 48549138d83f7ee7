"""Tables of a population: one row, or one table, for each replica."""

from collections.abc import Iterable, Sequence

import pandas as pd


def replica_rows(seeds: Sequence[int], **columns: object) -> pd.DataFrame:
    """One row per replica, led by `replica` and `seed`; columns are lists or constants."""
    return pd.DataFrame({"replica": range(len(seeds)), "seed": [*seeds], **columns})


def replica_tables(seeds: Sequence[int], tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """One table per replica as one, led by `replica` and `seed`."""
    keys, names = enumerate(seeds), ["replica", "seed"]
    table = pd.concat(dict(zip(keys, tables, strict=True)), names=names)
    return table.reset_index(names).reset_index(drop=True)
