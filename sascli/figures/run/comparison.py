"""Several runs beside one another: accuracy over epochs, layers, histograms."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sascli import runs
from sascli.figures.draw import histograms, style
from sascli.figures.draw.curves import accuracy, curve, epoch_axis
from sascli.figures.draw.picture import Values, picture
from sascli.figures.draw.rows import Reference, Tables, rows, seeds, stopping
from sascli.figures.run.overview import PARAMETERS

DISTRIBUTIONS = {"sparsity": r"sparsity $\langle\pi\rangle$", "entropy": "entropy (nats)"}
NUMBERS = {"m_std": "standard deviation of $w$"}
"""The columns of layers.csv drawn, the latter where the weights of all runs are numbers."""


def by_run(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of each run, and of each rate where a run has several, by a label."""
    rates = runs.rate_names(table)
    names = table["run"].str.cat(rates.where(rates == "", ", " + rates))
    return {str(name): part for name, part in table.groupby(names, sort=False)}


@picture(
    "history layers histograms",
    caption="{count} runs. Top: test accuracy (%, mean field) over epochs.{stops} Middle: "
    "{layers} by layer. Below: distribution over the connections of each layer (rows) of "
    "{parameters}, all replicas pooled, logarithmic density. Lines and points: mean over seeds; "
    "{bars}.",
)
def comparison(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A colour for each run in every panel."""
    history, layers = by_run(rows(tables, "history")), by_run(rows(tables, "layers"))
    table = rows(tables, "histograms")
    parts = by_run(table)
    looks = dict(zip(history, style.distinct(len(history)), strict=True))
    heights = (1.7, 1.4, histograms.height(table))
    fig.set_figheight(sum(heights))
    top, middle, bottom = fig.subfigures(3, 1, squeeze=False, height_ratios=heights)[:, 0]
    ax = top.subplots()
    for name, look in looks.items():
        accuracy(ax, history[name], look | {"label": name})
    epoch_axis(ax, ylabel="test accuracy (%)")
    style.legend(top, ax)
    names = histograms.names_of(table, tables["layers"])
    drawn = histograms.multiples(bottom, [(looks[name], parts[name]) for name in looks], names)
    columns = DISTRIBUTIONS if len(drawn) > 1 else NUMBERS
    row = middle.subplots(1, len(columns), squeeze=False)[0]
    for ax, (column, label) in zip(row, columns.items(), strict=True):
        for name, look in looks.items():
            curve(ax, layers[name], "layer", column, look)
        ax.set(xlabel="layer", ylabel=label)
        if names == histograms.RECURRENT:
            ax.set_xticks([*names], [*names.values()], fontsize="x-small")
        else:
            ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    return {
        "count": len(looks),
        "stops": stopping(tables["history"]),
        "layers": "sparsity, the mean of π, and mean entropy per connection (nats)"
        if len(drawn) > 1
        else "standard deviation of the weights",
        "parameters": PARAMETERS if len(drawn) > 1 else "the weight w",
        "bars": seeds(tables["history"], "error bars and bands"),
    }
