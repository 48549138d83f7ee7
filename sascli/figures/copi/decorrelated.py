"""COPI: test images as they are, decorrelated by the first layer's R, and whitened by ZCA."""

from matplotlib.figure import Figure

from sascli.figures.draw import pixels, style
from sascli.figures.draw.rows import Reference, Tables, rows

TABLES = ("decorrelated",)
CAPTION = (
    "Test images (top), the same multiplied by the trained R of the first layer (middle), and by "
    "the symmetric whitening matrix of the training images (ZCA, bottom). Middle and bottom: "
    "mid-grey is 0; white and black hold the largest 2 % of the row's sizes; one network, no "
    "error bars."
)
KINDS = {"input": "input", "decorrelated": "$R$", "zca": "ZCA"}


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """A row per kind, a column per image."""
    table = rows(tables, "decorrelated")
    numbers = sorted(table["image"].unique())
    fig = style.figure(style.WIDTH * 1.05 * len(KINDS) / (len(numbers) + 0.4))
    grid = fig.subplots(len(KINDS), len(numbers), squeeze=False)
    for (kind, label), axes in zip(KINDS.items(), grid, strict=True):
        one = table[table["kind"] == kind]
        scale = None if kind == "input" else pixels.scale(one["value"].to_numpy())
        for number, ax in zip(numbers, axes, strict=True):
            pixels.show(ax, pixels.image(one[one["image"] == number]), scale)
        axes[0].set_ylabel(label)
    fig.set_label(CAPTION)
    return fig
