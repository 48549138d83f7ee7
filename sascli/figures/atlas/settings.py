"""The map of claims and settings, and two questions that decide several claims."""

import re

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sascli.errors import UserError
from sascli.figures.draw import style
from sascli.figures.draw.curves import curve, curves, size_axis, unique
from sascli.figures.draw.picture import Values, picture
from sascli.figures.draw.rows import Reference, Tables, rows, seeds

NAMES = {
    1: "gBP ≥ BP", 2: "error falls with T", 3: "sampled ≈ mean field", 4: "sparsity arch",
    5: "π U-shaped", 6: "m peaks at 0", 7: "Ξ L-shaped", 8: "variance turns with T",
    9: "entropy peaks at 0", 10: "entropy arch", 11: "entropy saturates", 12: "VIPs matter",
    13: "VIP number falls", 14: "effect falls with layer", 16: "few in between",
    17: "VIP fraction falls",
}  # fmt: skip
"""The claims in a few words."""
SYMBOLS = {
    "train_size=": "T = ", "depth=": "L = ", "batch_size=": "batch = ", "lr=": "η = ",
    "optim.name=": "", "optim.halve_every=": "halved every ", "model=": "", "model.": "",
    "init.m_var=null": "m as published", "init.m_var=fan_in": "variance of m = 2/N",
    "init.m_var=": "variance of m = ",
    "init.xi_max=": "Ξ up to ", "decay.pi=": "decay of π = ",
}  # fmt: skip
"""Beginnings of a setting's words, as in pictures."""
MOST = 10.0  # standard errors of the ends of the colour bar
STEPS, FALLING = "T at equal steps", "falling rate"
"""The factors of the two questions; further factors of the first begin with its name."""


def label(setting: str) -> str:
    """A setting with the symbols of the paper; searched rates are "best η"."""
    words = []
    for word in setting.split():
        start = next((name for name in SYMBOLS if word.startswith(name)), "")
        shown = SYMBOLS.get(start, "") + word.removeprefix(start)
        words.append("best η" if "[" in word else re.sub(r"(?<! )=", " = ", shown))
    return ", ".join(words)


@picture(
    "atlas",
    caption="Where the claims hold: settings around the published one (rows; the first is the "
    "credit study itself, with all its T and depths) and claims by number (columns). Colour: "
    "distance of the rule's first statistic, of one that does not hold the first that fails, from "
    "its bound, beyond what the rule asks, in standard errors over seeds, cut at {most:g}; blue: "
    "holds, red with a dash: does not hold; hatched: not measured. Black lines separate the "
    "factors that are varied, each with the setting that it starts from; no error bars.",
    on_images=False,
)
def atlas(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A cell for each claim and setting, in two panels of about as many settings."""
    table = tables["atlas"]
    order = table[["factor", "setting"]].drop_duplicates().itertuples(index=False, name=None)
    places = pd.MultiIndex.from_tuples(list(order))
    margins = table.pivot(index=["factor", "setting"], columns="claim", values="margin")
    margins = margins.reindex(places)
    factors = pd.Series(places.get_level_values(0))
    half = int((factors.map(factors.value_counts(sort=False).cumsum()) <= len(factors) / 2).sum())
    parts = [part for part in (margins.iloc[:half], margins.iloc[half:]) if len(part)]
    height = 0.13 * max(map(len, parts))
    fig.set_size_inches(fig.get_figwidth() * len(parts), height + 1.8)
    panels = list(fig.subplots(1, len(parts), squeeze=False)[0])
    for ax, part in zip(panels, parts, strict=True):
        cells(ax, part)
        ax.set_ylim(max(map(len, parts)), 0)  # rows of both panels have the same height
    bar = fig.colorbar(
        panels[0].collections[0], ax=panels, location="bottom", fraction=0.04, aspect=40
    )
    bar.set_label("does not hold  ←  standard errors from the bound  →  holds", fontsize=6.5)
    bar.ax.tick_params(labelsize=6)
    return {"most": MOST}


def cells(ax: Axes, margins: pd.DataFrame) -> None:
    """The cells of one panel; lines separate factors."""
    import seaborn as sns  # takes half a second

    values = margins.clip(-MOST, MOST)
    dashes = np.where(margins < 0, "-", "")
    sns.heatmap(
        values, ax=ax, cmap="RdBu", vmin=-MOST, vmax=MOST, mask=values.isna(), cbar=False,
        annot=dashes, fmt="", annot_kws={"fontsize": 5}, linewidths=0.4,
    )  # fmt: skip
    size = (len(margins.columns), len(margins))
    ax.add_patch(
        Rectangle((0, 0), *size, hatch="/" * 7, facecolor="white", edgecolor="0.7", zorder=0)
    )
    names = [factor if name == "all" else label(name) for factor, name in margins.index]
    ax.set_yticks(np.arange(len(names)) + 0.5, names, rotation=0, fontsize=5.5)
    heads = [f"{number} {NAMES[int(number)]}" for number in margins.columns]
    ax.set_xticks(np.arange(len(heads)) + 0.5, heads, rotation=90, fontsize=5.5)
    ax.tick_params(length=0, top=False, bottom=False, labeltop=True, labelbottom=False, pad=1)
    ax.set(xlabel="", ylabel="")
    factors = margins.index.get_level_values(0)
    for row in np.flatnonzero(factors[1:] != factors[:-1]) + 1:
        ax.plot([0, len(heads)], [row, row], color="black", linewidth=0.6)


@picture(
    "atlas_layers datasize_layers",
    caption="Images or steps? Sparsity and variance per connection by layer (L = {depth}), and "
    "the entropy per connection, the mean over layers (the paper's estimator, nats; L = {deep}), "
    "against the number of training images T; gBP. Solid: equal epochs, more images are also "
    "more steps; dashed: as many steps as at T = {train_size}. Points: mean over seeds; {bars}.",
)
def atlas_steps(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """Panels of sparsity, variance and entropy at equal epochs and at equal steps."""
    equal = tables["atlas_layers"]
    equal = equal[equal["factor"].str.startswith(STEPS)]
    if equal.empty:
        raise UserError(f"atlas_layers.csv has no rows with factor={STEPS}")
    panels = style.panels(fig, 5.2, 3, sharex=True)
    labels = {"sparsity": "sparsity", "variance_mean": r"$\langle\mathrm{Var}(w)\rangle$"}
    for line, table in (("-", rows(tables, "datasize_layers", rule="gbp")), ("--", equal)):
        shallow = table[table["depth"] == reference["depth"]]
        looks = style.ordered(unique(shallow, "layer"), "layer {}".format)
        words = {"-": "equal epochs", "--": "equal steps"}[line]
        panels[0].plot([], [], color="black", linestyle=line, label=words)
        for look in looks.values():
            look |= {"linestyle": line, "label": look["label"] if line == "-" else None}
        for ax, (column, text) in zip(panels, labels.items(), strict=False):
            curves(ax, shallow, "train_size", column, "layer", looks)
            ax.set_ylabel(text)
        deep = table[table["depth"] == reference["deep"]]
        if not deep.empty:
            look = style.LOOKS[3] | {"linestyle": line}
            curve(panels[2], deep, "train_size", "entropy", look)
    panels[2].set_ylabel("entropy (nats)")
    size_axis(panels[2], unique(equal, "train_size"))
    style.legend(fig, panels[0], ncols=3)
    return {"bars": seeds(equal)}


@picture(
    "atlas_layers",
    caption="Does a falling learning rate restore the arch? Sparsity, the mean of the spike "
    "mass, against layer of deep networks; gBP. Points: mean over seeds; {bars}.",
)
def atlas_rate(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A curve for each setting of the rate."""
    table = rows(tables, "atlas_layers", factor=FALLING)
    ax = style.panel(fig, 2.5)
    names = list(table["setting"].unique())
    looks = style.ordered(range(len(names)), lambda number: label(names[number]))
    for number, look in looks.items():
        curve(ax, table[table["setting"] == names[number]], "layer", "sparsity", look)
    ax.set(xlabel="layer", xticks=unique(table, "layer"), ylabel="sparsity")
    style.legend(fig, ax, ncols=1)
    return {"bars": seeds(table)}
