"""Confusion matrix: which classes are taken for which."""

import matplotlib as mpl
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables, averaged, rows
from sascli.figures.draw.ways import NAMES, main_rule

TABLES = ("confusion",)
CAPTION = (
    "Confusion matrix of {rule}, {way}: share (%) of the test images of each class (row) that are "
    "predicted as each class (column); {seeds}. Empty: below 0.05 %; the shade is a power of the "
    "share so that errors are seen."
)
READABLE = 12  # classes up to which a share can be written into its cell


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """Shares of each row, of the sampled ensemble."""
    rule = main_rule(tables["confusion"])
    table = rows(tables, "confusion", rule=rule, way="ensemble")
    names = list(table["class"].unique())
    counts = table.pivot_table("count", "class", "predicted", "mean").loc[names, names]
    share = 100 * counts.div(counts.sum(axis=1), axis=0).to_numpy()
    fig = style.figure(2.7)
    ax = fig.subplots()
    shades = mpl.colormaps["Blues"]
    image = ax.imshow(share, cmap=shades, norm=PowerNorm(0.4, 0, 100))
    if len(names) <= READABLE:
        for (row, column), value in ((at, share[at]) for at in zip(*share.nonzero(), strict=True)):
            if value >= 0.05:
                dark = value > 20
                text = f"{value:.0f}" if value >= 9.95 else f"{value:.1f}"
                ax.text(
                    column, row, text, ha="center", va="center", fontsize=5,
                    color="white" if dark else "black",
                )  # fmt: skip
    ax.set_xticks(range(len(names)), names)
    ax.set_yticks(range(len(names)), names)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("class")
    fig.colorbar(image, label="share of the class (%)", shrink=0.8, ticks=[0, 1, 10, 100])
    label = style.RULES[rule][0] if rule in style.RULES else rule
    fig.set_label(CAPTION.format(rule=label, way=NAMES["ensemble"], seeds=averaged(table)))
    return fig
