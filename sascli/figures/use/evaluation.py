"""Calibration, uncertainty and confusion of the prediction modes."""

import pandas as pd
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from sascli.figures.draw import style
from sascli.figures.draw.curves import curve, points
from sascli.figures.draw.modes import NAMES, by_mode, main_rule
from sascli.figures.draw.picture import Values, picture
from sascli.figures.draw.rows import Reference, Tables, averaged, rows, seeds

LEAST = 20  # the accuracy of a bin of fewer images is noise


@picture(
    "reliability evaluation",
    one_rate=True,
    caption="Reliability diagram. Accuracy (%) of the test images in each bin of confidence, the "
    "probability of the predicted class, against their mean confidence (%); on the dashed line "
    "80 % of the predictions of probability 80 % are correct. Points: mean over the seeds "
    "with at least {least} images in the bin; {bars}. Expected calibration error: {errors}.",
)
def reliability(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A curve for each prediction mode, and for BP where there is one."""
    table = rows(tables, "reliability")
    ax = style.panel(fig, 2.9)
    for look, part in by_mode(table[table["count"] >= LEAST]):
        confidence = 100 * part.groupby("bin_left")["confidence"].transform("mean")
        curve(ax, part.assign(mean=confidence), "mean", "accuracy", look, scale=100)
    ideal: style.Look = {
        "color": "0.5",
        "linestyle": "--",
        "linewidth": 0.8,
        "label": "calibrated",
    }
    ax.plot([0, 100], [0, 100], **ideal)
    errors = ", ".join(
        f"{look['label']} {100 * part['calibration_error'].mean():.2f} %"
        for look, part in by_mode(rows(tables, "evaluation"))
    )
    ax.set(ylim=(-2, 102), xlabel="confidence (%)", ylabel="accuracy (%)")
    style.legend(fig, ax, ncols=2)
    return {"bars": seeds(table), "least": LEAST, "errors": errors}


IMAGES = {"wrong": "wrongly classified", "shuffled": "pixels shuffled"}
"""What the images of a kind are; others are of the data set of their name."""


@picture(
    "uncertainty",
    one_rate=True,
    caption="Area under the ROC curve of the entropy of the prediction: wrongly against "
    "correctly classified test images, and other images (pixels shuffled: those of each test "
    "image in random order) against the test images. 1: all images of the kind have the "
    "greater entropy; 0.5 (dashed): no better than chance. Points: mean over seeds; {bars}.",
)
def uncertainty(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A point for each kind of image and prediction mode, side by side."""
    table = rows(tables, "uncertainty")
    modes = [(look, part.assign(mode=look["label"])) for look, part in by_mode(table)]
    ax = style.panel(fig, 2.4)
    parts = pd.concat(part for _, part in modes)
    parts["kind"] = parts["kind"].map(lambda kind: IMAGES.get(kind, kind))
    points(ax, parts, "kind", "auroc", "mode", [look for look, _ in modes], 0.36)
    ax.axhline(0.5, color="0.5", linestyle="--", linewidth=0.8, label="chance")
    ax.set(xlabel="images to detect", ylabel="area under the ROC curve")
    style.legend(fig, ax, ncols=2)
    return {"bars": seeds(table)}


READABLE = 12  # classes up to which a fraction can be written into its cell


@picture(
    "confusion",
    one_rate=True,
    caption="Confusion matrix of {rule}, {mode}: fraction (%) of the test images of each class "
    "(row) that are predicted as each class (column); {seeds}. Empty: below 0.05 %; the shade is "
    "a power of the fraction so that errors are visible.",
)
def confusion(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """Fractions of each row, of the sampled networks together."""
    import seaborn as sns  # takes half a second

    rule = main_rule(tables["confusion"])
    table = rows(tables, "confusion", rule=rule, way="ensemble")
    names = list(table["class"].unique())
    counts = table.pivot_table("count", "class", "predicted", "mean").loc[names, names]
    percent = 100 * counts.div(counts.sum(axis=1), axis=0)
    texts = percent.map(lambda x: f"{x:.{int(x < 9.95)}f}" if x >= 0.05 else "")
    ax = style.panel(fig, 2.7)
    sns.heatmap(
        percent, norm=PowerNorm(0.4, 0, 100), cmap="Blues", square=True, ax=ax,
        annot=texts if len(names) <= READABLE else False, fmt="",
        annot_kws={"fontsize": "x-small"},
        cbar_kws={"label": "fraction of the class (%)", "shrink": 0.8, "ticks": [0, 1, 10, 100]},
        xticklabels=True, yticklabels=True,
    )  # fmt: skip
    ax.set(xlabel="predicted class", ylabel="class")
    about = {"rule": style.rule_name(rule), "mode": NAMES["ensemble"]}
    return about | {"seeds": averaged(table)}
