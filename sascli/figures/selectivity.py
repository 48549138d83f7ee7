"""How many neurons are selective for choice, modality, both or neither."""

import numpy as np
from matplotlib.figure import Figure

from sascli.figures import style
from sascli.figures.rows import Reference, Tables, rows, seeds

TABLES = ("selectivity",)
CAPTION = (
    "Share of the neurons (%) that are selective for choice, for modality, for both (mixed) and "
    "for neither, from noise-reduced trials, beside the same with permuted labels (mixed: with "
    "those of the choice permuted plus with those of the modality permuted). Bars: mean over "
    "seeds; {bars}."
)
KINDS = ("choice", "modality", "mixed", "none")


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """A pair of bars per kind."""
    table = rows(tables, "selectivity")
    fig = style.figure(2.3)
    ax = fig.subplots()
    found = table.assign(**{kind: table["kind"] == kind for kind in KINDS})
    chance = table.assign(**{kind: table[f"control_{kind}"] for kind in KINDS})
    looks = ((found, "trials", style.BLUE, ""), (chance, "permuted labels", "0.8", "///"))
    for place, (own, label, colour, hatch) in enumerate(looks):
        share = 100 * own.groupby("seed")[list(KINDS)].mean()
        ax.bar(
            np.arange(len(KINDS)) + 0.4 * (place - 0.5), share.mean(), 0.38, label=label,
            yerr=share.std() if len(share) > 1 else None, color=colour, hatch=hatch,
            edgecolor="black", linewidth=0.5, error_kw={"linewidth": 0.8},
        )  # fmt: skip
    ax.set_xticks(range(len(KINDS)), KINDS)
    ax.set_xlabel("selective for")
    ax.set_ylabel("share of the neurons (%)")
    style.legend(fig, ax)
    fig.set_label(CAPTION.format(bars=seeds(table)))
    return fig
