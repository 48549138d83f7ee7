"""One column's width, a palette that also works in grey, and pictures saved reproducibly."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sascli.runs import replacing

Look = dict[str, Any]
"""Keyword arguments of matplotlib: a curve's colour, marker, line and label."""

WIDTH = 3.4  # inches, one column
RC: dict[Any, Any] = {
    **dict.fromkeys(("font.size", "axes.labelsize", "axes.titlesize"), 7.68),
    **dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), 7.04),
    **dict.fromkeys(("xtick.major.size", "ytick.major.size", "lines.markersize"), 3.84),
    **dict.fromkeys(("xtick.minor.size", "ytick.minor.size"), 2.56),
    **dict.fromkeys(("xtick.minor.width", "ytick.minor.width", "patch.linewidth"), 0.64),
    **dict.fromkeys(("xtick.major.width", "ytick.major.width", "axes.linewidth"), 0.8),
    **dict.fromkeys(("axes.edgecolor", "axes.labelcolor", "text.color"), ".15"),
    **dict.fromkeys(("xtick.color", "ytick.color"), ".15"),
    "axes.axisbelow": True,
    "lines.linewidth": 0.96,
    "lines.solid_capstyle": "round",
    "legend.title_fontsize": 7.68,
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture on every machine
    "axes.spines.right": False,
    "axes.spines.top": False,
    "legend.frameon": False,
    "legend.columnspacing": 1.2,
    "patch.force_edgecolor": False,
    "pdf.fonttype": 42,  # text stays text
    "savefig.dpi": 300,
}
styled = mpl.rc_context(RC)
"""Decorator: run a function in this style and leave matplotlib's settings as they were."""

# Paul Tol's high-contrast scheme: distinct for every kind of colour vision, and as greys.
BLUE, RED, YELLOW, BLACK = "#004488", "#BB5566", "#DDAA33", "#000000"
LOOKS: tuple[Look, ...] = (
    {"color": BLUE, "marker": "o", "linestyle": "-"},
    {"color": RED, "marker": "s", "linestyle": "--"},
    {"color": YELLOW, "marker": "^", "linestyle": "-."},
    {"color": BLACK, "marker": "x", "linestyle": ":"},
)


def labelled(names: dict[str, str], looks: Iterable[Look] = LOOKS) -> dict[str, Look]:
    """Looks with labels, in the order of the names."""
    pairs = zip(names.items(), looks, strict=False)
    return {value: look | {"label": label} for (value, label), look in pairs}


def ordered(values: Sequence[int], name: Callable[[int], str] = str) -> dict[int, Look]:
    """Looks for values in an order (depth, T, layer): dark to light, markers in turn."""
    shades = mpl.colormaps["cividis"]
    return {
        value: {
            "color": shades(0.85 * i / max(len(values) - 1, 1)),
            "marker": "os^Dvp*"[i % 7],
            "linestyle": ("-", "--", "-.", ":")[i % 4],
            "label": name(value),
        }
        for i, value in enumerate(values)
    }


RULES = labelled({"gbp": "gBP", "bp": "BP"})


def rule_name(rule: str) -> str:
    """The name of a rule in pictures."""
    return str(RULES[rule]["label"]) if rule in RULES else rule


def figure() -> Figure:
    """An empty figure of one column's width; `panels` sets its height."""
    return Figure(figsize=(WIDTH, 1), layout="constrained")


def panel(fig: Figure, height: float) -> Axes:
    """The panel of a figure that has one; the height is in inches."""
    return panels(fig, height, 1)[0]


def panels(fig: Figure, height: float, number: int, **more: Any) -> list[Axes]:
    """Panels above one another; `more` as for Figure.subplots."""
    fig.set_figheight(height)
    return list(fig.subplots(number, 1, squeeze=False, **more)[:, 0])


def legend(fig: Figure, ax: Axes, place: Literal["upper", "lower"] = "upper", **more: Any) -> None:
    """Put the legend of `ax` outside the axes, above or below, where it hides no data."""
    for axes in fig.axes:
        if automatic := axes.get_legend():  # seaborn's
            automatic.remove()
    handles, labels = ax.get_legend_handles_labels()
    columns = more.pop("ncols", min(len(labels), 4))
    where: Any = f"outside {place} center"
    fig.legend(handles, labels, loc=where, ncols=columns, **more)


@styled
def save(fig: Figure, stem: Path, suffixes: Sequence[str]) -> list[Path]:
    """Write stem.pdf, stem.png (300 dpi) or both, the same bytes for the same figure.

    The figure's label, its caption, becomes the PDF's Subject and the PNG's Description, so that
    the file itself explains its error bars.
    """
    caption = str(fig.get_label())
    metadata: dict[str, dict[str, Any]] = {
        ".pdf": {"Subject": caption, "CreationDate": None, "Creator": None, "Producer": None},
        ".png": {"Description": caption, "Software": None},
    }
    paths = [stem.with_suffix(suffix) for suffix in suffixes]
    for path in paths:
        with replacing(path) as file:
            fig.savefig(file, format=path.suffix[1:], metadata=metadata[path.suffix])
    return paths
