"""A journal's width and letters, a palette that also works in grey, reproducible files."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure

from sascli.config import Figures
from sascli.runs import replacing

Look = dict[str, Any]
"""Keyword arguments of matplotlib: a curve's colour, marker, line and label."""

DEFAULT = Figures()
WIDTH = DEFAULT.width
"""The width in inches for which the functions of figures choose heights."""
SIZES = {
    **dict.fromkeys(
        ("font.size", "axes.labelsize", "axes.titlesize", "legend.title_fontsize"), 9.6
    ),
    **dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), 8.8),
    **dict.fromkeys(("xtick.major.size", "ytick.major.size", "lines.markersize"), 4.8),
    **dict.fromkeys(("xtick.minor.size", "ytick.minor.size"), 3.2),
    **dict.fromkeys(("xtick.minor.width", "ytick.minor.width", "patch.linewidth"), 0.8),
    **dict.fromkeys(("xtick.major.width", "ytick.major.width", "axes.linewidth"), 1.0),
    "lines.linewidth": 1.2,
}
"""Points: those of seaborn's context "paper", which takes half a second to import."""
COLOURED = ("axes.edgecolor", "axes.labelcolor", "text.color", "xtick.color", "ytick.color")
RC: dict[Any, Any] = {
    **dict.fromkeys(COLOURED, ".15"),  # as seaborn's style "ticks"
    "axes.axisbelow": True,
    "lines.solid_capstyle": "round",
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture on every machine
    "axes.spines.right": False,
    "axes.spines.top": False,
    "legend.frameon": False,
    "legend.columnspacing": 1.2,
    "patch.force_edgecolor": False,
    "pdf.fonttype": 42,  # text stays text
    "savefig.dpi": 300,
    "svg.hashsalt": "sas",  # the same bytes for the same figure
}


def styled(settings: Figures = DEFAULT) -> AbstractContextManager[None]:
    """A context in this style, which leaves matplotlib's settings as they were.

    Lines and symbols grow with the letters.
    """
    scale = settings.font_size / SIZES["font.size"]
    return mpl.rc_context(RC | {key: scale * size for key, size in SIZES.items()})


# Paul Tol's high-contrast scheme: distinct for every kind of colour vision, and as greys.
BLUE, RED, YELLOW, BLACK = "#004488", "#BB5566", "#DDAA33", "#000000"
LOOKS: tuple[Look, ...] = (
    {"color": BLUE, "marker": "o", "linestyle": "-"},
    {"color": RED, "marker": "s", "linestyle": "--"},
    {"color": YELLOW, "marker": "^", "linestyle": "-."},
    {"color": BLACK, "marker": "x", "linestyle": ":"},
)


def labelled(names: dict[str, str]) -> dict[str, Look]:
    """Looks with labels, in the order of the names."""
    pairs = zip(names.items(), LOOKS, strict=False)
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


def plain(x: float) -> str:
    """A number without needless zeros: 0, 0.5, −10."""
    return f"{x:g}".replace("-", "\N{MINUS SIGN}")


def power(x: float) -> str:
    """A number as a logarithmic axis writes it: 10⁻⁵, 3·10⁻⁴."""
    digits, _, exponent = f"{x:e}".partition("e")
    first = "" if float(digits) == 1 else rf"{float(digits):g}\cdot "
    return f"${first}10^{{{int(exponent)}}}$"


def distinct(number: int) -> Sequence[Look]:
    """Looks for that many curves: the palette, or shades where there are more."""
    return LOOKS[:number] if number <= len(LOOKS) else [*ordered(range(number)).values()]


def figure(width: float = WIDTH) -> Figure:
    """An empty figure of this width in inches; `panels` sets its height."""
    figure = Figure(figsize=(width, 1), layout="constrained")
    FigureCanvasAgg(figure)  # so that texts can be measured
    return figure


def panel(fig: Figure, height: float) -> Axes:
    """The panel of a figure that has one; the height is in inches."""
    return panels(fig, height, 1)[0]


def panels(fig: Figure, height: float, number: int, **more: Any) -> list[Axes]:
    """Panels above one another; `more` as for Figure.subplots."""
    fig.set_figheight(height)
    return list(fig.subplots(number, 1, squeeze=False, **more)[:, 0])


def legend(
    fig: Figure | SubFigure, ax: Axes, place: Literal["upper", "lower"] = "upper", **more: Any
) -> None:
    """Put the legend of `ax` outside the axes, above or below, where it hides no data.

    It has at most `ncols` columns (4 by default), fewer where they are wider than the figure.
    """
    for axes in fig.axes:
        if automatic := axes.get_legend():  # seaborn's
            automatic.remove()
    handles, labels = ax.get_legend_handles_labels()
    where: Any = f"outside {place} center"
    for columns in range(more.pop("ncols", min(len(labels), 4)), 0, -1):
        box = fig.legend(handles, labels, loc=where, ncols=columns, **more)
        if columns == 1 or box.get_window_extent().width <= fig.bbox.width:
            break
        box.remove()


def save(fig: Figure, stem: Path, settings: Figures = DEFAULT) -> list[Path]:
    """Write the figure as the settings say (PNGs with 300 dpi): the same bytes for the same one.

    The figure's label, its caption, becomes the PDF's Subject and the Description of the PNG and
    the SVG, so that the file itself explains its error bars.
    """
    caption = str(fig.get_label())
    metadata: dict[str, dict[str, Any]] = {
        ".pdf": {"Subject": caption, "CreationDate": None, "Creator": None, "Producer": None},
        ".png": {"Description": caption, "Software": None},
        ".svg": {"Description": caption, "Date": None, "Creator": None},
    }
    paths = [stem.with_suffix(suffix) for suffix in settings.suffixes]
    with styled(settings):  # ticks are made when they are drawn
        for path in paths:
            with replacing(path) as file:
                fig.savefig(file, format=path.suffix[1:], metadata=metadata[path.suffix])
    return paths
