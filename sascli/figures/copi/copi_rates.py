"""COPI: accuracy against the learning rate, beside BP with and without decorrelation."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from sascli.figures.copi.copi_accuracy import POINTS
from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables, over_seeds, plural, rows

TABLES = ("rates",)
CAPTION = (
    "Accuracy (%) on held-out training images against the learning rate of the weights; that of "
    "the decorrelation is COPI's own throughout. A network that diverged counts as 0. Adam and "
    "gBP scale their steps otherwise: their rates mean something else. Points: single networks; "
    "lines: {lines}."
)
MARKERS = {
    **{"copi-bp": "o", "copi-fa": "v", "bp-decor": "s"},
    **{"bp-plain": "x", "bp-adam": "^", "gbp": "D"},
}


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """A curve per rule with a point for each network, COPI's on top."""
    table = rows(tables, "rates").fillna({"validation_accuracy": 0.0})
    fig = style.figure(2.8)
    ax = fig.subplots()
    for depth, (point, marker) in enumerate(MARKERS.items()):
        label, colour, line = POINTS[point]
        own: pd.DataFrame = table[table["point"] == point]
        mean = 100 * over_seeds(own, "validation_accuracy", "lr")["mean"]
        look: dict[str, Any] = {
            "color": colour,
            "marker": marker,
            "markerfacecolor": "white",
            "zorder": 9 - depth,
        }
        ax.plot(own["lr"], 100 * own["validation_accuracy"], **look | {"linestyle": ""})
        ax.plot(mean.index, mean, **look | {"linestyle": line, "markevery": [], "label": label})
    ax.set_xscale("log")
    ax.set_xlabel("learning rate of the weights")
    ax.set_ylabel("accuracy (%)")
    style.legend(fig, ax, ncols=3)
    n = table["seed"].nunique()
    lines = f"their mean over {plural(n)}" if n > 1 else "one seed: no mean"
    fig.set_label(CAPTION.format(lines=lines))
    return fig
