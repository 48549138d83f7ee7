"""Tasks in sequence: accuracy, forgetting, and the accuracy on every task by method."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sascli.figures.draw import style
from sascli.figures.draw.curves import curves
from sascli.figures.draw.picture import Values, picture
from sascli.figures.draw.rows import Reference, Tables, averaged, rows, seeds

PROTOCOLS = {
    "split": "split: pairs of classes, an output layer for each",
    "permuted": "permuted: all classes, the pixels permuted, one output layer",
}
PROTECTION = (
    "Frozen: connections important to an earlier task keep their π, m and Ξ; slowed: the higher a "
    "connection's signal-to-noise ratio |μ|/σ, the shorter its steps."
)
METHODS: dict[str, style.Look] = {
    "bp": {"label": "BP", "color": style.RED, "marker": "s", "linestyle": "--"},
    "ewc": {"label": "BP + EWC", "color": style.YELLOW, "marker": "^", "linestyle": "-."},
    "gbp": {"label": "gBP", "color": style.BLUE, "marker": "o", "linestyle": "--"},
    "vip": {"label": "gBP, frozen", "color": style.BLACK, "marker": "x", "linestyle": ":"},
    "certainty": {"label": "gBP, slowed", "color": "#999999", "marker": "D", "linestyle": "-"},
}
"""In the order in which they are drawn."""


@picture(
    "continual continual_summary",
    caption="Tasks in sequence, L = {depth}, T = {train_size}. Left: test accuracy (%, mean "
    "field), averaged over the tasks learned so far, against their number. Right: forgetting, in "
    "percentage points: the fall of the accuracy on an earlier task from its best to the end of "
    f"the sequence. {{protocols}}. {PROTECTION} Points: mean over seeds; {{bars}}.",
)
def continual(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A row of two axes for every protocol in the tables."""
    table = rows(tables, "continual")
    protocols = [name for name in PROTOCOLS if (table["protocol"] == name).any()]
    fig.set_figheight(0.4 + 1.8 * len(protocols))
    grid = fig.subplots(len(protocols), 2, squeeze=False, width_ratios=(1.6, 1))
    for (left, right), protocol in zip(grid, protocols, strict=True):
        part = table[table["protocol"] == protocol]
        curves(left, part, "after_task", "test_accuracy", "method", METHODS, scale=100)
        left.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        left.set_ylabel("average accuracy (%)")
        left.set_title(protocol, loc="left")
        _forgetting(right, tables, protocol)
    grid[-1, 0].set_xlabel("tasks learned")
    grid[-1, 1].set_xlabel("forgetting (points)")
    style.legend(fig, grid[0, 0], ncols=3)
    return {"protocols": "; ".join(PROTOCOLS[name] for name in protocols), "bars": seeds(table)}


def _forgetting(ax: Axes, tables: Tables, protocol: str) -> None:
    """Forgetting after the last task, a line per method."""
    table = rows(tables, "continual_summary", protocol=protocol)
    spread = 100 * table.groupby("method")["forgetting"].agg(["mean", "std"])
    methods = [method for method in METHODS if method in spread.index]
    for place, method in enumerate(methods):
        look = METHODS[method] | {"linestyle": "none", "mfc": "white", "capsize": 2}
        mean, std = spread.loc[method].to_numpy(float)
        ax.errorbar(mean, place, xerr=std, **look)
    ax.set(yticks=[], ylim=(len(methods) - 0.5, -0.5))
    ax.axvline(0, color=style.BLACK, linewidth=0.5)


@picture(
    "continual",
    caption="Tasks in sequence, L = {depth}, T = {train_size}: test accuracy (%, mean field) on "
    "every task (from left to right) after each of them was learned (downwards); {seeds}. "
    f"{{protocols}}. {PROTECTION}",
)
def continual_matrix(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A row of matrices for every protocol, a matrix for every method."""
    import seaborn as sns  # takes half a second

    table = rows(tables, "continual")
    protocols = [name for name in PROTOCOLS if (table["protocol"] == name).any()]
    methods = [name for name in METHODS if (table["method"] == name).any()]
    fig.set_figheight(0.55 + 0.75 * len(protocols))
    grid = fig.subplots(len(protocols), len(methods), squeeze=False, sharex="row", sharey="row")
    for row, protocol in zip(grid, protocols, strict=True):
        part = table[table["protocol"] == protocol]
        mean = 100 * part.groupby(["method", "after_task", "task"])["test_accuracy"].mean()
        for ax, method in zip(row, methods, strict=True):
            square = mean.loc[method].unstack("task")
            sns.heatmap(
                square, cmap="cividis", vmin=mean.min(), vmax=100, square=True, ax=ax, cbar=False
            )
            ends = [1, len(square)]
            ax.set(xlabel="", ylabel="")
            ax.set_xticks([end - 0.5 for end in ends], ends)
            ax.set_yticks([end - 0.5 for end in ends], ends, rotation=0)
        row[0].set_ylabel(f"{protocol}\nafter task")
        fig.colorbar(row[-1].collections[0], ax=list(row), label="accuracy (%)", aspect=9)
    for first, last, method in zip(grid[0], grid[-1], methods, strict=True):
        first.set_title(METHODS[method]["label"].replace(", ", "\n").replace("+ ", "+\n"))
        last.set_xlabel("task")
    texts = "; ".join(PROTOCOLS[name] for name in protocols)
    return {"protocols": texts, "seeds": averaged(table)}
