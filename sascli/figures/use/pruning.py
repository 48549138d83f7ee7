"""Accuracy and cost of pruned networks."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from sascli.figures.draw import style
from sascli.figures.draw.curves import curve, unique
from sascli.figures.draw.modes import main_rule
from sascli.figures.draw.picture import Values, picture
from sascli.figures.draw.rows import Reference, Tables, rows, seeds

WORDS = {"pi": "spike mass", "snr": "signal-to-noise ratio", "magnitude": "magnitude"}
CHOSEN = {
    "pi": "of smallest π",
    "snr": "of largest signal-to-noise ratio |μ|/σ (mean over standard deviation of the weight), "
    "VIPs before all others",
    "magnitude": "of largest |μ|/√N, N the inputs of the layer",
}
"""Which connections remain, by the criterion."""
CRITERIA = {"pi": r"$\pi$", "snr": r"$|\mu|/\sigma$", "magnitude": r"$|\mu|/\sqrt{N}$"}


def level_axis(ax: Axes, levels: list[float]) -> None:
    """The remaining fractions in percent on a logarithmic axis that falls to the right."""
    ax.set(xscale="log", xlabel="remaining connections (%)")
    ax.set_xticks(levels, [f"{level:g}" for level in levels])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.invert_xaxis()


@picture(
    "pruning",
    one_rate=True,
    caption="Test accuracy (%) of pruned mean networks against the fraction (%) of all "
    "connections that remains, chosen in all layers together: {rule}'s {chosen}{bp}. {panels} "
    "Points: mean over seeds; {bars}; dotted: the unpruned network of {rule}.",
)
def pruning(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A panel before fine-tuning, and one after it where there was any."""
    table = rows(tables, "pruning", format="csr")
    main = main_rule(table)
    title = style.rule_name(main)
    dense = 100 * rows(tables, "pruning", rule=main, criterion="none")["test_accuracy"].mean()
    table = table[table["criterion"].isin([*CRITERIA])].assign(level=100 * table["level"])
    others = [rule for rule in table["rule"].unique() if rule != main]
    epochs = unique(table, "epochs")
    panels = style.panels(fig, 0.7 + 1.6 * len(epochs), len(epochs), sharex=True, sharey=True)
    for ax, after in zip(panels, epochs, strict=True):
        parts = dict(list(table[table["epochs"] == after].groupby(["rule", "criterion"])))
        keys = [(rule, name) for rule in (main, *others) for name in CRITERIA]
        present = [key for key in keys if key in parts]
        for (rule, name), look in zip(present, style.LOOKS, strict=False):
            label = {"label": f"{style.rule_name(rule)}, {CRITERIA[name]}"}
            curve(ax, parts[rule, name], "level", "test_accuracy", look | label, scale=100)
        ax.axhline(dense, color="0.5", linestyle=":", linewidth=0.8, label=f"{title}, unpruned")
        text = f"fine-tuned, epochs: {after}" if after else "not fine-tuned"
        ax.text(0.03, 0.06, text, transform=ax.transAxes)
        ax.set_ylabel("test accuracy (%)")
    level_axis(panels[-1], unique(table, "level"))
    style.legend(fig, panels[0], ncols=2)
    text = "Above: not fine-tuned; below: fine-tuned by BP." if epochs[1:] else "Not fine-tuned."
    bp = "; BP's of largest |μ|/√N, its μ being the weight" if others else ""
    used = set(table.loc[table["rule"] == main, "criterion"])
    *first, last = (words for name, words in CHOSEN.items() if name in used)
    chosen = f"{', '.join(first)}, or {last}" if first else last
    about = {"rule": title, "chosen": chosen, "bp": bp}
    return about | {"panels": text, "bars": seeds(table)}


COSTS = {"bytes": "bytes on disk", "seconds": "time", "n_neurons": "hidden neurons"}


@picture(
    "pruning",
    one_rate=True,
    caption="Cost (% of the dense network's) of the sparse networks of {rule} pruned by "
    "{criterion}, against the fraction (%) of connections that remains: bytes of the file (CSR), "
    "{time}hidden neurons that still have an input and an output. Points: mean over seeds; "
    "{bars}.",
)
def sparse(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A curve for each cost."""
    rule = main_rule(tables["pruning"])
    keys: dict[str, str | int] = {"rule": rule, "epochs": 0}
    dense = rows(tables, "pruning", **keys, format="dense").set_index("replica")
    names = list(rows(tables, "pruning", **keys)["criterion"].unique())
    criterion = next(name for name in ("snr", *WORDS, *names) if name in names)
    table = rows(tables, "pruning", **keys, criterion=criterion)
    table = table.assign(level=100 * table["level"])
    ax = style.panel(fig, 2.4)
    measured = {name: words for name, words in COSTS.items() if table[name].notna().any()}
    for column, look in style.labelled(measured).items():
        relative = table[column] / table["replica"].map(dense[column])
        curve(ax, table.assign(cost=relative), "level", "cost", look, scale=100)
    ax.axhline(100, color="0.5", linestyle=":", linewidth=0.8, label="dense network")
    ax.set(yscale="log", ylabel="of the dense network (%)")
    ax.yaxis.set_major_formatter("{x:g}")
    level_axis(ax, unique(table, "level"))
    style.legend(fig, ax, ncols=3)
    name, by = style.rule_name(rule), WORDS.get(criterion, criterion)
    time = "time to classify the test images on one core, " if "seconds" in measured else ""
    return {"rule": name, "criterion": by, "time": time, "bars": seeds(table)}
