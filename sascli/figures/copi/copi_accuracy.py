"""COPI: test accuracy over the epochs of every rule on the same images."""

from matplotlib.figure import Figure

from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables, carried, over_seeds, rows, seeds

TABLES = ("history", "linear")
OPTIONAL = ("arms",)
CAPTION = (
    "Test accuracy (%) over the epochs: COPI with exact and with random feedback and with local "
    "decorrelation, BP with decorrelation and without, BP with Adam, and gBP where it was "
    "trained; networks of L = {depth} layers, T = {train_size}. In the first epoch the rules that "
    "decorrelate do nothing else; what is below {floor:.0f} % is cut off. {rates} "
    "Dotted at {linear:.1f} %: logistic regression. Lines: mean over seeds; {band}."
)
PUBLISHED = (
    "At the published rates; \u201cbest\u201d is the best rate on held-out images where it is "
    "another, and plain BP and gBP have theirs. {lost}"
)
SEARCHED = (  # the tables of earlier versions, without arms.csv
    "COPI-BP and COPI, local, at the published rate, the others at their best on held-out images."
)
POINTS = {
    "copi-bp": ("COPI-BP", style.BLUE, "-"),
    "copi-fa": ("COPI-FA", style.BLUE, "--"),
    "copi-local": ("COPI, local", style.BLUE, ":"),
    "bp-decor": ("BP, decorrelated", style.RED, "-"),
    "bp-plain": ("BP, plain", style.RED, ":"),
    "bp-adam": ("BP, Adam", style.RED, "--"),
    "copi-bp-best": ("COPI-BP, best", style.YELLOW, "-"),
    "copi-fa-best": ("COPI-FA, best", style.YELLOW, "--"),
    "bp-decor-best": ("BP, decor., best", style.BLACK, "-."),
    "bp-adam-best": ("BP, Adam, best", style.BLACK, "--"),
    "gbp": ("gBP", style.BLACK, "-"),
}
"""Label, colour and line of every run, in the order of the legend."""
MARGIN = 5  # percentage points shown below the lowest end of a curve


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """A curve per rule with its band."""
    history = rows(tables, "history")
    linear = 100 * rows(tables, "linear")["test_accuracy"].iloc[0]
    fig = style.figure(3.2)
    ax = fig.subplots()
    ends = [linear]
    for point, (label, colour, line) in POINTS.items():
        own = history[history["point"] == point]
        if not own.empty:  # one that diverged has no rows
            spread = 100 * over_seeds(carried(own), "test_accuracy", "epoch")[["mean", "std"]]
            style.band(ax, spread, {"color": colour, "linestyle": line}, label)
            ends.append(spread["mean"].iloc[-1])
    ax.axhline(linear, color=style.BLACK, linewidth=0.8, linestyle=":")
    floor = max(0.0, min(ends) - MARGIN)
    ax.set_ylim(floor, max(ends) + 1)
    style.epoch_axis(ax)
    ax.set_xlabel("epoch")
    ax.set_ylabel("test accuracy (%)")
    style.legend(fig, ax, ncols=3)
    about = {key: reference[key] for key in ("depth", "train_size")}
    about |= {"linear": linear, "floor": floor}
    rates = PUBLISHED.format(lost=lost(tables)) if "arms" in tables else SEARCHED
    fig.set_label(CAPTION.format(**about, rates=rates, band=seeds(history, "band")))
    return fig


def lost(tables: Tables) -> str:
    """The sentence of a caption that counts the networks that diverged, by rule."""
    arms = rows(tables, "arms")
    networks = {point: arms[arms["point"] == point] for point in POINTS}
    counts = [
        f"{POINTS[point][0]} {own['diverged'].notna().sum()} of {len(own)}"
        for point, own in networks.items()
        if own["diverged"].notna().any()
    ]
    return f"Left out, since they diverged: {', '.join(counts)}." if counts else "None diverged."
