"""COPI: receptive fields of the units of a layer, by linear read-out."""

import math

from matplotlib.figure import Figure

from sascli.figures.draw import pixels, style
from sascli.figures.draw.rows import Reference, Tables, rows

TABLES = ("features",)
CAPTION = (
    "Receptive fields of {units} of layer {layer} in pixel space: the linear map from the first "
    "layer's decorrelated inputs x to a unit's activation a, <a x> / <x²>, times R. Mid-grey "
    "is 0; white and black hold the largest {share:.0%} of each field's own sizes, mostly at "
    "pixels that are hardly ever on; one network, no error bars."
)
ACROSS = 8
SHARE = 0.15


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """A small picture per unit, with its number."""
    table = rows(tables, "features")
    units = list(dict.fromkeys(table["unit"]))
    across = min(ACROSS, len(units))
    down = math.ceil(len(units) / across)
    fig = style.figure(0.1 + (style.WIDTH / max(across, 4) + 0.15) * down)
    grid = fig.subplots(down, across, squeeze=False).ravel()
    for unit, ax in zip(units, grid, strict=False):
        values = pixels.image(table[table["unit"] == unit])
        pixels.show(ax, values, pixels.scale(values, SHARE))
        ax.set_title(str(unit), fontsize=7, pad=2)
    for ax in grid[len(units) :]:
        ax.set_visible(False)
    which = f"{len(units)} units" if len(units) > 1 else f"unit {units[0]}"
    layer = style.layer_name(table["layer"].iloc[0])
    fig.set_label(CAPTION.format(units=which, layer=layer, share=SHARE))
    return fig
