"""Accuracy of pruned networks against the fraction of connections that stays."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables, over_seeds, rows, seeds
from sascli.figures.draw.ways import main_rule

TABLES = ("pruning",)
CAPTION = (
    "Test accuracy (%) of pruned mean networks against the fraction (%) of all connections that "
    "stays, chosen in all layers together: gBP's of smallest π or of largest certainty (mean over "
    "standard deviation of the weight), VIPs before all others, or of largest |μ|/√N{bp}. "
    "{panels} Points: mean over seeds; {bars}; dotted: the whole network of gBP."
)
WORDS = {"pi": "spike mass", "snr": "certainty", "magnitude": "magnitude"}
CRITERIA = {"pi": r"$\pi$", "snr": r"$|\mu|/\sigma$", "magnitude": r"$|\mu|$"}


def level_axis(ax: Axes, levels: list[float]) -> None:
    """The fractions that stay, as per cent on a logarithmic axis that falls to the right."""
    ax.set_xscale("log")
    ax.set_xticks([100 * level for level in levels], [f"{100 * level:g}" for level in levels])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.invert_xaxis()


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """A panel as cut, and one after fine-tuning where there was any."""
    table = rows(tables, "pruning", format="csr")
    main = main_rule(table)
    whole = 100 * rows(tables, "pruning", rule=main, criterion="none")["test_accuracy"].mean()
    table = table[table["criterion"].isin([*CRITERIA])]
    drawn = [(rule, name) for rule in (main, *_others(table, main)) for name in CRITERIA]
    found = dict(list(table.groupby(["epochs", "rule", "criterion"])))
    epochs, levels = sorted(table["epochs"].unique()), sorted(table["level"].unique())
    fig = style.figure(0.7 + 1.6 * len(epochs))
    axes = fig.subplots(len(epochs), sharex=True, sharey=True, squeeze=False)[:, 0]
    for ax, after in zip(axes, epochs, strict=True):
        present = [own for own in drawn if (after, *own) in found]
        for (rule, name), look in zip(present, style.LOOKS, strict=False):
            some = found[after, rule, name]
            accuracy = 100 * over_seeds(some, "test_accuracy", "level")[["mean", "std"]]
            accuracy.index = 100 * accuracy.index
            label = f"{style.RULES[rule][0]}, {CRITERIA[name]}"
            style.bars(ax, accuracy, look, label, markerfacecolor="white")
        ax.axhline(whole, color="0.5", linestyle=":", linewidth=0.8)
        said = f"fine-tuned, epochs: {after}" if after else "as cut"
        ax.text(0.03, 0.06, said, transform=ax.transAxes)
        ax.set_ylabel("test accuracy (%)")
    level_axis(axes[-1], levels)
    axes[-1].set_xlabel("connections that stay (%)")
    style.legend(fig, axes[0], ncols=2)
    panels = "Above: as cut; below: after fine-tuning by BP." if len(epochs) > 1 else "As cut."
    bp = "; BP's of largest |w|/√N" if len(_others(table, main)) else ""
    fig.set_label(CAPTION.format(bp=bp, panels=panels, bars=seeds(table)))
    return fig


def _others(table: pd.DataFrame, main: str) -> list[str]:
    return [rule for rule in table["rule"].unique() if rule != main]
