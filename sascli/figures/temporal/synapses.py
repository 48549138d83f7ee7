"""Parameters of the recurrent layer over training, along their principal components."""

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables, rows

TABLES = ("synapses", "components")
ON_IMAGES = False
CAPTION = (
    "Parameters of the recurrent connections over training, kept every few epochs, along the "
    "first two principal components of each network's own path; a line per seed ({seeds}), from "
    "the circle (epoch {first}) to the square (the network's last epoch, {last}). Above each "
    "panel: mean share of the variance over epochs. No error bars."
)
LABELS = {"m": "$m$", "pi": r"$\pi$", "xi": r"$\Xi$"}


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """A panel per parameter."""
    table, shares = rows(tables, "synapses"), rows(tables, "components")
    fig = style.figure(4.6)
    axes = fig.subplots(len(LABELS), 1)
    for (space, label), ax in zip(LABELS.items(), axes, strict=True):
        own = table[table["space"] == space]
        for (_, path), look in zip(own.groupby("seed"), style.LOOKS * 3, strict=False):
            line = {key: look[key] for key in ("color", "linestyle")}
            ax.plot(path["pc1"], path["pc2"], **line)
            for place, marker in ((0, "o"), (-1, "s")):
                x, y = path[["pc1", "pc2"]].iloc[place]
                ax.plot(x, y, color=look["color"], marker=marker, markersize=3)
        share = shares[shares["space"] == space].groupby("component")["share"].mean()
        first, second = (f"PC{n} {100 * share.get(n, 0):.0f} %" for n in (1, 2))
        ax.set_title(f"{label}: {first}, {second}")
        ax.set_ylabel("PC2")
        ax.xaxis.set_major_locator(MaxNLocator(5))
        ax.yaxis.set_major_locator(MaxNLocator(4))
    axes[-1].set_xlabel("PC1")
    ends = sorted({*table.groupby("seed")["epoch"].max()})
    last = " to ".join(map(str, dict.fromkeys((ends[0], ends[-1]))))
    names = ", ".join(map(str, sorted(table["seed"].unique())))
    fig.set_label(CAPTION.format(seeds=names, first=table["epoch"].min(), last=last))
    return fig
