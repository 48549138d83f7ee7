"""Fig. 4b: fraction of VIP and UIP connections against layer."""

from matplotlib.figure import Figure

from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables, over_seeds, rows, seeds

TABLES = ("datasize_layers",)
CAPTION = (
    "Fig. 4(b). Fraction (%) of very important (VIP: π = 0 and Ξ = 0) and unimportant (UIP: "
    "π = 1) connections against layer; gBP, L = {depth}, T = {train_size}. Points: mean over "
    "seeds; {bars}."
)


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """A curve for each of the two fractions at the deep depth, error bars over seeds."""
    point = {"depth": reference["deep"], "train_size": reference["train_size"]}
    table = rows(tables, "datasize_layers", rule="gbp", **point)
    fig = style.figure(2.3)
    ax = fig.subplots()
    for kind, look in zip(("vip", "uip"), style.LOOKS, strict=False):
        fraction = 100 * over_seeds(table, f"{kind}_fraction", "layer")[["mean", "std"]]
        style.bars(ax, fraction, look, kind.upper())
    style.layer_axis(ax, sorted(table["layer"].unique()))
    ax.set_ylim(bottom=0)
    ax.set_ylabel("fraction of connections (%)")
    style.legend(fig, ax)
    fig.set_label(CAPTION.format(**point, bars=seeds(table)))
    return fig
