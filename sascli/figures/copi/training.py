"""COPI: accuracy, loss, gains and learning rates, beside BP on the same images."""

from matplotlib.figure import Figure

from sascli import runs
from sascli.figures.draw import style
from sascli.figures.draw.curves import accuracy, curve, curves, epoch_axis
from sascli.figures.draw.picture import Values, picture
from sascli.figures.draw.rows import Reference, Tables, plural, rows, seeds

PUBLISHED = (
    "At the published rates; \u201cbest\u201d: at the best rate on held-out images where it is "
    "another; plain BP and gBP, where shown, at their best rates. {diverged}"
)
SEARCHED = (  # the tables of earlier versions, without arms.csv
    "COPI-BP and COPI, local, at the published rate, the others at their best on held-out images."
)
POINTS: dict[str, style.Look] = {
    point: {"label": label, "color": colour, "linestyle": line}
    for point, label, colour, line in (
        ("copi-bp", "COPI-BP", style.BLUE, "-"),
        ("copi-fa", "COPI-FA", style.BLUE, "--"),
        ("copi-local", "COPI, local", style.BLUE, ":"),
        ("bp-decor", "BP, decor.", style.RED, "-"),
        ("bp-plain", "BP, plain", style.RED, ":"),
        ("bp-adam", "BP, Adam", style.RED, "--"),
        ("copi-bp-best", "COPI-BP, best", style.YELLOW, "-"),
        ("copi-fa-best", "COPI-FA, best", style.YELLOW, "--"),
        ("bp-decor-best", "BP, decor., best", style.BLACK, "-."),
        ("bp-adam-best", "BP, Adam, best", style.BLACK, "--"),
        ("gbp", "gBP", style.BLACK, "-"),
    )
}
"""Label, colour and line of every run, in the order of the legend."""
MARGIN = 5  # percentage points shown below the lowest end of a curve


@picture(
    "history linear",
    optional="arms",
    caption="Test accuracy (%) over the epochs: COPI with exact feedback (COPI-BP), with random "
    "feedback (COPI-FA) and with local decorrelation, beside other rules; networks of L = {depth} "
    "layers, T = {train_size}. In the first epoch the rules that decorrelate do nothing else; "
    "accuracies below {floor:.0f} % are cut off. {rates} Dotted at {linear:.1f} %: logistic "
    "regression. Lines: mean over seeds; {band}.",
)
def copi_accuracy(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A curve per rule with its band."""
    history = rows(tables, "history")
    linear = 100 * rows(tables, "linear")["test_accuracy"].iloc[0]
    ax = style.panel(fig, 3.2)
    ends = [linear]
    for point, look in POINTS.items():
        part = history[history["point"] == point]
        if not part.empty:  # a run that diverged has no rows
            accuracy(ax, part, look)
            ends.append(100 * runs.last_epochs(part)["test_accuracy"].mean())
    ax.axhline(linear, color=style.BLACK, linewidth=0.8, linestyle=":", label="logistic")
    floor = max(0.0, min(ends) - MARGIN)
    epoch_axis(ax, ylim=(floor, max(ends) + 1), ylabel="test accuracy (%)")
    style.legend(fig, ax, ncols=3)
    rates = PUBLISHED.format(diverged=diverged(tables)) if "arms" in tables else SEARCHED
    return {"linear": linear, "floor": floor, "rates": rates, "band": seeds(history, "band")}


def diverged(tables: Tables) -> str:
    """The sentence of a caption that counts the networks that diverged, by rule."""
    by_point = rows(tables, "arms").groupby("point")["diverged"]
    numbers = by_point.agg(["count", "size"]).reindex([*POINTS]).query("count > 0").astype(int)
    counts = [f"{POINTS[name]['label']} {n} of {total}" for name, n, total in numbers.itertuples()]
    return f"Left out, since they diverged: {', '.join(counts)}." if counts else "None diverged."


SQUARED = {point: look for point, look in POINTS.items() if point != "gbp"}
"""The runs that minimise the squared error."""


@picture(
    "history",
    caption="Training loss over the epochs, the mean of |y - t|² / 2 over an epoch's images as "
    "they are learnt, the same for all of these rules; networks of L = {depth} layers, T = "
    "{train_size}. Rates and names as in the figure of the accuracy, without gBP, whose "
    "loss is the cross entropy. Lines: mean over seeds; {band}.",
)
def copi_loss(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A curve per rule with its band, on a logarithmic axis."""
    history = rows(tables, "history")
    ax = style.panel(fig, 3.2)
    curves(ax, history, "epoch", "train_loss", "point", SQUARED, band=True)
    epoch_axis(ax, yscale="log", ylabel=r"training loss $\langle|y-t|^2\rangle/2$")
    style.legend(fig, ax, ncols=3)
    return {"band": seeds(history, "band")}


RULES = {"copi": ("COPI, gain {gain:g}", style.BLUE), "bp_decor": ("Adam, η = {lr}", style.RED)}
"""Label and colour of the networks of either rule."""
LINES = ("-", "--", ":", "-.")


@picture(
    "gains",
    caption="COPI-BP at several gains, its learning rate the published one throughout, beside BP "
    "with Adam at several learning rates η: test accuracy (%, top) and training loss, the mean "
    "of |y - t|² / 2 (bottom), over the epochs, in the first of which COPI only decorrelates; "
    "networks of L = {depth} layers, T = {train_size}. Networks that diverged are left out. "
    "Lines: mean over seeds; {band}.",
)
def copi_gains(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A curve per gain and per rate in either panel, with its band."""
    table = rows(tables, "gains")
    above, below = style.panels(fig, 4.0, 2, sharex=True)
    for rule, (label, colour) in RULES.items():
        networks = table[table["rule"] == rule].groupby(["gain", "lr"])
        for number, ((gain, lr), part) in enumerate(networks):
            look = {"color": colour, "linestyle": LINES[number % len(LINES)]}
            look["label"] = label.format(gain=gain, lr=style.power(float(str(lr))))
            curve(above, part, "epoch", "test_accuracy", look, scale=100, band=True)
            curve(below, part, "epoch", "train_loss", look, band=True)
    above.set_ylabel("test accuracy (%)")
    epoch_axis(below, yscale="log", ylabel="training loss")
    style.legend(fig, above, ncols=2)
    return {"band": seeds(table, "band")}


MARKERS = {
    **{"copi-bp": "o", "copi-fa": "v", "bp-decor": "s"},
    **{"bp-plain": "x", "bp-adam": "^", "gbp": "D"},
}


@picture(
    "rates",
    caption="Accuracy (%) on held-out training images against the learning rate of the weights; "
    "that of the decorrelation is COPI's own throughout. A network that diverged counts as 0. "
    "Adam and gBP scale their steps differently: their rates are not comparable with the others. "
    "Points: single networks; lines: {lines}.",
)
def copi_rates(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A curve per rule with a point for each network, COPI's on top."""
    table = rows(tables, "rates").fillna({"validation_accuracy": 0.0})
    table["accuracy"] = 100 * table["validation_accuracy"]
    ax = style.panel(fig, 2.8)
    for depth, (point, marker) in enumerate(MARKERS.items()):
        part = table[table["point"] == point]
        if part.empty:  # not every preset tries every rule
            continue
        mean = part.groupby("lr")["accuracy"].mean()
        look = POINTS[point] | {"marker": marker, "mfc": "white", "zorder": 9 - depth}
        ax.plot(part["lr"], part["accuracy"], **look | {"linestyle": "", "label": None})
        ax.plot(mean.index, mean, **look | {"markevery": []})
    ax.set(xscale="log", xlabel="learning rate of the weights", ylabel="held-out accuracy (%)")
    style.legend(fig, ax, ncols=3)
    numbers = table.groupby("point")["seed"].nunique()
    lines = f"their mean over {plural(*numbers)}" if max(numbers) > 1 else "one seed: no mean"
    return {"lines": lines}
