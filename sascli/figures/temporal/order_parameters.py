"""Symmetry breaking of the read-out neuron: the field, and overlaps of its parameters."""

from matplotlib.figure import Figure

from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables, over_seeds, rows, seeds

TABLES = ("order_parameters",)
ON_IMAGES = False
CAPTION = (
    "A read-out neuron of interchangeable inputs learns a sine. Above: the field Σ m / √N that it "
    "sees of m, and the loss, Σ (y - s)² / 2 over a period. Below: overlaps a·b / |a||b| of m, π "
    "and Ξ with their own start and with those of networks trained apart. Mean over networks; "
    "{bars}. The lines of π lie on those of Ξ."
)
LABELS = {"m": "$m$", "xi": r"$\Xi$", "pi": r"$\pi$"}


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """Field and loss over epochs, then the overlaps of every parameter."""
    table = rows(tables, "order_parameters")
    fig = style.figure(4.0)
    above, below = fig.subplots(2, 1, sharex=True)
    m = table[table["parameter"] == "m"]
    style.band(above, over_seeds(m, "field", "epoch"), style.LOOKS[3], "field")
    style.band(above, over_seeds(m, "loss", "epoch"), style.LOOKS[1], "loss")
    looks = [style.LOOKS[0], style.LOOKS[2] | {"linewidth": 2.6}, style.LOOKS[1]]
    for (parameter, label), look in zip(LABELS.items(), looks, strict=True):
        own = table[table["parameter"] == parameter]
        for column, line in (("to_start", "-"), ("to_others", "--")):
            if own[column].notna().any():
                overlap = over_seeds(own, column, "epoch")
                told = f"{label}, {'start' if column == 'to_start' else 'others'}"
                style.band(below, overlap, look | {"linestyle": line}, told)
    above.set_ylabel("field, loss")
    above.legend(loc="center right")
    below.set_ylabel("overlap")
    below.set_xlabel("epoch")
    style.epoch_axis(below)
    style.legend(fig, below, ncols=3)
    fig.set_label(CAPTION.format(bars=seeds(table, "band").replace("seed", "network")))
    return fig
