"""Accuracy and error: Figs. 2a and 2b, and Fig. 4a with weights perturbed."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sascli.figures.draw import style
from sascli.figures.draw.curves import curve, curves, epoch_axis, make_room, size_axis, unique
from sascli.figures.draw.perturbation import perturbed
from sascli.figures.draw.picture import Values, picture
from sascli.figures.draw.rows import Reference, Tables, carried, over_seeds, point, rows, seeds


@picture(
    "history",
    caption="Fig. 2(a). Test accuracy (%, mean field) over training with gBP and with BP, L = "
    "{depth}, T = {train_size}. Lines: mean over seeds; {band}. Inset: the second half.",
)
def fig2a(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """Mean accuracy of each rule with a band of one standard deviation over seeds."""
    ax = style.panel(fig, 2.4)
    inset = ax.inset_axes((0.44, 0.16, 0.55, 0.5))
    spreads = []
    for rule, look in style.RULES.items():
        history = carried(rows(tables, "history", rule=rule, **point(reference)))
        late = history[history["epoch"] >= history["epoch"].max() / 2]
        for axes, part in (ax, history), (inset, late):
            curve(axes, part, "epoch", "test_accuracy", look, scale=100, band=True)
        spreads.append(100 * over_seeds(history, "test_accuracy", "epoch"))
    make_room(ax, spreads, 0.7, below=True)
    epoch_axis(ax, ylabel="test accuracy (%)")
    epoch_axis(inset, xlabel="")
    style.legend(fig, ax)
    return {"band": seeds(history, "band")}


OFFSET = 1.05  # of the squares, so that the two kinds of error bar are apart


@picture(
    "datasize datasize_layers",
    caption="Fig. 2(b). Test error (%) of gBP against the number of training images T, L = "
    "{depth}. Circles: mean field, {bars}. Squares, offset to the right: sampled effective "
    "networks; error bars: standard deviation over the sampled networks of one seed (root mean "
    "square over seeds). Inset: sparsity, the mean of the spike mass, against layer for networks "
    "of depth L at T = {train_size}; {bars}.",
)
def fig2b(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """Mean-field error with its spread over seeds beside sampled error with its own."""
    sizes = rows(tables, "datasize", rule="gbp", depth=reference["depth"])
    sampled = _over_networks(sizes)
    ax = style.panel(fig, 3.0)
    look, other = style.LOOKS[:2]
    curve(ax, sizes, "train_size", "test_error", look | {"label": "mean field"}, scale=100)
    ax.plot(sampled["mean"], label="sampled", mfc="white", linewidth=0.6, **other)
    error = {"fmt": "none", "capsize": 2, "color": other["color"]}
    ax.errorbar(sampled.index, sampled["mean"], sampled["std"], **error)
    size_axis(ax, unique(sizes, "train_size"), ylabel="test error (%)")
    errors = 100 * over_seeds(sizes, "test_error", "train_size")
    make_room(ax, [errors, sampled], 0.62, below=False)
    style.legend(fig, ax)

    inset = ax.inset_axes((0.5, 0.58, 0.5, 0.42))
    layers = rows(tables, "datasize_layers", rule="gbp", train_size=reference["train_size"])
    looks = style.ordered(unique(layers, "depth"), "$L={}$".format)
    curves(inset, layers, "layer", "sparsity", "depth", looks)
    inset.set(xlabel="layer", xticks=unique(layers, "layer"), ylabel="sparsity")
    style.legend(fig, inset, "lower", title="inset: sparsity of each layer, depth $L$")
    return {"bars": seeds(sizes)}


def _over_networks(sizes: pd.DataFrame) -> pd.DataFrame:
    """Mean error (%) of the sampled networks, and their std as a root mean square over seeds."""
    by_size = sizes.dropna(subset=["sampled_error_mean"]).groupby("train_size")
    std = by_size["sampled_error_std"].apply(lambda values: np.sqrt(np.mean(values**2)))
    spread = 100 * pd.DataFrame({"mean": by_size["sampled_error_mean"].mean(), "std": std})
    return spread.set_index(OFFSET * spread.index)


@picture(
    "perturbation",
    caption="Fig. 4(a). Test error (%) of gBP against the fraction f of weights perturbed in "
    "layer 1, L = {depth}, T = {train_size}: {meaning} Points: mean over seeds of each seed's "
    "average over {samples} sampled networks and draws; {bars}; the spread over sampled networks "
    "is not shown.",
)
def fig4a(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """One curve per kind of perturbation, error bars over seeds."""
    table = rows(tables, "perturbation", rule="gbp", layer=1, **point(reference))
    meaning = perturbed(fig, {"": table})
    return {"meaning": meaning, "samples": table["sample"].nunique(), "bars": seeds(table)}
