"""Fig. 2b: test error against the number of training images; inset: sparsity of each layer."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables, over_seeds, rows, seeds

TABLES = ("datasize", "datasize_layers")
CAPTION = (
    "Fig. 2(b). Test error (%) of gBP against the number of training images T, L = {depth}. "
    "Circles: mean-field evaluation, {bars}. Squares, set off to the right: effective networks "
    "sampled from the learned distribution; error bars: standard deviation over the sampled "
    "networks of one seed (root mean square over seeds). Inset: sparsity, the mean of the spike "
    "mass, against layer for networks of depth L at T = {train_size}; {bars}."
)
OFFSET = 1.05  # of the squares, so that the two kinds of error bar stay apart


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """Mean-field error with its spread over seeds beside sampled error with its own."""
    depth, train_size = reference["depth"], reference["train_size"]
    sizes = rows(tables, "datasize", rule="gbp", depth=depth)
    mean_field = 100 * over_seeds(sizes, "test_error", "train_size")[["mean", "std"]]
    sampled = 100 * _over_networks(sizes)
    sampled.index *= OFFSET

    fig = style.figure(3.0)
    ax = fig.subplots()
    style.bars(ax, mean_field, style.LOOKS[0], "mean field")
    style.bars(ax, sampled, style.LOOKS[1], "sampled networks", linewidth=0.6)
    style.size_axis(ax, list(mean_field.index))
    ax.set_ylabel("test error (%)")
    style.make_room(ax, [mean_field, sampled], 0.6, below=False)
    style.legend(fig, ax)

    inset = ax.inset_axes((0.5, 0.52, 0.5, 0.48))
    layers = rows(tables, "datasize_layers", rule="gbp", train_size=train_size)
    depths = sorted(layers["depth"].unique())
    for one, look in zip(depths, style.ordered(len(depths)), strict=True):
        sparsity = over_seeds(layers[layers["depth"] == one], "sparsity", "layer")
        style.bars(inset, sparsity, look, f"$L={one}$", markersize=3)
    style.layer_axis(inset, sorted(layers["layer"].unique()), label="")
    inset.set_ylabel("sparsity")
    style.legend(fig, inset, "lower", title="inset: sparsity of each layer, depth $L$")
    fig.set_label(CAPTION.format(depth=depth, train_size=train_size, bars=seeds(sizes)))
    return fig


def _over_networks(sizes: pd.DataFrame) -> pd.DataFrame:
    """Mean error of the sampled networks, and their std as a root mean square over seeds."""
    by_size = sizes.dropna(subset=["sampled_error_mean"]).groupby("train_size")
    std = by_size["sampled_error_std"].apply(lambda values: np.sqrt(np.mean(values**2)))
    return pd.DataFrame({"mean": by_size["sampled_error_mean"].mean(), "std": std})
