"""Psychometric curves: the fraction of high choices against frequency, by modality."""

import numpy as np
from matplotlib.figure import Figure

from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables, over_seeds, rows, seeds

TABLES = ("psychometric", "sigmoids")
ON_IMAGES = False
CAPTION = (
    "Fraction of high choices (%) against the frequency of visual (v), auditory (a) and both (va) "
    "events, near the boundary (dashed). Points: mean over seeds, {bars}; lines: logistic curve "
    "of the median threshold and slope over networks. Panels: {ways}."
)
WAYS = {
    "field": "mean field",
    "mean": "mean network",
    "sampled": "weights drawn once",
    "redrawn": "weights drawn at every step",
}
MODALITIES = dict(zip(("v", "a", "va"), style.LOOKS, strict=False))
BOUNDARY, NEAR = 12.5, (11.0, 14.0)


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """A panel per way to run the network, a curve per modality."""
    table, fitted = rows(tables, "psychometric"), rows(tables, "sigmoids")
    ways = [way for way in WAYS if (table["way"] == way).any()]
    fig = style.figure(0.7 + 1.5 * len(ways))
    axes = fig.subplots(len(ways), 1, sharex=True, squeeze=False)[:, 0]
    f = np.linspace(*NEAR, 200)
    table = table[table["frequency"].between(*NEAR)]
    for way, ax in zip(ways, axes, strict=True):
        for modality, look in MODALITIES.items():
            own = table[(table["way"] == way) & (table["modality"] == modality)]
            if own.empty:
                continue
            high = 100 * over_seeds(own, "high", "frequency")[["mean", "std"]]
            style.bars(ax, high, look | {"linestyle": ""}, modality, markersize=3)
            curve = rows({"fits": fitted}, "fits", way=way, modality=modality)
            z = curve["slope"].median() * (f - curve["threshold"].median())
            ax.plot(f, 100 / (1 + np.exp(-z)), color=look["color"], linestyle=look["linestyle"])
        ax.axvline(BOUNDARY, color="0.6", linewidth=0.6, linestyle="--", zorder=0)
        ax.set_ylim(-6, 106)
        ax.set_ylabel("high choices (%)")
        ax.set_title(WAYS[way])
    axes[-1].set_xlabel("frequency (events / s)")
    style.legend(fig, axes[0])
    named = ", ".join(WAYS[way] for way in ways)
    fig.set_label(CAPTION.format(bars=seeds(table), ways=named))
    return fig
