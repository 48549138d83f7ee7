"""The shapes in claims: falling, arched, peaked."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from sascli.claims.check import Check, MissingError

Ends = float | np.ndarray


def by_seed(
    table: pd.DataFrame,
    column: str,
    variable: str,
    need: Sequence[float | str] = (),
    least: int = 1,
) -> pd.DataFrame:
    """Means of `column`: a row per seed that has them all, a column per value of `variable`.

    Raises MissingError when a needed value is absent or there are fewer values than `least`.
    """
    wide = table.pivot_table(values=column, index="seed", columns=variable, aggfunc="mean")
    missing = [value for value in need if value not in wide]
    if missing:
        raise MissingError(f"no seed has {column} at {variable}={missing[0]}")
    wide = wide[list(need)] if need else wide
    if len(wide.columns) < least:
        raise MissingError(f"{column} is needed at {least} or more values of {variable}")
    return wide.dropna()


def falls(values: pd.DataFrame, what: str) -> list[Check]:
    """The last column is below the first, and no step rises beyond the noise."""
    first, *_, last = columns = list(values)
    steps = pairwise(columns) if len(columns) > 2 else ()
    return [
        Check(f"{what} {first} to {last}", values[first] - values[last], above=0),
        *(Check(f"{what} {a} to {b}", values[a] - values[b], 0, errors=-2) for a, b in steps),
    ]


def inner_excess(values: pd.DataFrame) -> pd.Series:
    """The excess of the inner column with the greatest mean over both outer ones.

    Chosen by the mean, not seed by seed, where the maximum would select noise.
    """
    greatest = values.iloc[:, 1:-1].mean().idxmax()
    return values[greatest] - values.iloc[:, [0, -1]].max(axis=1)


def arches(table: pd.DataFrame, column: str) -> list[Check]:
    """`column` is greatest at an inner layer: a check per T and depth."""
    return [
        Check(
            f"greatest inner - greatest outer layer, L = {depth}, T = {size}",
            inner_excess(by_seed(network, column, "layer")),
            above=0,
        )
        for (depth, size), network in table.groupby(["depth", "train_size"])
        if network["layer"].nunique() > 2
    ]


def fraction(histogram: pd.DataFrame, low: Ends, high: Ends) -> np.ndarray:
    """Fraction of the connections between two values (or pairs of them), even within a bin."""
    bins = histogram.sort_values("bin_left")
    edges = np.append(bins["bin_left"], bins["bin_right"].iloc[-1])
    below = np.append(0, bins["count"].cumsum()) / bins["count"].sum()
    lower, upper = (np.asarray(np.interp(end, edges, below)) for end in (low, high))
    return np.asarray(upper - lower)


def peak_at_zero(histogram: pd.DataFrame, width: float) -> float:
    """Fraction within width / 2 of 0, less the largest in another window of that width."""
    far = np.ceil(histogram[["bin_left", "bin_right"]].abs().to_numpy().max() / width)
    centres = width * np.arange(-far, far + 1)
    fractions = fraction(histogram, centres - width / 2, centres + width / 2)
    return float(fractions[centres == 0].item() - fractions[centres != 0].max())


def excess_at_zero(histogram: pd.DataFrame) -> float:
    """Density of the bin that contains 0 (its left edge included) less that of the densest other.

    For a spike at exactly 0, which windows of a fixed width could cut in two.
    """
    density = histogram["count"] / (histogram["bin_right"] - histogram["bin_left"])
    zero = (histogram["bin_left"] <= 0) & (histogram["bin_right"] > 0)
    return float((density[zero].max() - density[~zero].max()) / histogram["count"].sum())


def rms(histogram: pd.DataFrame) -> float:
    """Root mean square of a histogram, each bin at its centre but no less than a bin's width."""
    left, right = histogram["bin_left"], histogram["bin_right"]
    square = np.average(((left + right) / 2) ** 2, weights=histogram["count"])
    return float(max(np.sqrt(square), (right - left).min()))
