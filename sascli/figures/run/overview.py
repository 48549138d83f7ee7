"""One training run at a glance: accuracy over epochs, histograms of pi, m and Xi per layer."""

import pandas as pd
from matplotlib.figure import Figure, SubFigure

from sascli import runs
from sascli.figures.draw import histograms, style
from sascli.figures.draw.curves import accuracy, epoch_axis
from sascli.figures.draw.picture import Values, picture
from sascli.figures.draw.rows import Reference, Tables, rows, seeds, stopping


def by_rate(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of each learning rate and decay, by a label; "" where neither is varied."""
    return {str(name): part for name, part in table.groupby(runs.rate_names(table), sort=False)}


PARAMETERS = "the spike mass π, the mean m and the variance Ξ of the slab"


@picture(
    "history histograms",
    optional="layers",
    caption="One training run. {accuracy} Below: distribution over the connections of each layer "
    "(rows) of {parameters}, all replicas pooled, logarithmic density.",
)
def overview(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """Accuracy above, histograms below; `reference` is not used: a run has one point only."""
    table, history = rows(tables, "histograms"), rows(tables, "history")
    below, parts = histograms.height(table), by_rate(history)
    above = 1.6 if history["epoch"].nunique() > 1 else 0.05 + 0.17 * len(parts)
    fig.set_figheight(above + below)
    top, bottom = fig.subfigures(2, 1, squeeze=False, height_ratios=(above, below))[:, 0]
    rates = " by learning rate and decay" if len(parts) > 1 else ""
    if history["epoch"].nunique() > 1:
        curves_over_epochs(top, parts)
        text = f"Top: test accuracy (%, mean field) over epochs{rates}, mean over the seeds; "
        text += f"{seeds(history, 'band')}.{stopping(history)}"
    else:
        lines = [after_one(label, part) for label, part in parts.items()]
        top.text(0.5, 0.5, "\n".join(lines), ha="center", va="center")
        text = f"Top: test accuracy (mean field) after the only epoch{rates}; "
        text += f"{seeds(history, '±')}."
    names = histograms.names_of(table, tables.get("layers"))
    drawn = histograms.multiples(bottom, [(histograms.FILLED, table)], names)
    return {"accuracy": text, "parameters": PARAMETERS if len(drawn) > 1 else "the weight w"}


def curves_over_epochs(fig: SubFigure, parts: dict[str, pd.DataFrame]) -> None:
    """The accuracy of each rate over the epochs."""
    ax = fig.subplots()
    for (label, part), look in zip(parts.items(), style.distinct(len(parts)), strict=True):
        accuracy(ax, part, look | {"label": label})
    epoch_axis(ax, ylabel="test accuracy (%)")
    if len(parts) > 1:
        style.legend(fig, ax)


def after_one(label: str, part: pd.DataFrame) -> str:
    """The accuracy of a rate after one epoch."""
    percent = 100 * part["test_accuracy"]
    spread = f" ± {percent.std():.1f}" if len(part) > 1 else ""
    name = f"{label}, " if label else ""
    return f"{name}epoch {part['epoch'].iloc[0]}: test accuracy {percent.mean():.1f}{spread} %"
