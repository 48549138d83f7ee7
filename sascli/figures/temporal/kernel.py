"""The neural tangent kernel of infinite width beside that of random networks."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables, over_seeds, rows, seeds

TABLES = ("kernel", "kernel_decay")
ON_IMAGES = False
CAPTION = (
    "Neural tangent kernel Θ of the recurrent network between (1, -1) and (cos φ, sin φ). Above, "
    "against the angle φ: lines, infinite width by the recursion; points, mean over random "
    "networks of width {width}; {bars}. Below: deviation of a network from infinite width, root "
    "mean square over φ relative to that of Θ, against the width; {bars}; grey: width to the "
    "power -1/2 through the mean of the points."
)


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """Kernels of the greatest width over the angle, and the deviation of every width."""
    table, decay = rows(tables, "kernel"), rows(tables, "kernel_decay")
    widest = int(table["width"].max())
    fig = style.figure(4.2)
    above, below = fig.subplots(2, 1)
    for (alpha, some), look in zip(table.groupby("alpha"), style.LOOKS, strict=False):
        wide = some[some["width"] == widest]
        line = wide.groupby("angle")["analytic"].mean()
        above.plot(line.index, line, color=look["color"], linewidth=0.8)
        kernel = over_seeds(wide, "kernel", "angle")
        points = look | {"linestyle": ""}
        style.bars(above, kernel, points, rf"$\alpha={alpha:g}$", markersize=3)
        style.bars(
            below, over_seeds(decay[decay["alpha"] == alpha], "deviation", "width"), look, ""
        )
    widths = np.array(sorted(table["width"].unique()))
    middle = np.exp(np.log(decay["deviation"] * np.sqrt(decay["width"])).mean())
    below.plot(widths, middle / np.sqrt(widths), color="0.6", linewidth=0.8, zorder=0)
    above.set_xticks(np.pi * np.arange(5) / 2, ["0", "π/2", "π", "3π/2", "2π"])
    above.set_xlabel(r"angle of the input $\varphi$ (rad)")
    above.set_ylabel(r"kernel $\Theta$")
    below.set_xscale("log")
    below.set_yscale("log")
    below.set_xticks(widths, [f"{width}" for width in widths])
    below.xaxis.set_minor_formatter(NullFormatter())
    low, high = below.get_ylim()
    below.set_yticks([tick for tick in (0.02, 0.05, 0.1, 0.2, 0.5, 1) if low < tick < high])
    below.yaxis.set_major_formatter("{x:g}")
    below.yaxis.set_minor_formatter(NullFormatter())
    below.set_xlabel("width (neurons)")
    below.set_ylabel("relative deviation")
    style.legend(fig, above)
    fig.set_label(CAPTION.format(width=widest, bars=seeds(table).replace("seed", "network")))
    return fig
