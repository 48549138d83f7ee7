"""Effective networks with weights drawn once, and drawn anew at every time step."""

from matplotlib.figure import Figure

from sascli import runs
from sascli.figures import style
from sascli.figures.rows import Reference, Tables, rows
from sascli.figures.temporal_accuracy import models

TABLES = ("redraw", "history")
CAPTION = (
    "Test accuracy (%) of effective networks of every seed, weights drawn once and kept (circles) "
    "or drawn anew at every time step (squares), beside the mean field after the last epoch "
    "(line). Above: {digits}; below: the multisensory task. Points: mean over {samples} networks; "
    "error bars: standard deviation over them; {count}."
)
WAYS = {"once": "drawn once", "step": "drawn at every step"}


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """A panel per model, seeds along x."""
    table = rows(tables, "redraw")
    fig = style.figure(3.4)
    axes = fig.subplots(2, 1, sharex=True)
    names = sorted(table["seed"].unique())
    for ax, (name, model) in zip(axes, models(reference), strict=True):
        history = rows(tables, "history", model=model, rule="gbp")
        last = runs.last_epochs(history).set_index("seed")
        for place, seed in enumerate(names):
            level = 100 * last["test_accuracy"].loc[seed]
            label = "mean field" if place == 0 else None
            ax.hlines(level, place - 0.3, place + 0.3, color="black", linewidth=0.8, label=label)
        for side, (way, label), look in zip((-0.1, 0.1), WAYS.items(), style.LOOKS, strict=False):
            own = rows(tables, "redraw", model=model, redraw=way).groupby("seed")["test_accuracy"]
            spread = 100 * own.agg(["mean", "std"]).loc[names].set_axis(range(len(names)))
            spread.index = spread.index + side
            style.bars(ax, spread, look | {"linestyle": ""}, label)
        ax.set_title(name)
        ax.set_ylabel("test accuracy (%)")
    axes[-1].set_xticks(range(len(names)), [f"{seed}" for seed in names])
    axes[-1].set_xlabel("seed")
    style.legend(fig, axes[0])
    count = f"{len(names)} seeds" if len(names) > 1 else "one seed: no spread over seeds"
    samples = table["sample"].nunique()
    fig.set_label(CAPTION.format(digits=reference["digits"], samples=samples, count=count))
    return fig
