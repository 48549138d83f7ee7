"""COPI: correlations, decorrelated images, receptive fields and compression of the layers."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from sascli.figures.draw import style
from sascli.figures.draw.curves import curves, epoch_axis, unique
from sascli.figures.draw.picture import Values, picture
from sascli.figures.draw.rows import Reference, Tables, rows, seeds

POINT = "copi-bp"
"""The run that is drawn where a study has several."""


SIDES = {"before": "inputs of each layer, $y$", "after": "decorrelated inputs, $x = R\\,y$"}
"""The columns of decorrelation.csv with the titles of their panels."""


@picture(
    "decorrelation",
    one_rate=True,
    caption="Mean absolute correlation between a layer's inputs over training, before (top) and "
    "after (bottom) their multiplication by R, on the same training images; epoch 0 is before "
    "training. Lines: mean over seeds; {band}.",
)
def decorrelation(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A panel for either side of R, a curve per layer."""
    point = {"point": POINT} if "point" in tables["decorrelation"] else {}
    table = rows(tables, "decorrelation", **point)
    looks = style.ordered(unique(table, "layer"), "layer {}".format)
    panels = style.panels(fig, 3.2, 2, sharex=True, sharey=True)
    for (side, title), ax in zip(SIDES.items(), panels, strict=True):
        curves(ax, table, "epoch", side, "layer", looks, band=True)
        ax.set(title=title, ylabel="mean |correlation|")
    epoch_axis(panels[1], ylim=(0, None))
    style.legend(fig, panels[0])
    return {"band": seeds(table, "band")}


def image(table: pd.DataFrame) -> np.ndarray:
    """The values of one image, (height, width, channels)."""
    axes = ["row", "column", "channel"]
    shape = tuple(table[axes].max() + 1)
    return table.sort_values(axes)["value"].to_numpy().reshape(shape)


def largest(values: np.ndarray, fraction: float) -> float:
    """The absolute value that this fraction of the values exceeds; 1 where they are all 0."""
    return float(np.quantile(np.abs(values), 1 - fraction)) or 1.0


def show(ax: Axes, values: np.ndarray, scale: float | None) -> None:
    """Draw an image without axes; with a scale, 0 is mid-grey and +-scale white and black."""
    if scale is not None:
        values = 0.5 + values / (2 * scale)
    rgb = np.repeat(values, 3, -1) if values.shape[-1] == 1 else values
    ax.imshow(np.clip(rgb, 0, 1), interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


KINDS = {"input": "image $y$", "decorrelated": "trained $R$", "zca": "whitened\n(ZCA)"}


@picture(
    "decorrelated",
    caption="Test images (top), the same multiplied by the trained R of the first layer "
    "(middle), and by the symmetric whitening matrix of the training images (ZCA, bottom). "
    "Middle and bottom: mid-grey is 0; the 2 % of the row's values that are largest in size are "
    "white or black; one network, no error bars.",
)
def decorrelated(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A row per kind, a column per image."""
    table = rows(tables, "decorrelated")
    numbers = unique(table, "image")
    fig.set_figheight(style.WIDTH * 1.05 * len(KINDS) / (len(numbers) + 0.4))
    grid = fig.subplots(len(KINDS), len(numbers), squeeze=False)
    for (kind, label), axes in zip(KINDS.items(), grid, strict=True):
        part = table[table["kind"] == kind]
        scale = None if kind == "input" else largest(part["value"].to_numpy(), 0.02)
        for number, ax in zip(numbers, axes, strict=True):
            show(ax, image(part[part["image"] == number]), scale)
        axes[0].set_ylabel(label)
    return {}


ACROSS = 8
FRACTION = 0.15


@picture(
    "features",
    caption="Receptive fields of {units} of layer {layer} in pixel space: the linear map from "
    "the first layer's decorrelated inputs x to a unit's activation a, <a x> / <x²>, times R. "
    "Mid-grey is 0; the {percent:.0f} % of each field's values that are largest in size are white "
    "or black; one network, no error bars.",
)
def features(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A small picture per unit, with its number."""
    table = rows(tables, "features")
    units = list(table["unit"].unique())
    across = min(ACROSS, len(units))
    down = math.ceil(len(units) / across)
    fig.set_figheight(0.1 + (style.WIDTH / max(across, 4) + 0.15) * down)
    grid = fig.subplots(down, across, squeeze=False).ravel()
    for unit, ax in zip(units, grid, strict=False):
        values = image(table[table["unit"] == unit])
        show(ax, values, largest(values, FRACTION))
        ax.set_title(str(unit), pad=2)
    for ax in grid[len(units) :]:
        ax.set_visible(False)
    count = f"{len(units)} units" if len(units) > 1 else f"unit {units[0]}"
    return {"units": count, "layer": table["layer"].iloc[0], "percent": 100 * FRACTION}


PARTS = style.labelled({"first": "first $k$ layers", "last": "last $k$ layers"})


@picture(
    "compression",
    one_rate=True,
    caption="Test accuracy (%, top) and number of parameters (bottom, W R counted as one matrix) "
    "of a COPI network whose first, or last, k layers are replaced by one linear map read from "
    "the training images; k = 0 is the network itself, k = 1 replaces a layer by its own map and "
    "shows the residual correlation of its inputs. Points: mean over seeds; {bars}.",
)
def compression(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """Two curves in either panel, error bars over seeds."""
    table = rows(tables, "compression")
    above, below = style.panels(fig, 3.4, 2, sharex=True, height_ratios=(3, 2))
    curves(above, table, "k", "test_accuracy", "part", PARTS, scale=100)
    curves(below, table, "k", "parameters", "part", PARTS)
    above.set_ylabel("test accuracy (%)")
    below.set(xlabel="layers replaced $k$", ylabel="parameters", ylim=(0, None))
    below.yaxis.set_major_formatter(EngFormatter(sep=""))
    below.xaxis.set_major_locator(MaxNLocator(integer=True))
    style.legend(fig, above)
    return {"bars": seeds(table)}
