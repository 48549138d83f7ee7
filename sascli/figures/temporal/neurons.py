"""Choices, selective neurons and paths of rates and parameters in the multisensory task."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sascli import runs
from sascli.figures.draw import style
from sascli.figures.draw.curves import path, path_ends, unique
from sascli.figures.draw.modes import NAMES
from sascli.figures.draw.picture import Values, picture
from sascli.figures.draw.rows import Reference, Tables, over_seeds, rows, seeds

MODES = ("field", "mean", "sampled", "redrawn")
MODALITIES = style.labelled({"v": "v", "a": "a", "va": "va"})
TITLES = {"v": "visual (v)", "a": "auditory (a)", "va": "both (va)"}
BOUNDARY, NEAR = 12.5, (11.0, 14.0)
POINT: style.Look = {"marker": "o", "markersize": 2.2, "mew": 0.6, "mfc": "white", "linestyle": ""}
LIMIT: style.Look = {"color": "0.6", "linewidth": 0.6, "linestyle": "--"}
OTHERS = "0.75"
"""The grey of the curves of the other modalities."""


@picture(
    "psychometric sigmoids",
    on_images=False,
    one_rate=True,
    caption="Fraction of high choices (%) against the frequency of visual (v), auditory (a) and "
    "both (va) events (rows) near the boundary (dashed), {shown}. Points: mean over seeds; "
    "{bars}. Lines: logistic curve of the median threshold and slope over networks; grey: those "
    "of the other modalities. {modes}.",
)
def psychometric(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A row of panels per modality, a column per prediction mode."""
    table, fits = rows(tables, "psychometric"), rows(tables, "sigmoids")
    near = table[table["frequency"].between(*NEAR)]
    measured = table["frequency"].nunique()
    table = table if near.empty else near
    shown = f"{table['frequency'].nunique()} of {measured} frequencies"
    f = np.linspace(table["frequency"].min(), table["frequency"].max(), 200)
    modes = [mode for mode in MODES if (table["way"] == mode).any()]
    present = {key: look for key, look in MODALITIES.items() if (table["modality"] == key).any()}
    fig.set_figheight(1.0 + 1.05 * len(present))
    grid = fig.subplots(len(present), len(modes), sharex=True, sharey=True, squeeze=False)
    for axes, (modality, look) in zip(grid, present.items(), strict=True):
        for ax, mode in zip(axes, modes, strict=True):
            part = table[(table["way"] == mode) & (table["modality"] == modality)]
            _choices(ax, part, look["color"])
            for other in present:
                fit = rows({"sigmoids": fits}, "sigmoids", way=mode, modality=other)
                _sigmoid(ax, f, fit, look["color"] if other == modality else OTHERS)
            ax.axvline(BOUNDARY, zorder=0, **LIMIT)
        axes[0].set_ylabel(TITLES[modality])
    grid[0, 0].set(ylim=(-5, 105), xlim=(f[0] - 0.1, f[-1] + 0.1), yticks=[0, 50, 100])
    for ax, mode in zip(grid[0], modes, strict=True):
        ax.set_title(NAMES[mode].replace(" ", "\n", 1), fontsize="medium")
    grid[0, 0].xaxis.set_major_locator(MaxNLocator(4, integer=True))
    fig.supxlabel("frequency (events / s)", fontsize="medium")
    fig.supylabel("high choices (%)", fontsize="medium")
    _key(fig, grid[0, 0])
    names = ", ".join(NAMES[mode] for mode in modes)
    bars = seeds(table)
    return {
        "shown": shown,
        "bars": bars if bars.startswith("one") else f"{bars}, cut off at 0 and 100 %",
        "modes": f"Columns: {names}" if len(modes) > 1 else f"Networks: {names}",
    }


def _choices(ax: Axes, table: pd.DataFrame, colour: str) -> None:
    """The mean fraction of high choices with its spread over seeds, within 0 to 100 %."""
    spread = 100 * over_seeds(table, "high", "frequency")
    mean, std = spread["mean"], spread["std"].fillna(0)
    ends = [mean - (mean - std).clip(lower=0), (mean + std).clip(upper=100) - mean]
    look = POINT | {"color": colour, "elinewidth": 0.6}
    ax.errorbar(mean.index, mean, ends if std.any() else None, **look)


def _sigmoid(ax: Axes, f: np.ndarray, fit: pd.DataFrame, colour: str) -> None:
    """The logistic curve of the median threshold and slope, grey ones below the others."""
    z = fit["slope"].median() * (f - fit["threshold"].median())
    order = 1 if colour == OTHERS else 2
    ax.plot(f, 100 / (1 + np.exp(-z)), linewidth=0.9, zorder=order, color=colour)


def _key(fig: Figure, ax: Axes) -> None:
    """The legend of points and lines, whatever the modality."""
    ax.plot([], [], label="mean over seeds", **POINT | {"color": "black"})
    ax.plot([], [], label="logistic curve", color="black", linewidth=0.9)
    ax.plot([], [], label="other modalities", color=OTHERS, linewidth=0.9)
    ax.plot([], [], label="boundary", **LIMIT)
    style.legend(fig, ax, ncols=2)


UNTRAINED = " and in untrained networks, labelled by the correct choice"
KINDS = ("choice", "modality", "mixed", "none")
COLOURS = {"trained": style.BLUE, "permuted labels": "0.85", "untrained": style.YELLOW}


def of_network(table: pd.DataFrame, network: str) -> pd.DataFrame:
    """The rows of trained or of untrained networks; tables of earlier versions lack the latter."""
    if "network" not in table:
        return table if network == "trained" else table[:0]
    return table[table["network"] == network]


def by_kind(table: pd.DataFrame) -> pd.DataFrame:
    """The fractions of the neurons of each kind, a row per seed."""
    return table.groupby("seed")["kind"].value_counts(normalize=True).unstack()


@picture(
    "selectivity",
    on_images=False,
    one_rate=True,
    caption="Fraction of the neurons (%) that are selective for choice, for modality, for both "
    "(mixed) and for neither, from noise-reduced trials, beside the same with permuted labels "
    "(mixed: with those of the choice permuted plus with those of the modality "
    "permuted){untrained}. Bars: mean over seeds; {bars}.",
)
def selectivity(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A group of bars per kind."""
    import seaborn as sns  # takes half a second

    table = rows(tables, "selectivity")
    trained, untrained = (of_network(table, name) for name in ("trained", "untrained"))
    chance = trained.groupby("seed")[[f"control_{kind}" for kind in KINDS]].mean()
    parts = {"trained": by_kind(trained), "permuted labels": chance.set_axis(KINDS, axis=1)}
    if len(untrained):
        parts["untrained"] = by_kind(untrained)
    fractions = 100 * pd.concat(parts, names=["network"]).reindex(columns=KINDS).fillna(0.0)
    ax = style.panel(fig, 2.3)
    sns.barplot(
        fractions.reset_index().melt(["network", "seed"]), x="variable", y="value",
        hue="network", palette={name: COLOURS[name] for name in parts}, saturation=1, ax=ax,
        errorbar="sd", capsize=0.1, edgecolor="black", linewidth=0.5,
        err_kws={"linewidth": 0.8, "color": "0.4"},
    )  # fmt: skip
    ax.set(xlabel="selective for", ylabel="fraction of the neurons (%)")
    style.legend(fig, ax)
    return {"untrained": UNTRAINED if len(untrained) else "", "bars": seeds(trained)}


FRACTIONS = {"choice": ["choice"], "modality": ["modality"], "mixed": ["choice", "modality"]}
"""The columns of explained variance by which the neuron of a kind is chosen; else its rate."""
STIMULUS = 1000.0  # ms


def examples(table: pd.DataFrame) -> pd.DataFrame:
    """One row per kind: of the first replica, the neuron whose lesser fraction is the greatest."""
    table = of_network(table, "trained")
    active = table[(table["replica"] == table["replica"].min()) & (table["rate"] > 0)]
    cells = []
    for kind in KINDS:
        part = active[active["kind"] == kind]
        if not part.empty:
            score = part[FRACTIONS.get(kind, ["rate"])].min(axis=1)
            cells.append(part.loc[score.idxmax()])
    return pd.DataFrame(cells)


@picture(
    "selectivity responses",
    on_images=False,
    one_rate=True,
    caption="Rates r of example neurons of seed {seed}, the mean over the noise-reduced trials "
    "of a modality (colours) and a choice (solid: high, dashed: low), against the time since the "
    "onset of the stimulus; grey: the stimulus. {neurons} The neuron of each kind with a rate "
    "above 0 and the greatest fraction of variance explained (mixed: of the lesser one; none: the "
    "greatest rate); the scales differ; no error bars.",
)
def neurons(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A panel per kind of neuron."""
    cells = examples(rows(tables, "selectivity"))
    panels = style.panels(fig, 0.6 + 1.05 * len(cells), len(cells), sharex=True)
    texts = []
    for (_, neuron), ax in zip(cells.iterrows(), panels, strict=True):
        name = f"neuron {neuron['neuron']}"
        responses = rows(tables, "responses", replica=neuron["replica"], neuron=neuron["neuron"])
        for (modality, choice), part in responses.groupby(["modality", "choice"], sort=False):
            colour = MODALITIES[str(modality)]["color"]
            line = "-" if choice == "high" else "--"
            ax.plot(part["time"], part["rate"], color=colour, linestyle=line)
        ax.axvspan(0, STIMULUS, color="0.92", linewidth=0, zorder=0)
        ax.set(title=f"{neuron['kind']}, {name}", ylabel="rate $r$")
        texts.append(
            f"{neuron['kind']}: {name}, η² of choice {neuron['choice']:.2f}, of modality "
            f"{neuron['modality']:.2f}."
        )
    panels[-1].set_xlabel("time since stimulus onset (ms)")
    shown = set(responses["modality"])
    for modality in (key for key in TITLES if key in shown):
        panels[0].plot([], [], color=MODALITIES[modality]["color"], label=TITLES[modality])
    for line, label in (("-", "high choice"), ("--", "low choice")):
        panels[0].plot([], [], color="0.4", linestyle=line, label=label)
    panels[0].fill_between([], [], color="0.92", label="stimulus")
    style.legend(fig, panels[0], ncols=3)
    return {"seed": cells["seed"].iloc[0], "neurons": " ".join(texts)}


@picture(
    "trajectories components",
    on_images=False,
    one_rate=True,
    caption="Mean rates over noise-reduced trials of every modality and frequency along the "
    "first two principal components of one network (seed {seed}; PC1 {first:.0f} %, PC2 "
    "{second:.0f} % of the variance over conditions and times). Circles: the beginning; squares: "
    "the end of the decision. Colour: frequency, dark {low:g}, light {high:g} events / s; dashed "
    "where the low choice is correct. No error bars.",
)
def trajectories(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A panel per modality, a line per frequency."""
    table = rows(tables, "trajectories")
    table = table[table["replica"] == table["replica"].min()]
    replica, seed = (int(table[key].iloc[0]) for key in ("replica", "seed"))
    components = rows(tables, "components", replica=replica, space="rates")
    components = components.set_index("component")
    first, second = (100 * components["share"].get(n, 0) for n in (1, 2))
    frequencies = unique(table, "frequency")
    panels = style.panels(fig, 4.6, len(TITLES), sharex=True, sharey=True)
    for (modality, label), ax in zip(TITLES.items(), panels, strict=True):
        part = table[table["modality"] == modality]
        for f, look in style.ordered(frequencies).items():
            line = "-" if f > BOUNDARY else "--"
            condition = part[part["frequency"] == f]
            path(ax, condition, color=look["color"], linestyle=line, linewidth=0.9)
        ax.set(title=label, ylabel="PC2 (rate)")
    panels[-1].set_xlabel("PC1 (rate)")
    ends = style.ordered(frequencies)
    for f in dict.fromkeys((frequencies[0], frequencies[-1])):
        look = {"color": ends[f]["color"], "linestyle": "-" if f > BOUNDARY else "--"}
        panels[0].plot([], [], label=f"{f:g} events / s", **look)
    path_ends(panels[0], ("beginning", "end of the decision"))
    style.legend(fig, panels[0], ncols=2)
    about = {"seed": seed, "first": first, "second": second}
    return about | {"low": frequencies[0], "high": frequencies[-1]}


LABELS = {"m": "$m$", "pi": r"$\pi$", "xi": r"$\Xi$"}


@picture(
    "synapses components",
    on_images=False,
    caption="Parameters of the recurrent connections over training, recorded every few epochs, "
    "along the first two principal components of each network's own path; a line per {line} "
    "({seeds}), from the circle (epoch {first}) to the square (the network's last epoch, "
    "{last}). The sign of a component is arbitrary, so left and right mean nothing. Above each "
    "panel: mean fraction of the variance over epochs. No error bars.",
)
def synapses(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A panel per parameter; networks look different where there are enough looks."""
    table, components = rows(tables, "synapses"), rows(tables, "components")
    rates = runs.rate_names(table)
    replicas = table.assign(rate=rates).groupby("replica")[["seed", "rate"]].first()
    names = [", ".join(filter(None, (f"seed {s}", r))) for s, r in replicas.to_numpy()]
    several = rates.nunique() > 1
    distinct = len(names) <= len(style.LOOKS)
    looks = style.LOOKS[: len(names)] if distinct else [style.LOOKS[0]] * len(names)
    lines = [{key: look[key] for key in ("color", "linestyle")} for look in looks]
    panels = style.panels(fig, 4.6, len(LABELS))
    for (space, label), ax in zip(LABELS.items(), panels, strict=True):
        networks = table[table["space"] == space].groupby("replica")
        for (_, network), line in zip(networks, lines, strict=True):
            path(ax, network, **line)
        fractions = components[components["space"] == space].groupby("component")["share"].mean()
        first, second = (f"PC{n} {100 * fractions.get(n, 0):.0f} %" for n in (1, 2))
        ax.set(title=f"{label}: {first}, {second}", ylabel="PC2")
        ax.xaxis.set_major_locator(MaxNLocator(5))
        ax.yaxis.set_major_locator(MaxNLocator(4))
    panels[-1].set_xlabel("PC1")
    if distinct:
        for name, line in zip(names, lines, strict=True):
            panels[0].plot([], [], label=name, **line)
    path_ends(panels[0], (f"epoch {table['epoch'].min()}", "last epoch"))
    style.legend(fig, panels[0], ncols=3)
    ends = sorted({*table.groupby("replica")["epoch"].max()})
    last = " to ".join(map(str, dict.fromkeys((ends[0], ends[-1]))))
    about = {"first": table["epoch"].min(), "last": last}
    if several:
        return about | {"line": "seed and rate", "seeds": "; ".join(names)}
    return about | {"line": "seed", "seeds": ", ".join(map(str, replicas["seed"]))}
