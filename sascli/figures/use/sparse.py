"""What a sparse network costs against the dense one: bytes, time, neurons."""

from matplotlib.figure import Figure

from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables, over_seeds, rows, seeds
from sascli.figures.draw.ways import main_rule
from sascli.figures.use.pruning import WORDS, level_axis

TABLES = ("pruning",)
CAPTION = (
    "Cost (% of the dense network's) of the sparse networks of {rule} pruned by {criterion}, "
    "against the fraction (%) of connections that stays: bytes of the file (CSR, 32-bit values), "
    "time to classify the test images on one core, hidden neurons that still have an input and "
    "an output. Points: mean over seeds; {bars}."
)
COSTS = {"bytes": "bytes on disk", "seconds": "time", "n_neurons": "hidden neurons"}


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """A curve for each cost."""
    main = main_rule(tables["pruning"])
    table = rows(tables, "pruning", rule=main, epochs=0)
    dense = rows({"own": table}, "own", format="dense").set_index("replica")
    names = list(table["criterion"].unique())
    criterion = next(name for name in ("snr", *WORDS, *names) if name in names)
    some = rows({"own": table}, "own", criterion=criterion)
    fig = style.figure(2.4)
    ax = fig.subplots()
    for (column, label), look in zip(COSTS.items(), style.LOOKS, strict=False):
        share = some.assign(share=100 * some[column] / some["replica"].map(dense[column]))
        curve = over_seeds(share, "share", "level")[["mean", "std"]]
        curve.index = 100 * curve.index
        style.bars(ax, curve, look, label, markerfacecolor="white")
    ax.axhline(100, color="0.5", linestyle=":", linewidth=0.8)
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter("{x:g}")
    level_axis(ax, sorted(some["level"].unique()))
    ax.set_xlabel("connections that stay (%)")
    ax.set_ylabel("of the dense network (%)")
    style.legend(fig, ax, ncols=3)
    rule = style.RULES[main][0] if main in style.RULES else main
    fig.set_label(
        CAPTION.format(rule=rule, criterion=WORDS.get(criterion, criterion), bars=seeds(some))
    )
    return fig
