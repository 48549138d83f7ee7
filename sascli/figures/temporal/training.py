"""Training of recurrent networks: accuracy, entropy, parameters, effective networks."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sascli import runs
from sascli.figures.draw import histograms, style
from sascli.figures.draw.curves import accuracy, curves, epoch_axis, points, unique
from sascli.figures.draw.histograms import RECURRENT
from sascli.figures.draw.modes import NAMES
from sascli.figures.draw.picture import Values, picture
from sascli.figures.draw.rows import Reference, Tables, plural, rows, seeds, stopping

MULTISENSORY = "multisensory"  # the model's name in tables
PIXELS = style.LOOKS[2] | {"label": "gBP, pixel by pixel"}


@picture(
    "history",
    caption="Test accuracy (%, mean field) over training by gBP and BP: above images in sequence "
    "({digits}{pixels}), below the correct choices in the multisensory task, over all modalities "
    "and frequencies.{stops} Lines: mean over seeds; {band}{counts}, cut off at 100 %.",
)
def temporal_accuracy(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A panel per model, a line per rule; pixel by pixel beside rows, where that was trained."""
    table = rows(tables, "history")
    panels = model_panels(fig, 3.8, reference, "test accuracy (%)")
    for model, ax in panels.items():
        for rule, look in style.RULES.items():
            accuracy(ax, rows(tables, "history", model=model, rule=rule), look)
        epoch_axis(ax)
        ax.set_ylim(top=min(ax.get_ylim()[1], 100))
    above = next(iter(panels.values()))
    pixels = reference.get("pixels")
    if pixels is not None:
        accuracy(above, rows(tables, "history", model=pixels, rule="gbp"), PIXELS)
    style.legend(fig, above, ncols=3)
    numbers = table.groupby("model", sort=False)["seed"].nunique()
    counts = ", ".join(f"{model} {number}" for model, number in numbers.items())
    return {
        "pixels": f"; pixel by pixel: {pixels}" if pixels is not None else "",
        "stops": stopping(rows(tables, "history", model=MULTISENSORY)),
        "band": seeds(table, "band"),
        "counts": f" ({counts})" if numbers.nunique() > 1 else "",
    }


def model_panels(fig: Figure, height: float, reference: Reference, label: str) -> dict[str, Axes]:
    """A panel for images in sequence and one for the multisensory task, by the model's name."""
    above, below = style.panels(fig, height, 2)
    above.set(title="digits in sequence", ylabel=label)
    below.set(title="multisensory integration", ylabel=label)
    return {str(reference["digits"]): above, MULTISENSORY: below}


@picture(
    "entropy_epochs",
    caption="Mean entropy per connection (nats, the paper's estimator) over training by gBP, "
    "from before the first epoch to each network's last. Above: {digits}; below: the recurrent "
    "network of the multisensory task, whose input connections have no entropy. A thin line per "
    "network, {seeds}; no error bars.",
)
def temporal_entropy(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A panel per model, a colour per layer."""
    panels = model_panels(fig, 3.8, reference, "entropy (nats)")
    numbers = []
    for model, ax in panels.items():
        table = rows(tables, "entropy_epochs", model=model, estimator="paper")
        numbers.append(table["seed"].nunique())
        for layer, look in zip(RECURRENT, style.LOOKS, strict=False):
            networks = table[table["layer"] == layer]
            line = look | {"marker": "", "linewidth": 0.7, "label": RECURRENT[layer]}
            for _, network in networks.groupby("seed"):
                ax.plot(network["epoch"], network["mean"], **line)
                line["label"] = None
        epoch_axis(ax)
    style.legend(fig, ax)
    return {"seeds": plural(*numbers)}


@picture(
    "histograms",
    on_images=False,
    caption="Distribution over the connections of the spike mass π, the mean m and the variance "
    "Ξ of the slab in the input (in → rec), recurrent (rec → rec) and output (rec → out) layer "
    "of the network of the multisensory task after gBP training (absent input connections have "
    "π = 1 and m = Ξ = 0); {seeds} pooled, logarithmic density, no error bars.",
)
def temporal_parameters(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A row of panels per layer."""
    table = rows(tables, "histograms", model=MULTISENSORY, rule="gbp")
    return histograms.of_seeds(fig, table, histograms.RECURRENT)


OTHERS = ", and of those that are neither VIP-like nor have π near 1 (others)"
PAIRS = (
    "; and of the VIP-like ones that have a counterpart of the same |m| which is not VIP-like, "
    "beside these counterparts"
)
COLUMNS = {
    "published": ("published thresholds", "π ≤ 0.1, Ξ < 0.1 and |m| > 0.08, tested by the mean "
                  "field (π := 1)"),
    "ours": ("preset's thresholds", "the preset's thresholds, tested by sampled networks"),
}  # fmt: skip
LOOKS = {
    "vip_off": style.LOOKS[0] | {"label": "VIP-like"},
    "random_off": style.LOOKS[1] | {"label": "random"},
    "other_off": style.LOOKS[3] | {"label": "others"},
    "paired_off": style.LOOKS[0] | {"label": "VIP-like, paired", "marker": "D", "linestyle": ":"},
    "matched_off": style.LOOKS[2] | {"label": "same |m|"},
}


def of_criterion(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows by the thresholds applied; tables of earlier versions have only ours."""
    if "criterion" not in table:
        return {"ours": table}
    parts = dict(list(table.groupby("criterion")))
    return {name: parts[name] for name in COLUMNS if name in parts}


@picture(
    "perturbation",
    caption="Test error (%) of gBP against the fraction f of the VIP-like recurrent connections "
    "(small π, small Ξ and large |m|) that are switched off, beside as many random ones of all "
    "(random){others}{pairs}. {columns} Above: {digits}; "
    "below: the multisensory task. Points: mean over seeds and {samples} draws each; {bars}.",
)
def temporal_perturbation(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A row of panels per model, a column per set of thresholds, a curve per kind."""
    table = rows(tables, "perturbation")
    columns = of_criterion(table)
    fig.set_figheight(3.8)
    axes = fig.subplots(2, len(columns), sharey="row", squeeze=False)
    models = {"digits": reference["digits"], "multisensory": MULTISENSORY}
    for row, (name, model) in zip(axes, models.items(), strict=True):
        for ax, part in zip(row, columns.values(), strict=True):
            part = part[part["model"] == model]
            curves(ax, part, "fraction", "test_error", "kind", LOOKS, scale=100)
        row[0].set_ylabel(f"{name}: error (%)")
    for ax, criterion in zip(axes[0], columns, strict=True):
        ax.set_title(COLUMNS[criterion][0])
    fig.supxlabel("fraction of VIP-like connections $f$", fontsize="medium")
    style.legend(fig, axes[0, -1], ncols=3)
    meaning = "; ".join(COLUMNS[criterion][1] for criterion in columns)
    return {
        "others": OTHERS if table["kind"].eq("other_off").any() else "",
        "pairs": PAIRS if table["kind"].eq("paired_off").any() else "",
        "columns": f"{'Left, right' if len(columns) > 1 else 'VIP-like'}: {meaning}.",
        "samples": table["sample"].nunique(),
        "bars": seeds(table),
    }


@picture(
    "redraw history",
    caption="Test accuracy (%) of effective networks of every seed, weights sampled once "
    "(circles) or at every time step (squares), beside the mean field (line). Above: {digits}; "
    "below: the multisensory task{dt}. Points: mean over {samples} networks; error bars: "
    "standard deviation over them, cut off at 100 %; {count}.",
)
def redraw(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A panel per model, its seeds along x."""
    table = rows(tables, "redraw")
    table = table.assign(accuracy=100 * table["test_accuracy"], mode=table["redraw"].map(NAMES))
    panels = model_panels(fig, 3.4, reference, "test accuracy (%)")
    looks = list(style.labelled({mode: NAMES[mode] for mode in ("once", "step")}).values())
    numbers = []
    for model, ax in panels.items():
        part = rows({"redraw": table}, "redraw", model=model)
        names = unique(part, "seed")
        numbers.append(len(names))
        points(ax, part, "seed", "accuracy", "mode", looks, 0.2, most=100)
        for place, level in enumerate(field(tables, part, model).loc[names]):
            label = "" if place else "mean field"
            ax.hlines(level, place - 0.3, place + 0.3, color="black", linewidth=0.8, label=label)
    style.legend(fig, ax)
    dt = table["dt"].max() if "dt" in table else 0
    return {
        "dt": f" at a time step of {dt:g} ms" if dt > 0 else "",
        "samples": table["sample"].nunique(),
        "count": plural(*numbers) if max(numbers) > 1 else "one seed: no spread over seeds",
    }


def field(tables: Tables, redraw: pd.DataFrame, model: str) -> "pd.Series[float]":
    """Accuracy (%) of the mean field by seed, on the same test where the table has it."""
    if "field_accuracy" in redraw:
        return 100 * redraw.groupby("seed")["field_accuracy"].mean()
    history = rows(tables, "history", model=model, rule="gbp")
    return pd.Series(100 * runs.last_epochs(history).set_index("seed")["test_accuracy"])
