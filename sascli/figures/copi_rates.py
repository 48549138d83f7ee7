"""COPI: accuracy against the learning rate, beside BP with and without decorrelation."""

import pandas as pd
from matplotlib.figure import Figure

from sascli.figures import style
from sascli.figures.copi_accuracy import POINTS
from sascli.figures.rows import Reference, Tables, over_seeds, rows, seeds

TABLES = ("rates",)
CAPTION = (
    "Accuracy (%) on held-out training images against the learning rate of the weights; that of "
    "the decorrelation is COPI's own throughout. A network that diverged counts as 0. Adam and "
    "gBP scale their steps otherwise: their rates mean something else. Points: mean over seeds; "
    "{bars}."
)
MARKERS = {"copi-bp": "o", "bp-decor": "s", "bp-plain": "x", "bp-adam": "^", "gbp": "D"}


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """A curve per rule, error bars over seeds."""
    table = rows(tables, "rates").fillna({"validation_accuracy": 0.0})
    fig = style.figure(2.8)
    ax = fig.subplots()
    for point, marker in MARKERS.items():
        label, colour, line = POINTS[point]
        own: pd.DataFrame = table[table["point"] == point]
        spread = 100 * over_seeds(own, "validation_accuracy", "lr")[["mean", "std"]]
        look = {"color": colour, "linestyle": line, "marker": marker}
        style.bars(ax, spread, look, label, markerfacecolor="white")
    ax.set_xscale("log")
    ax.set_xlabel("learning rate of the weights")
    ax.set_ylabel("accuracy (%)")
    style.legend(fig, ax, ncols=3)
    fig.set_label(CAPTION.format(bars=seeds(table)))
    return fig
