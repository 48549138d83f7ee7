"""Lazy training of wide networks beside the dynamics of their kernel."""

from typing import Any

from matplotlib.figure import Figure

from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables, over_seeds, rows, seeds

TABLES = ("lazy",)
CAPTION = (
    "Lazy training to tell images of 0 from images of 1, row by row, without leak: loss, the mean "
    "of (f - y)² over the images, in units of the network's own at the start, by gradient descent "
    "with ε drawn once and kept, by the kernel dynamics of the network itself and of infinite "
    "width, by gradient descent with π and Ξ put back into their ranges, and with fresh ε at "
    "every step. Mean over networks; {bars}."
)
DYNAMICS: dict[str, tuple[str, dict[str, Any]]] = {
    "fresh": ("descent, fresh ε", {"color": "0.7", "linestyle": "-", "linewidth": 0.7}),
    "descent": ("descent, ε kept", {"color": style.BLUE, "linestyle": "-"}),
    "empirical": ("kernel of the network", {"color": style.RED, "linestyle": "--"}),
    "analytic": ("kernel, infinite width", {"color": style.BLACK, "linestyle": ":"}),
    "projected": ("descent, projected", {"color": style.YELLOW, "linestyle": "-."}),
}


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """One line per dynamics in a band over seeds, that of fresh eps without."""
    table = rows(tables, "lazy")
    start = table[table["step"] == 0].set_index(["seed", "dynamics"])["loss"]
    table = table.join(start.rename("start"), on=["seed", "dynamics"])
    table["relative"] = 100 * table["loss"] / table["start"]
    fig = style.figure(2.8)
    ax = fig.subplots()
    for dynamics, (label, look) in DYNAMICS.items():
        loss = over_seeds(table[table["dynamics"] == dynamics], "relative", "step")
        if dynamics == "fresh":
            ax.plot(loss.index, loss["mean"], label=label, zorder=0, **look)
        else:
            style.band(ax, loss, look, label)
    ax.set_xlabel("step of gradient descent")
    ax.set_ylabel("loss (% of the start)")
    style.legend(fig, ax, ncols=2)
    bars = seeds(table, "band, but for fresh ε").replace("seed", "network")
    fig.set_label(CAPTION.format(bars=bars))
    return fig
