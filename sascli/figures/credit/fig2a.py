"""Fig. 2a: test accuracy over epochs, gBP and BP."""

from matplotlib.figure import Figure

from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables, carried, over_seeds, rows, seeds

TABLES = ("history",)
CAPTION = (
    "Fig. 2(a). Test accuracy (%, mean-field evaluation) over training with gBP and with BP, "
    "L = {depth}, T = {train_size}. Lines: mean over seeds; {band}. Inset: the second half."
)


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """Mean accuracy of each rule with a band of one standard deviation over seeds."""
    point = {"depth": reference["depth"], "train_size": reference["train_size"]}
    fig = style.figure(2.4)
    ax = fig.subplots()
    inset = ax.inset_axes((0.44, 0.16, 0.55, 0.5))
    curves = []
    for rule, (label, look) in style.RULES.items():
        history = rows(tables, "history", rule=rule, **point)
        accuracy = 100 * over_seeds(carried(history), "test_accuracy", "epoch")[["mean", "std"]]
        late = accuracy[accuracy.index >= accuracy.index.max() / 2]
        for axes, part in (ax, accuracy), (inset, late):
            style.band(axes, part, look, label)
            style.epoch_axis(axes)
        curves.append(accuracy)
    style.make_room(ax, curves, 0.7, below=True)
    ax.set_xlabel("epoch")
    ax.set_ylabel("test accuracy (%)")
    style.legend(fig, ax)
    fig.set_label(CAPTION.format(**point, band=seeds(history, "band")))
    return fig
