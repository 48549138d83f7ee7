"""Tasks in sequence: average accuracy over the tasks so far, and forgetting at the end."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables, rows, seeds

TABLES = ("continual", "continual_summary")
CAPTION = (
    "Tasks in sequence, L = {depth}, T = {train_size}. Left: test accuracy (%, mean-field "
    "evaluation), averaged over the tasks learned so far, against their number. Right: "
    "forgetting, in percentage points: by how much the accuracy on an earlier task has fallen "
    "from its best at the end of the sequence. {protocols}. {protected}. "
    "Points: mean over seeds; {bars}."
)
PROTOCOLS = {
    "split": "split: pairs of classes, an output layer for each",
    "permuted": "permuted: all classes, the pixels permuted, one output layer",
}
PROTECTED = (
    "Frozen: connections important to an earlier task keep their π, m and Ξ; slowed: the surer a "
    "connection was, the shorter its steps"
)
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "bp": ("BP", {"color": style.RED, "marker": "s", "linestyle": "--"}),
    "ewc": ("BP + EWC", {"color": style.YELLOW, "marker": "^", "linestyle": "-."}),
    "gbp": ("gBP", {"color": style.BLUE, "marker": "o", "linestyle": "--"}),
    "vip": ("gBP, frozen", {"color": style.BLACK, "marker": "x", "linestyle": ":"}),
    "certainty": ("gBP, slowed", {"color": "#999999", "marker": "D", "linestyle": "-"}),
}
"""By the order in which they are drawn."""


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """A row of two axes for every protocol in the tables."""
    table = rows(tables, "continual")
    known = [name for name in PROTOCOLS if (table["protocol"] == name).any()]
    fig = style.figure(0.4 + 1.8 * len(known))
    grid = fig.subplots(len(known), 2, squeeze=False, width_ratios=(1.6, 1))
    for (left, right), protocol in zip(grid, known, strict=True):
        _accuracy(left, tables, protocol)
        _forgetting(right, tables, protocol)
        left.set_title(protocol, loc="left")
    grid[-1, 0].set_xlabel("tasks learned")
    grid[-1, 1].set_xlabel("forgetting (points)")
    style.legend(fig, grid[0, 0], ncols=3)
    told = "; ".join(PROTOCOLS[name] for name in known)
    fig.set_label(
        CAPTION.format(**reference, protocols=told, protected=PROTECTED, bars=seeds(table))
    )
    return fig


def _accuracy(ax: Axes, tables: Tables, protocol: str) -> None:
    """Average accuracy against the number of tasks, a curve per method."""
    table = rows(tables, "continual", protocol=protocol)
    for method, (label, look) in METHODS.items():
        own = table[table["method"] == method]
        if len(own):
            average = 100 * own.groupby(["after_task", "seed"])["test_accuracy"].mean()
            spread = average.groupby(level="after_task").agg(["mean", "std"])
            style.bars(ax, spread, look, label, markerfacecolor="white")
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.set_ylabel("average accuracy (%)")


def _forgetting(ax: Axes, tables: Tables, protocol: str) -> None:
    """Forgetting after the last task, a line per method."""
    table = rows(tables, "continual_summary", protocol=protocol)
    spread = 100 * table.groupby("method")["forgetting"].agg(["mean", "std"])
    shown = [method for method in METHODS if method in spread.index]
    for place, method in enumerate(shown):
        look = METHODS[method][1] | {"linestyle": "none"}
        mean, std = spread.loc[method].to_numpy(float)
        ax.errorbar(mean, place, xerr=std, markerfacecolor="white", **look)
    ax.set_yticks([])
    ax.set_ylim(len(shown) - 0.5, -0.5)
    ax.axvline(0, color=style.BLACK, linewidth=0.5)
