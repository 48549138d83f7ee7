"""Small multiples of histograms: the part that Fig. 3a and the overview share."""

import numpy as np
import pandas as pd
from matplotlib.figure import FigureBase
from matplotlib.ticker import LogLocator, NullLocator

from sascli.figures.draw import style
from sascli.figures.draw.rows import pooled, rows

COLUMNS = {"pi": r"spike mass $\pi$", "m": "slab mean $m$", "xi": r"slab variance $\Xi$"}
NARROWEST = {"pi": 1.0, "m": 0.0, "xi": 0.01}  # least range of the x axis


def height(table: pd.DataFrame) -> float:
    """Inches that the rows of `multiples` take."""
    return 0.5 + 0.65 * float(table["layer"].nunique())


def multiples(fig: FigureBase, table: pd.DataFrame) -> None:
    """Draw pi, m and Xi in a row of panels per layer, all with the same logarithmic density."""
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
        ax.set_xlim(left * widest, 1.03 * widest)
        tick = _round_down(widest)
        ax.set_xticks([-tick, 0, tick] if parameter == "m" else [0, tick])
        ax.set_xlabel(label)
    for layer, ax in zip(layers, axes[:, -1], strict=True):
        name = f"layer {style.layer_name(layer)}"
        ax.text(1.05, 0.5, name, transform=ax.transAxes, va="center", rotation=-90)
    axes[0, 0].set_yscale("log")
    axes[0, 0].set_ylim(lowest / 2, 3 * highest)
    axes[0, 0].yaxis.set_major_locator(LogLocator(numticks=4))
    axes[0, 0].yaxis.set_minor_locator(NullLocator())
    fig.supylabel("probability density", fontsize=8)


def _round_down(x: float) -> float:
    """The largest number of one significant digit that is not above x > 0."""
    unit = 10.0 ** np.floor(np.log10(x))
    return float(f"{unit * np.floor(x / unit * (1 + 1e-9)):.0e}")
