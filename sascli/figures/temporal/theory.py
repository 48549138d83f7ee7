"""Tangent kernel, lazy training and order parameters of wide networks."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from sascli.figures.draw import style
from sascli.figures.draw.curves import curve, curves, epoch_axis, unique
from sascli.figures.draw.picture import Values, picture
from sascli.figures.draw.rows import Reference, Tables, rows, seeds


@picture(
    "kernel kernel_decay",
    on_images=False,
    caption="Neural tangent kernel Θ of the recurrent network between (1, -1) and (cos φ, sin "
    "φ). Above, against the angle φ: lines, infinite width by the recursion; points, mean over "
    "random networks of width {width}; {bars}. Below: deviation of a network from infinite "
    "width, root mean square over φ relative to that of Θ, against the width; {bars}; grey: "
    "width to the power -1/2 through the geometric mean of the networks.",
)
def kernel(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """Kernels of the greatest width over the angle, and the deviation of every width."""
    table, decay = rows(tables, "kernel"), rows(tables, "kernel_decay")
    widths = unique(table, "width")
    above, below = style.panels(fig, 4.2, 2)
    alphas = unique(table, "alpha")
    for alpha, look in zip(alphas, style.distinct(len(alphas)), strict=True):
        wide = table[(table["alpha"] == alpha) & (table["width"] == widths[-1])]
        line = wide.groupby("angle")["analytic"].mean()
        above.plot(line.index, line, color=look["color"], linewidth=0.8)
        points = look | {"linestyle": "", "label": rf"$\alpha={alpha:g}$"}
        curve(above, wide, "angle", "kernel", points)
        curve(below, decay[decay["alpha"] == alpha], "width", "deviation", look)
    middle = np.exp(np.log(decay["deviation"] * np.sqrt(decay["width"])).mean())
    below.plot(widths, middle / np.sqrt(widths), color="0.6", linewidth=0.8, zorder=0)
    above.plot([], [], color="black", linewidth=0.8, label="infinite width")
    above.plot([], [], color="0.6", linewidth=0.8, label="width$^{-1/2}$")
    above.set_xticks(np.pi * np.arange(5) / 2, ["0", "π/2", "π", "3π/2", "2π"])
    above.set(xlabel=r"angle of the input $\varphi$ (rad)", ylabel=r"kernel $\Theta$")
    below.set(xscale="log", yscale="log", xlabel="width (neurons)", ylabel="relative deviation")
    below.set_xticks(widths, [f"{width}" for width in widths])
    low, high = below.get_ylim()
    below.set_yticks([tick for tick in (0.02, 0.05, 0.1, 0.2, 0.5, 1) if low < tick < high])
    below.yaxis.set_major_formatter("{x:g}")
    for axis in (below.xaxis, below.yaxis):
        axis.set_minor_formatter(NullFormatter())
    style.legend(fig, above)
    return {"width": widths[-1], "bars": seeds(table, noun="network")}


DYNAMICS: dict[str, style.Look] = {
    "descent": {"label": "descent, fixed ε", "color": style.BLUE, "linestyle": "-"},
    "empirical": {"label": "kernel of the network", "color": style.RED, "linestyle": "--"},
    "analytic": {"label": "kernel, infinite width", "color": style.BLACK, "linestyle": ":"},
    "projected": {"label": "descent, projected", "color": style.YELLOW, "linestyle": "-."},
}
FRESH: style.Look = {"label": "descent, new ε", "color": "0.7", "linewidth": 0.7, "zorder": 0}


@picture(
    "lazy",
    caption="Lazy training to discriminate images of 0 from images of 1, row by row, without "
    "leak: loss, the mean of (f - y)² over the images relative to its value at the start, by "
    "gradient descent with ε drawn once, by the kernel dynamics of the network itself and of "
    "infinite width, by gradient descent with π and Ξ projected to their ranges, and with new ε "
    "at every step. Mean over networks; {bars}.",
)
def lazy(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """One line per dynamics in a band over seeds, that of fresh eps without a band."""
    table = rows(tables, "lazy").sort_values("step")
    start = table.groupby(["seed", "dynamics"])["loss"].transform("first")
    table = table.assign(relative=100 * table["loss"] / start)
    ax = style.panel(fig, 2.8)
    fresh = table[table["dynamics"] == "fresh"].groupby("step")["relative"].mean()
    ax.plot(fresh.index, fresh, **FRESH)
    curves(ax, table, "step", "relative", "dynamics", DYNAMICS, band=True)
    ax.set(xlabel="step of gradient descent", ylabel="loss (% of the start)")
    style.legend(fig, ax, ncols=2)
    return {"bars": seeds(table, "band, except for new ε", "network")}


PARAMETERS = {
    "m": style.LOOKS[0] | {"label": "$m$"},
    "xi": style.LOOKS[2] | {"label": r"$\Xi$", "linewidth": 2.6},
    "pi": style.LOOKS[1] | {"label": r"$\pi$"},
}
OVERLAPS = {"to_start": ("start", "-"), "to_others": ("others", "--")}
"""The columns of the overlaps with their names and lines; the latter are of several networks."""
SAME = 0.01  # of the axis of the overlaps: lines that are nearer coincide


@picture(
    "order_parameters",
    on_images=False,
    caption="Training of a read-out neuron of interchangeable inputs on a sine. Above: the field "
    "Σ m / √N of m, and the loss, Σ (y - s)² / 2 over a period. Below: overlaps a·b / |a||b| of "
    "m, π and Ξ with their own start{others}.{wide} {mean}; {bars}.",
)
def order_parameters(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """Field and loss over epochs, then the overlaps of every parameter."""
    table = rows(tables, "order_parameters")
    above, below = style.panels(fig, 4.0, 2, sharex=True)
    m = table[table["parameter"] == "m"]
    curve(above, m, "epoch", "field", style.LOOKS[3] | {"label": "field"}, band=True)
    curve(above, m, "epoch", "loss", style.LOOKS[1] | {"label": "loss"}, band=True)
    overlaps = [column for column in OVERLAPS if table[column].notna().any()]
    for parameter, look in PARAMETERS.items():
        part = table[table["parameter"] == parameter]
        for column in overlaps:
            other, line = OVERLAPS[column]
            line_look = {"linestyle": line, "label": f"{look['label']}, {other}"}
            curve(below, part, "epoch", column, look | line_look, band=True)
    above.set_ylabel("field, loss")
    epoch_axis(below, ylabel="overlap")
    style.legend(fig, below, ncols=3)
    above.legend(loc="center right")
    several = table["seed"].nunique() > 1
    return {
        "others": " and with those of the other networks" if "to_others" in overlaps else "",
        "wide": coinciding(table, overlaps),
        "mean": "Mean over networks" if several else "One network",
        "bars": seeds(table, "band", "network"),
    }


def coinciding(table: pd.DataFrame, overlaps: list[str]) -> str:
    """The sentence of a caption on the overlaps of pi and Xi that coincide in every epoch."""
    by_epoch = table[table["parameter"].isin(["pi", "xi"])].groupby(["epoch", "parameter"])
    gaps = by_epoch[overlaps].mean().groupby(level="epoch").agg(np.ptp).max()
    same = [OVERLAPS[column][0] for column in overlaps if gaps[column] < SAME]
    if not same:
        return ""
    return f" The lines of π and Ξ coincide ({', '.join(same)}); that of Ξ is wide."
