"""Entropy per connection over training, by layer."""

from matplotlib.figure import Figure

from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables, plural, rows
from sascli.figures.temporal.temporal_accuracy import models

TABLES = ("entropy_epochs",)
CAPTION = (
    "Mean entropy per connection (nats, the paper's estimator) over training by gBP, from before "
    "the first epoch to each network's last. Above: {digits}; below: the recurrent network of the "
    "multisensory task, whose input connections have no entropy. A thin line per network, "
    "{seeds}; no error bars."
)
LAYERS = {1: "in", 2: "rec", 3: "out"}


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """A panel per model, a colour per layer."""
    fig = style.figure(3.8)
    axes, counts = fig.subplots(2, 1), []
    for ax, (name, model) in zip(axes, models(reference), strict=True):
        table = rows(tables, "entropy_epochs", model=model, estimator="paper")
        counts.append(plural(table["seed"].nunique()))
        for (layer, label), look in zip(LAYERS.items(), style.LOOKS, strict=False):
            paths = table[table["layer"] == layer].groupby("seed")
            for number, (_, path) in enumerate(paths):
                ax.plot(
                    path["epoch"], path["mean"], color=look["color"], linestyle=look["linestyle"],
                    linewidth=0.7, label=None if number else label,
                )  # fmt: skip
        style.epoch_axis(ax)
        ax.set_title(name)
        ax.set_ylabel("entropy (nats)")
    axes[-1].set_xlabel("epoch")
    style.legend(fig, axes[0])
    count = ", ".join(dict.fromkeys(counts))
    fig.set_label(CAPTION.format(digits=reference["digits"], seeds=count))
    return fig
