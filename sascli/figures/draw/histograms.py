"""Small multiples of histograms of pi, m and Xi."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import LogLocator, NullLocator

from sascli.figures.draw import style
from sascli.figures.draw.rows import plural, pooled

COLUMNS = {"pi": r"spike mass $\pi$", "m": "slab mean $m$", "xi": r"slab variance $\Xi$"}
NUMBERS = {"m": "weight $w$"}
"""The columns of networks whose weights are numbers."""
NARROWEST = {"pi": 1.0, "m": 0.0, "xi": 0.01}  # least range of the x axis
RECURRENT = {1: "in \N{RIGHTWARDS ARROW} rec", 2: "rec \N{RIGHTWARDS ARROW} rec"}
RECURRENT |= {3: "rec \N{RIGHTWARDS ARROW} out"}
"""The layers of a recurrent network."""
FILLED: style.Look = {"color": style.BLUE, "linestyle": "-"}
Groups = Sequence[tuple[style.Look, pd.DataFrame]]
"""The look and the histograms of each outline."""


def names_of(table: pd.DataFrame, layers: pd.DataFrame | None = None) -> dict[int, str]:
    """The name of each layer of a table: its number, or what it connects in a recurrent network.

    The latter is known from the column `layer_name` of a table of `layers`.
    """
    named = layers if layers is not None and "layer_name" in layers else pd.DataFrame()
    if not named.empty and named["layer_name"].isin(["in", "rec", "out"]).all():
        return RECURRENT
    return {int(layer): f"layer {layer}" for layer in sorted(table["layer"].unique())}


def are_numbers(table: pd.DataFrame) -> bool:
    """Whether all weights are numbers: pi = 0, and Xi, whose bins have the width 0, too."""
    full = table[(table["count"] > 0) & table["parameter"].isin(["pi", "xi"])]
    width = full.loc[full["parameter"] == "xi", "bin_right"].max()
    return bool((full["bin_left"] == 0).all() and width < 1e-5)


def height(table: pd.DataFrame) -> float:
    """Height of the rows of `multiples` in inches."""
    return 0.5 + 0.65 * float(table["layer"].nunique())


def of_seeds(fig: Figure, table: pd.DataFrame, names: dict[int, str]) -> dict[str, object]:
    """A picture of `multiples`, the seeds of a table pooled; the values of its caption."""
    fig.set_figheight(height(table))
    multiples(fig, [(FILLED, table)], names)
    return {"seeds": plural(table["seed"].nunique())}


def multiples(fig: FigureBase, groups: Groups, names: dict[int, str]) -> list[str]:
    """Draw pi, m and Xi in a row of panels per layer, all with the same logarithmic density.

    Of networks whose weights are numbers only these are drawn. A single group is filled. Returns
    the parameters drawn.
    """
    columns = NUMBERS if all(are_numbers(table) for _, table in groups) else COLUMNS
    layers = sorted({layer for _, table in groups for layer in table["layer"].unique()})
    axes = fig.subplots(len(layers), len(columns), sharex="col", sharey=True, squeeze=False)
    lowest, highest = np.inf, 0.0
    for column, (parameter, label) in enumerate(columns.items()):
        widest = NARROWEST[parameter]
        for layer, ax in zip(layers, axes[:, column], strict=True):
            for look, table in groups:
                chosen = (table["layer"] == layer) & (table["parameter"] == parameter)
                if not chosen.any():
                    continue
                density, edges = outline(table[chosen], parameter)
                lowest = min(lowest, density[density > 0].min())
                highest = max(highest, density.max())
                widest = max(widest, np.abs(edges).max())
                line = {key: look[key] for key in ("color", "linestyle")}
                if len(groups) == 1:
                    ax.stairs(density, edges, fill=True, color=look["color"], alpha=0.35)
                ends = 0 if len(groups) == 1 else None
                ax.stairs(density, edges, baseline=ends, linewidth=0.7, **line)
        left = -1.03 if parameter == "m" else -0.03  # a spike at 0 clear of the axis
        tick = _round_down(widest)
        ticks = [-tick, 0, tick] if parameter == "m" else [0, tick]
        limits = (left * widest, 1.03 * widest)
        labels = [style.plain(tick) for tick in ticks]
        axes[-1, column].set(xlim=limits, xlabel=label)
        axes[-1, column].set_xticks(ticks, labels)
    for layer, ax in zip(layers, axes[:, -1], strict=True):
        name = names.get(layer, f"layer {layer}")
        ax.text(1.05, 0.5, name, transform=ax.transAxes, va="center", rotation=-90)
    _density_axis(axes[0, 0], lowest / 2, 3 * highest)
    fig.supylabel("probability density", fontsize="medium")
    return list(columns)


def outline(table: pd.DataFrame, parameter: str) -> tuple[np.ndarray, np.ndarray]:
    """Density and edges of the bins; a spike without a width gets a 50th of the x axis."""
    density, edges = pooled(table)
    if len(density) == 1 and edges[0] == 0:  # pi = 0 or Xi = 0
        edges = np.array([0, NARROWEST[parameter] / 50])
        density = 1 / edges[1:]
    return density, edges


def _density_axis(ax: Axes, low: float, high: float) -> None:
    """A logarithmic axis with few ticks."""
    ax.set(yscale="log", ylim=(low, high))
    ax.yaxis.set_major_locator(LogLocator(numticks=4))
    ax.yaxis.set_minor_locator(NullLocator())


def _round_down(x: float) -> float:
    """The largest number of one significant digit that is not above x > 0."""
    unit = 10.0 ** np.floor(np.log10(x))
    return float(f"{unit * np.floor(x / unit * (1 + 1e-9)):.0e}")
