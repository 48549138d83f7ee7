"""Reliability diagram: accuracy against confidence."""

from matplotlib.figure import Figure

from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables, over_seeds, rows, seeds
from sascli.figures.draw.ways import curves

TABLES = ("reliability", "evaluation")
CAPTION = (
    "Reliability diagram. Accuracy (%) of the test images in each bin of confidence, the "
    "probability of the predicted class, against their mean confidence (%); on the dashed line a "
    "prediction of 80 % is right in 80 % of the cases. Points: mean over seeds, bins of fewer "
    "than {least} images left out; {bars}. Expected calibration error: {errors}."
)
LEAST = 20  # images without which the accuracy of a bin is noise


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """A curve for each way to ask the network, and for BP where there is one."""
    table, whole = rows(tables, "reliability"), rows(tables, "evaluation")
    fig = style.figure(2.9)
    ax = fig.subplots()
    ax.plot([0, 100], [0, 100], color="0.5", linestyle="--", linewidth=0.8)
    for label, look, own in curves(table):
        some = own[own["count"] >= LEAST]
        confidence = 100 * over_seeds(some, "confidence", "bin_left")["mean"]
        accuracy = 100 * over_seeds(some, "accuracy", "bin_left")[["mean", "std"]]
        style.bars(ax, accuracy.set_index(confidence), look, label, markerfacecolor="white")
    errors = [
        f"{label} {100 * some['calibration_error'].mean():.2f} %"
        for label, _, some in curves(whole)
    ]
    ax.set_ylim(-2, 102)
    ax.set_xlabel("confidence (%)")
    ax.set_ylabel("accuracy (%)")
    style.legend(fig, ax, ncols=2)
    fig.set_label(CAPTION.format(bars=seeds(table), least=LEAST, errors=", ".join(errors)))
    return fig
