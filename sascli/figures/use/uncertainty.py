"""Does the entropy of the prediction tell what should be uncertain? AUROC by kind and way."""

from matplotlib.figure import Figure

from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables, over_seeds, rows, seeds
from sascli.figures.draw.ways import curves

TABLES = ("uncertainty",)
CAPTION = (
    "Area under the ROC curve of the entropy of the prediction: wrongly against rightly "
    "classified test images, and images of something else (shuffled: the pixels of each test "
    "image in random order) against the test images. 1: all of the kind have the greater entropy; "
    "0.5 (dashed): it tells nothing. Points: mean over seeds; {bars}."
)


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """A point for each kind and way, side by side."""
    table = rows(tables, "uncertainty")
    kinds = list(table["kind"].unique())
    fig = style.figure(2.4)
    ax = fig.subplots()
    drawn = list(curves(table))
    for number, (label, look, some) in enumerate(drawn):
        area = over_seeds(some, "auroc", "kind")[["mean", "std"]].reindex(kinds)
        shift = 0.12 * (number - (len(drawn) - 1) / 2)
        area.index = [place + shift for place in range(len(kinds))]
        style.bars(ax, area, look | {"linestyle": ""}, label, markerfacecolor="white")
    ax.axhline(0.5, color="0.5", linestyle="--", linewidth=0.8)
    ax.set_xticks(range(len(kinds)), kinds)
    ax.set_xlim(-0.5, len(kinds) - 0.5)
    ax.set_xlabel("what is told from right answers or test images")
    ax.set_ylabel("area under the ROC curve")
    style.legend(fig, ax, ncols=2)
    fig.set_label(CAPTION.format(bars=seeds(table)))
    return fig
