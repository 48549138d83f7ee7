"""COPI: accuracy and loss over the epochs at several gains, beside BP with Adam at its rates."""

from matplotlib.figure import Figure

from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables, over_seeds, rows, seeds

TABLES = ("gains",)
CAPTION = (
    "COPI-BP at several gains, its learning rate the published one throughout, beside BP with "
    "Adam at several learning rates η: test accuracy (%, top) and training loss, the mean of "
    "|y - t|² / 2 (bottom), over the epochs; networks of L = {depth} layers, T = {train_size}. "
    "Networks that diverged are left out. Lines: mean over seeds; {band}."
)
RULES = {"copi": ("COPI, gain {gain:g}", style.BLUE), "bp_decor": ("Adam, η = {lr:g}", style.RED)}
"""Label and colour of the networks of either rule."""
LINES = ("-", "--", ":", "-.")


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """A curve per gain and per rate in either panel, with its band."""
    table = rows(tables, "gains")
    fig = style.figure(4.0)
    above, below = fig.subplots(2, 1, sharex=True)
    for rule, (label, colour) in RULES.items():
        networks = table[table["rule"] == rule].groupby(["gain", "lr"])
        for number, ((gain, lr), own) in enumerate(networks):
            look = {"color": colour, "linestyle": LINES[number % len(LINES)]}
            name = label.format(gain=gain, lr=lr)
            style.band(above, 100 * over_seeds(own, "test_accuracy", "epoch"), look, name)
            style.band(below, over_seeds(own, "train_loss", "epoch"), look, name)
    above.set_ylabel("test accuracy (%)")
    below.set_ylabel("training loss")
    below.set_yscale("log")
    style.epoch_axis(below)
    below.set_xlabel("epoch")
    style.legend(fig, above, ncols=2)
    about = {key: reference[key] for key in ("depth", "train_size")}
    fig.set_label(CAPTION.format(**about, band=seeds(table, "band")))
    return fig
