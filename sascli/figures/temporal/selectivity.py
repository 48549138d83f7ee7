"""How many neurons are selective for choice, modality, both or neither."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables, rows, seeds

TABLES = ("selectivity",)
ON_IMAGES = False
CAPTION = (
    "Fraction of the neurons (%) that are selective for choice, for modality, for both (mixed) "
    "and for neither, from noise-reduced trials, beside the same with permuted labels (mixed: "
    "with those of the choice permuted plus with those of the modality permuted){untrained}. "
    "Bars: mean over seeds; {bars}."
)
UNTRAINED = " and in untrained networks, labelled by the right choice"
KINDS = ("choice", "modality", "mixed", "none")


def of_network(table: pd.DataFrame, network: str) -> pd.DataFrame:
    """The rows of trained or of untrained networks; a table of before has only the former."""
    if "network" not in table:
        return table if network == "trained" else table[:0]
    return table[table["network"] == network]


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """A group of bars per kind."""
    table = rows(tables, "selectivity")
    trained, untrained = (of_network(table, name) for name in ("trained", "untrained"))
    fig = style.figure(2.3)
    ax = fig.subplots()
    after = trained.assign(**{kind: trained["kind"] == kind for kind in KINDS})
    chance = trained.assign(**{kind: trained[f"control_{kind}"] for kind in KINDS})
    looks = [(after, "trained", style.BLUE, ""), (chance, "permuted labels", "0.8", "///")]
    if len(untrained):
        before = untrained.assign(**{kind: untrained["kind"] == kind for kind in KINDS})
        looks.append((before, "untrained", style.YELLOW, "..."))
    width = 0.8 / len(looks)
    for place, (table, label, colour, hatch) in enumerate(looks):
        share = 100 * table.groupby("seed")[list(KINDS)].mean()
        ax.bar(
            np.arange(len(KINDS)) + width * (place - (len(looks) - 1) / 2), share.mean(),
            0.95 * width, label=label,
            yerr=share.std() if len(share) > 1 else None, color=colour, hatch=hatch,
            edgecolor="black", linewidth=0.5, error_kw={"linewidth": 0.8},
        )  # fmt: skip
    ax.set_xticks(range(len(KINDS)), KINDS)
    ax.set_xlabel("selective for")
    ax.set_ylabel("fraction of the neurons (%)")
    style.legend(fig, ax)
    clause = UNTRAINED if len(untrained) else ""
    fig.set_label(CAPTION.format(untrained=clause, bars=seeds(trained)))
    return fig
