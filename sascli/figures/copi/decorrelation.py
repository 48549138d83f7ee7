"""COPI: mean absolute correlation of every layer's inputs over training."""

from matplotlib.figure import Figure

from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables, over_seeds, rows, seeds

TABLES = ("decorrelation",)
CAPTION = (
    "Mean absolute correlation between a layer's inputs over training, before (top) and after "
    "(bottom) their multiplication by R, on the same training images; epoch 0 is before "
    "training. Lines: mean over seeds; {band}."
)
SIDES = {"before": "before $R$", "after": "after $R$"}
POINT = "copi-bp"
"""The run that is drawn where a study has several."""


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """A panel for either side of R, a curve per layer."""
    table = rows(tables, "decorrelation")
    if "point" in table:
        table = rows({"decorrelation": table}, "decorrelation", point=POINT)
    layers = sorted(table["layer"].unique())
    fig = style.figure(3.2)
    panels = fig.subplots(2, 1, sharex=True, sharey=True)
    for (column, label), ax in zip(SIDES.items(), panels, strict=True):
        for layer, look in zip(layers, style.ordered(len(layers)), strict=True):
            spread = over_seeds(table[table["layer"] == layer], column, "epoch")
            style.band(ax, spread, look, style.layer_name(layer))
        ax.set_ylabel(f"correlation {label}")
    panels[0].set_ylim(0)
    style.epoch_axis(panels[1])
    panels[1].set_xlabel("epoch")
    style.legend(fig, panels[0])
    fig.set_label(CAPTION.format(band=seeds(table, "band")))
    return fig
