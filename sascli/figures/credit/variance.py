"""Supplement: variance per connection against the number of training images, by layer."""

from matplotlib.figure import Figure

from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables, over_seeds, rows, seeds

TABLES = ("datasize_layers",)
CAPTION = (
    "Supplement. Variance per connection, the mean over a layer's connections of "
    "(1 - π)(Ξ + π m²), against the number of training images T; gBP, L = {depth}. "
    "Points: mean over seeds; {bars}."
)


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """One curve per layer, error bars over seeds."""
    table = rows(tables, "datasize_layers", rule="gbp", depth=reference["depth"])
    layers = sorted(table["layer"].unique())
    fig = style.figure(2.5)
    ax = fig.subplots()
    for layer, look in zip(layers, style.ordered(len(layers)), strict=True):
        variance = over_seeds(table[table["layer"] == layer], "variance_mean", "train_size")
        style.bars(ax, variance, look, f"layer {style.layer_name(layer)}")
    style.size_axis(ax, sorted(table["train_size"].unique()))
    ax.set_ylim(bottom=0)
    ax.set_ylabel(r"variance per connection $\langle\mathrm{Var}(w)\rangle$")
    style.legend(fig, ax, ncols=3)
    fig.set_label(CAPTION.format(depth=reference["depth"], bars=seeds(table)))
    return fig
