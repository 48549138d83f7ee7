"""Tasks in sequence: the accuracy on every task after each of them, by method."""

from matplotlib.figure import Figure

from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables, averaged, rows
from sascli.figures.use.continual import METHODS, PROTECTED, PROTOCOLS

TABLES = ("continual",)
CAPTION = (
    "Tasks in sequence, L = {depth}, T = {train_size}: test accuracy (%, mean-field evaluation) "
    "on every task (from left to right) after each of them was learned (downwards); {seeds}. "
    "{protocols}. {protected}."
)


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """A row of matrices for every protocol, a matrix for every method."""
    table = rows(tables, "continual")
    known = [name for name in PROTOCOLS if (table["protocol"] == name).any()]
    methods = [name for name in METHODS if (table["method"] == name).any()]
    fig = style.figure(0.55 + 0.75 * len(known))
    grid = fig.subplots(len(known), len(methods), squeeze=False, sharex="row", sharey="row")
    for row, protocol in zip(grid, known, strict=True):
        own = rows(tables, "continual", protocol=protocol)
        mean = 100 * own.groupby(["method", "after_task", "task"])["test_accuracy"].mean()
        for ax, method in zip(row, methods, strict=True):
            square = mean.loc[method].unstack("task")
            n = len(square)
            extent = (0.5, n + 0.5, n + 0.5, 0.5)
            image = ax.imshow(square, cmap="cividis", vmin=mean.min(), vmax=100, extent=extent)
            ax.set_xticks([1, n])
            ax.set_yticks([1, n])
            ax.spines[:].set_visible(False)
        row[0].set_ylabel(f"{protocol}\nafter task")
        fig.colorbar(image, ax=list(row), label="accuracy (%)", aspect=9)
    for first, last, method in zip(grid[0], grid[-1], methods, strict=True):
        first.set_title(METHODS[method][0].replace(", ", "\n").replace("+ ", "\n"))
        last.set_xlabel("task")
    told = "; ".join(PROTOCOLS[name] for name in known)
    fig.set_label(
        CAPTION.format(**reference, protocols=told, protected=PROTECTED, seeds=averaged(table))
    )
    return fig
