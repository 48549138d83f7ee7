"""Rows of tables: chosen by keys, spread over seeds, histograms pooled."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from sascli import runs

Tables = Mapping[str, pd.DataFrame]
Reference = Mapping[str, int]


def point(reference: Reference, depth: str = "depth") -> dict[str, int]:
    """Depth and training size of the reference point, or those of its other depth "deep"."""
    return {"depth": reference[depth], "train_size": reference["train_size"]}


rows = runs.select
"""The rows of a table whose columns have the given values."""


def first_rate(tables: Tables, names: Sequence[str], shown: str = "Shown") -> tuple[Tables, str]:
    """Tables of one run, those of these names with the first learning rate and decay only.

    Rows without a rate, those of a baseline, stay. A table of one rate remains as it is.

    Returns:
        The tables, and a caption's sentence on the rate, empty where there is only one.
    """
    chosen, note = dict(tables), ""
    for name in (name for name in names if name in tables):
        table = tables[name]
        rates = runs.rate_names(table)
        several = [rate for rate in rates.unique() if rate]
        if len(several) > 1:
            chosen[name] = table[rates.isin(["", several[0]])]
            note = f" {shown}: {several[0]}, the first of the run's {len(several)} rates."
    return chosen, note


def over_seeds(table: pd.DataFrame, column: str, along: str) -> pd.DataFrame:
    """Mean, standard deviation (ddof 1) and number of the seeds' means, by the values of `along`.

    The rows of a seed (sampled networks) are averaged first, so that `std` is over seeds alone;
    it is NaN for one seed. Empty cells do not count.
    """
    per_seed = table.dropna(subset=[column]).groupby([along, "seed"])[column].mean()
    return per_seed.groupby(level=along).agg(["mean", "std", "count"])


def carried(history: pd.DataFrame) -> pd.DataFrame:
    """The history with the last row of a replica that stopped early repeated to the last epoch.

    Such a replica keeps its parameters; every mean over seeds is then over all of them.
    """
    epochs, parts = history["epoch"].unique(), [history]
    for _, replica in history.groupby(runs.replica_keys(history), dropna=False, sort=False):
        last = replica.nlargest(1, "epoch")
        parts += [last.assign(epoch=n) for n in epochs[epochs > last["epoch"].item()]]
    return pd.concat(parts, ignore_index=True)


def latest(table: pd.DataFrame, value: str) -> pd.DataFrame:
    """The value of every layer and network at every epoch, of one without a row the one before.

    Networks that their loss stopped have epochs of their own; they keep their last value.
    """
    keys = ["layer", *runs.replica_keys(table)]
    wide = table.pivot(index="epoch", columns=keys, values=value).sort_index().ffill()
    return wide.melt(value_name=value, ignore_index=False).dropna(subset=[value]).reset_index()


def stopping(history: pd.DataFrame) -> str:
    """The sentence of a caption on the rows that `carried` adds, empty where it adds none."""
    early = runs.last_epochs(history)["epoch"].nunique() > 1
    return " A network that its loss stopped keeps its last accuracy." if early else ""


def plural(*numbers: int, noun: str = "seed") -> str:
    """The numbers in words: "1 seed", "3 seeds" or, where they differ, "2 to 3 seeds"."""
    low, high = min(numbers), max(numbers)
    return f"{f'{low} to {high}' if low < high else high} {noun}{'s' * (high > 1)}"


def seeds(table: pd.DataFrame, drawn: str = "error bars", noun: str = "seed") -> str:
    """The clause of a caption that defines the spread drawn, and over how many seeds it is.

    The models, runs, settings, points (a depth and a T) or rules of a table may have different
    numbers of them.
    """
    names = ("run", "model", "setting", "point", "rule", "depth", "train_size")
    keys = [key for key in names if key in table]
    numbers = table.groupby(keys)["seed"].nunique() if keys else [table["seed"].nunique()]
    if max(numbers) == 1:
        return f"one {noun}: no {drawn}"
    return f"{drawn}: standard deviation over {plural(*numbers, noun=noun)}"


def averaged(table: pd.DataFrame) -> str:
    """The clause of a caption for a mean without a spread."""
    n = table["seed"].nunique()
    return f"mean over {n} seeds; the CSV tables have every seed" if n > 1 else "one seed: no mean"


def pooled(histogram: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Probability density over all networks of one layer's histogram, and its bin edges.

    Networks may have different bins: within a bin the density is taken as constant. Outer empty
    bins are cut off. Shapes (n,), (n + 1,).
    """
    edges = np.unique(histogram[["bin_left", "bin_right"]].to_numpy())
    centres = (edges[:-1] + edges[1:]) / 2
    keys = [key for key in ("seed", "replica") if key in histogram]  # rates differ by replica
    densities = []
    for _, bins in histogram.sort_values("bin_left").groupby(keys):
        ends = np.append(bins["bin_left"], bins["bin_right"].iloc[-1])
        density = bins["count"] / np.diff(ends) / bins["count"].sum()
        place = np.searchsorted(ends, centres, side="right")
        densities.append(np.hstack([0.0, density, 0.0])[place])
    density = np.mean(densities, axis=0)
    full = np.flatnonzero(density)
    return density[full[0] : full[-1] + 1], edges[full[0] : full[-1] + 2]
