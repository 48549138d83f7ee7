"""Fig. 3c: mean entropy per connection against layer, a curve per number of training images."""

from matplotlib.figure import Figure

from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables, over_seeds, rows, seeds

TABLES = ("datasize_layers",)
CAPTION = (
    "Fig. 3(c). Mean entropy per connection (the paper's estimator, nats) against layer for "
    "several numbers of training images T; gBP, L = {depth}. Points: mean over seeds; {bars}."
)


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """One curve per T at the deep depth, error bars over seeds."""
    table = rows(tables, "datasize_layers", rule="gbp", depth=reference["deep"])
    sizes = sorted(table["train_size"].unique())
    fig = style.figure(2.5)
    ax = fig.subplots()
    for size, look in zip(sizes, style.ordered(len(sizes)), strict=True):
        entropy = over_seeds(table[table["train_size"] == size], "entropy", "layer")
        style.bars(ax, entropy, look, f"$T=$ {style.size_name(size)}")
    style.layer_axis(ax, sorted(table["layer"].unique()))
    ax.set_ylabel("entropy per connection (nats)")
    style.legend(fig, ax)
    fig.set_label(CAPTION.format(depth=reference["deep"], bars=seeds(table)))
    return fig
