"""Test accuracy over epochs of images in sequence and of the multisensory task."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables, carried, over_seeds, rows, seeds, stopping

TABLES = ("history",)
CAPTION = (
    "Test accuracy (%, mean-field evaluation) over training by gBP and BP: above images in "
    "sequence ({digits}{pixels}), below the right choices in the multisensory task, over all "
    "modalities and frequencies.{stops} Lines: mean over seeds; {band}."
)
PIXELS = style.LOOKS[2]


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """A panel per model, a line per rule; pixel by pixel beside rows, where that was trained."""
    table = rows(tables, "history")
    fig = style.figure(3.8)
    axes = fig.subplots(2, 1)
    for ax, (name, model) in zip(axes, models(reference), strict=True):
        for rule, (label, look) in style.RULES.items():
            curve(ax, rows(tables, "history", model=model, rule=rule), look, label)
        style.epoch_axis(ax)
        ax.set_title(name)
        ax.set_ylabel("test accuracy (%)")
    pixels = reference.get("pixels")
    if pixels is not None:
        history = rows(tables, "history", model=pixels, rule="gbp")
        curve(axes[0], history, PIXELS, "gBP, pixel by pixel")
    axes[-1].set_xlabel("epoch")
    style.legend(fig, axes[0], ncols=3)
    task = rows(tables, "history", model="multisensory")
    band = seeds(table, "band")
    if table.groupby("model")["seed"].nunique().nunique() > 1:
        counts = ", ".join(
            f"{model} {part['seed'].nunique()}"
            for model, part in table.groupby("model", sort=False)
        )
        band = f"band: standard deviation over seeds ({counts})"
    named = f"; pixel by pixel: {pixels}" if pixels is not None else ""
    fig.set_label(
        CAPTION.format(digits=reference["digits"], pixels=named, stops=stopping(task), band=band)
    )
    return fig


def curve(ax: Axes, history: pd.DataFrame, look: dict[str, Any], label: str) -> None:
    """Accuracy over the epochs of one model and rule."""
    accuracy = over_seeds(carried(history), "test_accuracy", "epoch")
    style.band(ax, 100 * accuracy[["mean", "std"]], look, label)


def models(reference: Reference) -> list[tuple[str, str]]:
    """What the two models are called in pictures, and in tables."""
    return [("digits in sequence", str(reference["digits"])),
            ("multisensory integration", "multisensory")]  # fmt: skip
