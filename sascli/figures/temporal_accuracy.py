"""Test accuracy over epochs of images in sequence and of the multisensory task."""

from matplotlib.figure import Figure

from sascli.figures import style
from sascli.figures.rows import Reference, Tables, over_seeds, rows, seeds

TABLES = ("history",)
CAPTION = (
    "Test accuracy (%, mean-field evaluation) over training by gBP and BP: above images in "
    "sequence ({digits}), below the right choices in the multisensory task, over all modalities "
    "and frequencies. Lines: mean over seeds; {band}."
)


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """A panel per model, a line per rule."""
    table = rows(tables, "history")
    fig = style.figure(3.8)
    axes = fig.subplots(2, 1)
    for ax, (name, model) in zip(axes, models(reference), strict=True):
        for rule, (label, look) in style.RULES.items():
            own = rows(tables, "history", model=model, rule=rule)
            style.band(ax, 100 * over_seeds(own, "test_accuracy", "epoch"), look, label)
        style.epoch_axis(ax)
        ax.set_title(name)
        ax.set_ylabel("test accuracy (%)")
    axes[-1].set_xlabel("epoch")
    style.legend(fig, axes[0])
    fig.set_label(CAPTION.format(digits=reference["digits"], band=seeds(table, "band")))
    return fig


def models(reference: Reference) -> list[tuple[str, str]]:
    """What the two models are called in pictures, and in tables."""
    return [("digits in sequence", str(reference["digits"])),
            ("multisensory integration", "multisensory")]  # fmt: skip
