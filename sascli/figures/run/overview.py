"""One training run at a glance: accuracy over epochs, histograms of pi, m and Xi per layer."""

import pandas as pd
from matplotlib.figure import Figure

from sascli.figures.draw import histograms, style
from sascli.figures.draw.curves import accuracy, epoch_axis
from sascli.figures.draw.picture import Values, picture
from sascli.figures.draw.rows import Reference, Tables, rows, seeds, stopping


def by_rate(history: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of each learning rate and decay, by a label; "" where neither is varied."""
    varied = [name for name in ("lr", "decay") if name in history]
    return {
        ", ".join(f"{name} {value:g}" for name, value in zip(varied, values, strict=True)): part
        for values, part in (history.groupby(varied) if varied else [((), history)])
    }


@picture(
    "history histograms",
    optional="layers",
    caption="One training run. Top: test accuracy (%, mean field) over epochs{rates}, mean over "
    "the seeds; {band}.{stops} Below: distribution over the connections of each layer (rows) of "
    "the spike mass π, the mean m and the variance Ξ of the slab, all replicas pooled, "
    "logarithmic density.",
)
def overview(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """Accuracy above, histograms below; `reference` is not used: a run has one point only."""
    table, history = rows(tables, "histograms"), rows(tables, "history")
    below = histograms.height(table)
    fig.set_figheight(1.6 + below)
    grid = fig.add_gridspec(2, 1, height_ratios=(1.6, below))
    ax = fig.add_subfigure(grid[0]).subplots()
    parts = by_rate(history)
    looks = style.ordered(range(len(parts))).values() if len(parts) > 1 else style.LOOKS
    for (label, part), look in zip(parts.items(), looks, strict=False):
        accuracy(ax, part, look | {"label": label})
    if len(parts) > 1:
        ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="x-small")
    epoch_axis(ax, ylabel="test accuracy (%)")
    recurrent = "layers" in tables and tables["layers"]["layer_name"].eq("rec").any()
    names = histograms.RECURRENT if recurrent else {}
    histograms.multiples(fig.add_subfigure(grid[1]), table, names)
    rates = " by learning rate and decay" if len(parts) > 1 else ""
    return {"rates": rates, "band": seeds(history, "band"), "stops": stopping(history)}
