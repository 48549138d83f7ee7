"""One training run at a glance: accuracy over epochs, histograms of pi, m and Xi per layer."""

import pandas as pd
from matplotlib.figure import Figure

from sascli.figures.draw import histograms, style
from sascli.figures.draw.rows import Reference, Tables, carried, over_seeds, rows, seeds, stopping

TABLES = ("history", "histograms")
CAPTION = (
    "One training run. Top: test accuracy (%, mean-field evaluation) over epochs{rates}, mean "
    "over the seeds; {band}.{stops} Below: distribution over the connections of each layer (rows) "
    "of the spike mass π, the mean m and the variance Ξ of the slab, all replicas pooled, "
    "logarithmic density."
)


def by_rate(history: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each learning rate and decay, with what tells them from the others."""
    varied = [name for name in ("lr", "decay") if name in history]
    if not varied:
        return [("", history)]
    return [
        (", ".join(f"{name} {value:g}" for name, value in zip(varied, values, strict=True)), own)
        for values, own in history.groupby(varied)
    ]


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """Accuracy above, histograms below; `reference` is not used: a run has one point only."""
    table = rows(tables, "histograms")
    history = rows(tables, "history")
    below = histograms.height(table)
    fig = style.figure(1.6 + below)
    grid = fig.add_gridspec(2, 1, height_ratios=(1.6, below))
    ax = fig.add_subfigure(grid[0]).subplots()
    curves = by_rate(history)
    looks = style.ordered(len(curves)) if len(curves) > 1 else style.LOOKS[:1]
    for (label, own), look in zip(curves, looks, strict=True):
        accuracy = 100 * over_seeds(carried(own), "test_accuracy", "epoch")[["mean", "std"]]
        style.band(ax, accuracy, look, label)
    if len(curves) > 1:
        ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="x-small")
    style.epoch_axis(ax)
    ax.set_xlabel("epoch")
    ax.set_ylabel("test accuracy (%)")
    histograms.multiples(fig.add_subfigure(grid[1]), table)
    fig.set_label(
        CAPTION.format(
            rates=" by learning rate and decay" * (len(curves) > 1),
            band=seeds(history, "band"),
            stops=stopping(history),
        )
    )
    return fig
