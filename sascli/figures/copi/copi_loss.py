"""COPI: training loss over the epochs of every rule that minimises the squared error."""

from matplotlib.figure import Figure

from sascli.figures.copi.copi_accuracy import POINTS
from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables, over_seeds, rows, seeds

TABLES = ("history",)
CAPTION = (
    "Training loss over the epochs, the mean of |y - t|² / 2 over an epoch's images as they are "
    "learnt, the same for all of these rules; networks of L = {depth} layers, T = {train_size}. "
    "Rates and names as in the figure of the accuracy; gBP has another loss, the cross entropy, "
    "and is left out. Lines: mean over seeds; {band}."
)
OTHERS = ("gbp",)
"""The runs whose loss is another."""


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """A curve per rule with its band, on a logarithmic axis."""
    history = rows(tables, "history")
    fig = style.figure(3.2)
    ax = fig.subplots()
    for point, (label, colour, line) in POINTS.items():
        own = history[history["point"] == point]
        if point not in OTHERS and not own.empty:
            spread = over_seeds(own, "train_loss", "epoch")
            style.band(ax, spread, {"color": colour, "linestyle": line}, label)
    ax.set_yscale("log")
    style.epoch_axis(ax)
    ax.set_xlabel("epoch")
    ax.set_ylabel(r"training loss $\langle|y-t|^2\rangle/2$")
    style.legend(fig, ax, ncols=3)
    about = {key: reference[key] for key in ("depth", "train_size")}
    fig.set_label(CAPTION.format(**about, band=seeds(history, "band")))
    return fig
