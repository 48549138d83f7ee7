"""Effective networks with weights drawn once, and drawn anew at every time step."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sascli import runs
from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables, rows
from sascli.figures.temporal.temporal_accuracy import models

TABLES = ("redraw", "history")
CAPTION = (
    "Test accuracy (%) of effective networks of every seed, weights drawn once and kept (circles) "
    "or drawn at every time step (squares), beside the mean field (line). Above: {digits}; below: "
    "the multisensory task{dt}. Points: mean over {samples} networks; error bars: standard "
    "deviation over them; {count}."
)
WAYS = {"once": "drawn once", "step": "drawn at every step"}


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """A panel per model, its seeds along x."""
    table = rows(tables, "redraw")
    fig = style.figure(3.4)
    axes, counts = fig.subplots(2, 1), []
    for ax, (name, model) in zip(axes, models(reference), strict=True):
        of_model = rows(tables, "redraw", model=model)
        names = sorted(of_model["seed"].unique())
        counts.append(len(names))
        for place, level in enumerate(field(tables, of_model, model).loc[names]):
            label = "mean field" if place == 0 else None
            ax.hlines(level, place - 0.3, place + 0.3, color="black", linewidth=0.8, label=label)
        for side, (way, label), look in zip((-0.1, 0.1), WAYS.items(), style.LOOKS, strict=False):
            accuracy = of_model[of_model["redraw"] == way].groupby("seed")["test_accuracy"]
            spread = 100 * accuracy.agg(["mean", "std"]).loc[names].set_axis(range(len(names)))
            spread.index = spread.index + side
            style.bars(ax, spread, look | {"linestyle": ""}, label)
        ax.set_title(name)
        ax.set_ylabel("test accuracy (%)")
        ax.set_xticks(range(len(names)), [f"{seed}" for seed in names])
    axes[-1].set_xlabel("seed")
    style.legend(fig, axes[0])
    count = " and ".join(dict.fromkeys(map(str, counts)))
    count = f"{count} seeds" if max(counts) > 1 else "one seed: no spread over seeds"
    dt = table["dt"].max() if "dt" in table else np.nan
    step = "" if np.isnan(dt) else f" at a time step of {dt:g} ms"
    samples = table["sample"].nunique()
    fig.set_label(
        CAPTION.format(digits=reference["digits"], dt=step, samples=samples, count=count)
    )
    return fig


def field(tables: Tables, redraw: pd.DataFrame, model: str) -> "pd.Series[float]":
    """Accuracy (%) of the mean field by seed, on the same test where the table has it."""
    if "field_accuracy" in redraw:
        return 100 * redraw.groupby("seed")["field_accuracy"].mean()
    history = rows(tables, "history", model=model, rule="gbp")
    return pd.Series(100 * runs.last_epochs(history).set_index("seed")["test_accuracy"])
