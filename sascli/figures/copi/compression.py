"""COPI: test accuracy and number of parameters with k layers replaced by their linear map."""

from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables, over_seeds, rows, seeds

TABLES = ("compression",)
CAPTION = (
    "Test accuracy (%, top) and number of parameters (bottom, W R counted as one matrix) of a "
    "COPI network whose first, or last, k layers are replaced by one linear map read from the "
    "training images; k = 0 is the network itself, k = 1 replaces a layer by its own map and "
    "shows the residual correlation of its inputs. Points: mean over seeds; {bars}."
)
PARTS = {"first": "first $k$ layers", "last": "last $k$ layers"}


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """Two curves in either panel, error bars over seeds."""
    table = rows(tables, "compression")
    fig = style.figure(3.4)
    above, below = fig.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    for (part, label), look in zip(PARTS.items(), style.LOOKS, strict=False):
        one = table[table["part"] == part]
        accuracy = 100 * over_seeds(one, "test_accuracy", "k")[["mean", "std"]]
        style.bars(above, accuracy, look, label, markerfacecolor="white")
        style.bars(below, over_seeds(one, "parameters", "k"), look, label, markerfacecolor="white")
    above.set_ylabel("test accuracy (%)")
    below.set_ylabel("parameters")
    below.yaxis.set_major_formatter(EngFormatter())
    below.set_ylim(0)
    below.xaxis.set_major_locator(MaxNLocator(integer=True))
    below.set_xlabel("layers replaced $k$")
    style.legend(fig, above)
    fig.set_label(CAPTION.format(bars=seeds(table)))
    return fig
