"""One column's width, a palette that also works in grey, and pictures saved reproducibly."""

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from sascli.runs import replacing

P = ParamSpec("P")
R = TypeVar("R")

WIDTH = 3.4  # inches, one column
RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture on every machine
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "legend.columnspacing": 1.2,
    "lines.linewidth": 1.1,
    "lines.markersize": 4,
    "errorbar.capsize": 2,
    "pdf.fonttype": 42,  # text stays text
    "savefig.dpi": 300,
}
# Paul Tol's high-contrast scheme: apart for every kind of colour vision, and as greys.
BLUE, RED, YELLOW, BLACK = "#004488", "#BB5566", "#DDAA33", "#000000"
LOOKS: tuple[dict[str, Any], ...] = (
    {"color": BLUE, "marker": "o", "linestyle": "-"},
    {"color": RED, "marker": "s", "linestyle": "--"},
    {"color": YELLOW, "marker": "^", "linestyle": "-."},
    {"color": BLACK, "marker": "x", "linestyle": ":"},
)
RULES = {"gbp": ("gBP", LOOKS[0]), "bp": ("BP", LOOKS[1])}


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Run a drawing function under our settings and leave matplotlib's own as they were."""

    @wraps(draw)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        with mpl.rc_context(RC):
            return draw(*args, **kwargs)

    return inside


def figure(height: float) -> Figure:
    """An empty figure of one column's width and the given height in inches."""
    return Figure(figsize=(WIDTH, height), layout="constrained")


def ordered(n: int) -> list[dict[str, Any]]:
    """Looks for n curves in an order (depth, T, layer): dark to light, markers in turn."""
    shades = mpl.colormaps["cividis"]
    markers, lines = "os^Dvp*", ("-", "--", "-.", ":")
    return [
        {
            "color": shades(0.85 * i / max(n - 1, 1)),
            "marker": markers[i % len(markers)],
            "linestyle": lines[i % len(lines)],
        }
        for i in range(n)
    ]


def bars(ax: Axes, spread: pd.DataFrame, look: dict[str, Any], label: str, **more: Any) -> None:
    """Draw the means of rows.over_seeds against its index, with error bars of one std."""
    ax.errorbar(spread.index, spread["mean"], yerr=spread["std"], label=label, **look, **more)


def band(ax: Axes, spread: pd.DataFrame, look: dict[str, Any], label: str) -> None:
    """Draw the means of rows.over_seeds as a line in a band of one std, without markers."""
    ax.plot(spread.index, spread["mean"], label=label, **(look | {"marker": ""}))
    low, high = spread["mean"] - spread["std"], spread["mean"] + spread["std"]
    ax.fill_between(spread.index, low, high, color=look["color"], alpha=0.25, linewidth=0)


def make_room(ax: Axes, curves: Sequence[pd.DataFrame], share: float, *, below: bool) -> None:
    """Set the y limits so that curves leave a share of the axes' height free for an inset.

    Means and error bars in the right 70 % of the x axis keep clear of its lowest part (below) or
    its highest; what is farther left lies beside the inset. Curves are percentages: the axis is
    drawn from 0 to 100 at most, whatever room there is beyond.
    """
    sign = -1 if below else 1
    bottom, top, right = np.inf, -np.inf, -np.inf
    for curve in curves:
        std = curve["std"].fillna(0)
        low, high = sign * curve["mean"] - std, sign * curve["mean"] + std
        x = ax.xaxis.get_transform().transform(curve.index.to_numpy(float))
        beside = np.maximum(x, x[0] + 0.3 * np.ptp(x))
        bottom, top = min(bottom, low.min()), max(top, high.max())
        right = max(right, np.interp(beside, x, high).max())
    pad = 0.05 * (top - bottom)
    bottom -= pad
    end = max(top + pad, bottom + (right - bottom) / (1 - share))
    limits = sorted((float(sign * bottom), float(sign * end)))
    ax.set_ylim(*limits)
    least, most = max(limits[0], 0), min(limits[1], 100)
    ax.set_yticks([tick for tick in ax.get_yticks() if least <= tick <= most])
    ax.spines["left"].set_bounds(least, most)


def epoch_axis(ax: Axes) -> None:
    """Whole epochs on the x axis."""
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))


def legend(fig: Figure, ax: Axes, place: Literal["upper", "lower"] = "upper", **more: Any) -> None:
    """Put the legend of `ax` outside the axes, above or below, where it can hide no data."""
    handles, labels = ax.get_legend_handles_labels()
    columns = more.pop("ncols", min(len(labels), 4))
    where: Any = f"outside {place} center"
    fig.legend(handles, labels, loc=where, ncols=columns, **more)


def layer_axis(ax: Axes, layers: Sequence[int], label: str = "layer") -> None:
    """Name the weight matrix between neuron layers l and l+1 "l-(l+1)" on the x axis."""
    ax.set_xticks(layers, [layer_name(layer) for layer in layers])
    ax.set_xlabel(label)


def layer_name(layer: int) -> str:
    """The paper's name of weight matrix `layer`, counted from 1: "1-2" for the first."""
    return f"{layer}-{layer + 1}"


def size_name(size: int) -> str:
    """A training-set size, short: "60k", "1297"."""
    return f"{size // 1000}k" if size % 1000 == 0 else f"{size}"


def size_axis(ax: Axes, sizes: Sequence[int]) -> None:
    """Give the x axis a logarithmic scale of T with a tick at each size.

    A label that would come within 8 % of the axis of its left neighbour is left out.
    """
    ax.set_xscale("log")
    labels, last = [], 0.0
    gap = (max(sizes) / min(sizes)) ** 0.08
    for size in sizes:
        clear = size >= last * gap
        labels.append(size_name(size) if clear else "")
        last = size if clear else last
    ax.set_xticks(sizes, labels)
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("number of training images $T$")


def save(fig: Figure, stem: Path, suffixes: Sequence[str]) -> list[Path]:
    """Write stem.pdf, stem.png (300 dpi) or both, the same bytes for the same figure.

    The figure's label, its caption, becomes the PDF's Subject and the PNG's Description, so that
    a picture says by itself what its error bars are.
    """
    caption = str(fig.get_label())
    metadata: dict[str, dict[str, Any]] = {
        ".pdf": {"Subject": caption, "CreationDate": None, "Creator": None, "Producer": None},
        ".png": {"Description": caption, "Software": None},
    }
    paths = [stem.with_suffix(suffix) for suffix in suffixes]
    for path in paths:
        with mpl.rc_context(RC), replacing(path) as file:
            fig.savefig(file, format=path.suffix[1:], metadata=metadata[path.suffix])
    return paths
