"""Small multiples of histograms of pi, m and Xi."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import FigureBase
from matplotlib.ticker import LogLocator, NullLocator

from sascli.figures.draw import style
from sascli.figures.draw.rows import pooled, rows

COLUMNS = {"pi": r"spike mass $\pi$", "m": "slab mean $m$", "xi": r"slab variance $\Xi$"}
NARROWEST = {"pi": 1.0, "m": 0.0, "xi": 0.01}  # least range of the x axis
RECURRENT = {1: "in", 2: "rec", 3: "out"}
"""The layers of a recurrent network."""


def height(table: pd.DataFrame) -> float:
    """Height of the rows of `multiples` in inches."""
    return 0.5 + 0.65 * float(table["layer"].nunique())


def multiples(fig: FigureBase, table: pd.DataFrame, names: Mapping[int, str]) -> None:
    """Draw pi, m and Xi in a row of panels per layer, all with the same logarithmic density.

    A row is labelled by the layer's name, or its number where it has none.
    """
    layers = sorted(table["layer"].unique())
    axes = fig.subplots(len(layers), len(COLUMNS), sharex="col", sharey=True, squeeze=False)
    lowest, highest = np.inf, 0.0
    for column, (parameter, label) in enumerate(COLUMNS.items()):
        widest = NARROWEST[parameter]
        for layer, ax in zip(layers, axes[:, column], strict=True):
            density, edges = pooled(
                rows({"histograms": table}, "histograms", layer=layer, parameter=parameter)
            )
            if len(density) == 1 and edges[0] == 0:  # BP's pi = Xi = 0: a spike without a width
                edges = np.array([0, NARROWEST[parameter] / 50])
                density = 1 / edges[1:]
            lowest = min(lowest, density[density > 0].min())
            highest = max(highest, density.max())
            widest = max(widest, np.abs(edges).max())
            ax.stairs(density, edges, fill=True, color=style.BLUE, alpha=0.35)
            ax.stairs(density, edges, color=style.BLUE, linewidth=0.7)
        left = -1.03 if parameter == "m" else -0.03  # a spike at 0 clear of the axis
        tick = _round_down(widest)
        ticks = [-tick, 0, tick] if parameter == "m" else [0, tick]
        ax.set(xlim=(left * widest, 1.03 * widest), xticks=ticks, xlabel=label)
    for layer, ax in zip(layers, axes[:, -1], strict=True):
        name = names.get(layer, f"layer {layer}")
        ax.text(1.05, 0.5, name, transform=ax.transAxes, va="center", rotation=-90)
    axes[0, 0].set(yscale="log", ylim=(lowest / 2, 3 * highest))
    axes[0, 0].yaxis.set_major_locator(LogLocator(numticks=4))
    axes[0, 0].yaxis.set_minor_locator(NullLocator())
    fig.supylabel("probability density", fontsize=8)


def _round_down(x: float) -> float:
    """The largest number of one significant digit that is not above x > 0."""
    unit = 10.0 ** np.floor(np.log10(x))
    return float(f"{unit * np.floor(x / unit * (1 + 1e-9)):.0e}")
