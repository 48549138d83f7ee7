"""Curves of means over seeds with their spread, and the axes that several figures have."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator

from sascli.figures.draw.rows import carried, over_seeds
from sascli.figures.draw.style import Look


def curve(
    ax: Axes, table: pd.DataFrame, x: str, y: str, look: Look, scale: float = 1, band: bool = False
) -> None:
    """Draw the mean of scale * y over seeds against x, with one standard deviation (ddof 1).

    The rows of a seed (sampled networks) are averaged first, so that the spread is over seeds
    alone; one seed has none. A band replaces markers and error bars, but not at a single x.
    """
    spread = scale * over_seeds(table, y, along=x)[["mean", "std"]]
    at, mean, std = spread.index.to_numpy(), spread["mean"], spread["std"]
    color: Any = look["color"]
    unmarked: Look = {"marker": "" if len(at) > 1 else "o", "mec": "white"}
    ax.plot(at, mean, mew=0.75, **look | (unmarked if band else {"mfc": "white"}))
    if std.isna().all():
        return
    if band:
        ax.fill_between(at, mean - std, mean + std, color=color, alpha=0.25, linewidth=0)
    else:
        ax.errorbar(at, mean, std, linestyle="", color=color, capsize=2, elinewidth=0.9)


def curves(
    ax: Axes, table: pd.DataFrame, x: str, y: str, by: str, looks: Mapping[Any, Look], **more: Any
) -> None:
    """Draw a `curve` for each value of the column `by` that is in the table."""
    for value, look in looks.items():
        part = table[table[by] == value]
        if not part.empty:
            curve(ax, part, x, y, look, **more)


def accuracy(ax: Axes, history: pd.DataFrame, look: Look) -> None:
    """Draw the test accuracy (%) over the epochs; a stopped network keeps its last."""
    curve(ax, carried(history), "epoch", "test_accuracy", look, scale=100, band=True)


def points(
    ax: Axes,
    table: pd.DataFrame,
    x: str,
    y: str,
    by: str,
    looks: Sequence[Look],
    dodge: float,
    most: float = np.inf,
) -> None:
    """Draw the mean and standard deviation of the rows of each x, by their label side by side.

    The values of the column `by` are the labels of the looks. Error bars end at 0 and at `most`.
    """
    import seaborn as sns  # takes half a second

    def spread(values: "pd.Series[float]") -> tuple[float, float]:
        mean, std = values.mean(), values.std()
        return max(mean - std, 0.0), min(mean + std, most)

    sns.pointplot(
        table, x=x, y=y, hue=by, hue_order=[look["label"] for look in looks],
        palette=[look["color"] for look in looks], markers=[look["marker"] for look in looks],
        linestyles="none", errorbar=spread, capsize=0.05, dodge=dodge,
        markersize=4, markeredgewidth=0.9, mfc="white", err_kws={"linewidth": 0.9}, ax=ax,
    )  # fmt: skip


def make_room(ax: Axes, spreads: Sequence[pd.DataFrame], free: float, *, below: bool) -> None:
    """Set the y limits so that a fraction of the axes' height is free for an inset.

    `spreads` are the percentages of rows.over_seeds. Means and error bars in the right 70 % of
    the x axis stay clear of its lowest part (below) or its highest; the rest is beside the inset.
    The axis line covers 0 to 100 at most, whatever room there is beyond.
    """
    sign = -1 if below else 1
    bottom, top, right = np.inf, -np.inf, -np.inf
    for spread in spreads:
        std = spread["std"].fillna(0)
        low, high = sign * spread["mean"] - std, sign * spread["mean"] + std
        x = ax.xaxis.get_transform().transform(spread.index.to_numpy(float))
        beside = np.maximum(x, x[0] + 0.3 * np.ptp(x))
        bottom, top = min(bottom, low.min()), max(top, high.max())
        right = max(right, np.interp(beside, x, high).max())
    pad = 0.05 * (top - bottom)
    bottom -= pad
    end = max(top + pad, bottom + (right - bottom) / (1 - free))
    limits = sorted((float(sign * bottom), float(sign * end)))
    ax.set_ylim(*limits)
    least, most = max(limits[0], 0), min(limits[1], 100)
    ax.set_yticks([tick for tick in ax.get_yticks() if least <= tick <= most])
    ax.spines["left"].set_bounds(least, most)


def epoch_axis(ax: Axes, xlabel: str = "epoch", **more: Any) -> None:
    """Integer epochs on the x axis; `more` as for Axes.set."""
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1, steps=(1, 2, 5, 10)))
    ax.set(xlabel=xlabel, **more)


def size_name(size: int) -> str:
    """A training-set size, short: "60k", "1297"."""
    return f"{size // 1000}k" if size % 1000 == 0 else f"{size}"


def size_axis(ax: Axes, sizes: Sequence[int], **more: Any) -> None:
    """A logarithmic axis of T with a tick at each size; `more` as for Axes.set.

    A label that would come within 8 % of the axis of its left neighbour is left out.
    """
    ax.set_xscale("log")
    labels, last = [], 0.0
    gap = (max(sizes) / min(sizes)) ** 0.08
    for size in sizes:
        clear = size >= last * gap
        labels.append(size_name(size) if clear else "")
        last = size if clear else last
    ax.set_xticks(sizes, labels)
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set(xlabel="number of training images $T$", **more)


ENDS = {0: "o", -1: "s"}
"""The markers of the first and the last point of a path."""


def path(ax: Axes, table: pd.DataFrame, **look: Any) -> None:
    """Draw a path along its first two principal components, from a circle to a square."""
    ax.plot(table["pc1"], table["pc2"], **look)
    for place, marker in ENDS.items():
        x, y = table[["pc1", "pc2"]].iloc[place]
        ax.plot(x, y, color=look["color"], marker=marker, markersize=3)


def path_ends(ax: Axes, labels: Sequence[str]) -> None:
    """Explain the two markers of paths in the legend."""
    for marker, label in zip(ENDS.values(), labels, strict=True):
        ax.plot([], [], color="0.4", marker=marker, markersize=3, linestyle="", label=label)


def unique(table: pd.DataFrame, column: str) -> list[Any]:
    """The sorted values of a column."""
    return sorted(table[column].unique())
