"""Choices, selective neurons and paths of rates and parameters in the multisensory task."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sascli.figures.draw import style
from sascli.figures.draw.curves import curve, path, unique
from sascli.figures.draw.modes import NAMES
from sascli.figures.draw.picture import Values, picture
from sascli.figures.draw.rows import Reference, Tables, rows, seeds

MODES = ("field", "mean", "sampled", "redrawn")
MODALITIES = style.labelled({"v": "v", "a": "a", "va": "va"})
BOUNDARY, NEAR = 12.5, (11.0, 14.0)
SHIFTS = (-0.03, 0, 0.03)  # of the points, so that the error bars of the modalities are apart


@picture(
    "psychometric sigmoids",
    on_images=False,
    caption="Fraction of high choices (%) against the frequency of visual (v), auditory (a) and "
    "both (va) events, near the boundary (dashed). Points (v and va shifted by 0.03): mean over "
    "seeds, {bars}; lines: logistic curve of the median threshold and slope over networks. "
    "Panels: {modes}.",
)
def psychometric(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A panel per prediction mode, a curve per modality."""
    table, fits = rows(tables, "psychometric"), rows(tables, "sigmoids")
    modes = [mode for mode in MODES if (table["way"] == mode).any()]
    panels = style.panels(fig, 0.7 + 1.5 * len(modes), len(modes), sharex=True)
    f = np.linspace(*NEAR, 200)
    table = table[table["frequency"].between(*NEAR)]
    for mode, ax in zip(modes, panels, strict=True):
        for shift, (modality, look) in zip(SHIFTS, MODALITIES.items(), strict=True):
            part = table[(table["way"] == mode) & (table["modality"] == modality)]
            if part.empty:
                continue
            part = part.assign(shifted=part["frequency"] + shift)
            curve(ax, part, "shifted", "high", look | {"linestyle": ""}, scale=100)
            fit = rows({"sigmoids": fits}, "sigmoids", way=mode, modality=modality)
            z = fit["slope"].median() * (f - fit["threshold"].median())
            ax.plot(f, 100 / (1 + np.exp(-z)), color=look["color"], linestyle=look["linestyle"])
        ax.axvline(BOUNDARY, color="0.6", linewidth=0.6, linestyle="--", zorder=0)
        ax.set(ylim=(-6, 106), ylabel="high choices (%)", title=NAMES[mode])
    panels[-1].set_xlabel("frequency (events / s)")
    style.legend(fig, panels[0])
    return {"bars": seeds(table), "modes": ", ".join(NAMES[mode] for mode in modes)}


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
    """One row per kind: of the first seed, the neuron whose lesser fraction is the greatest."""
    table = of_network(table, "trained")
    active = table[(table["seed"] == table["seed"].min()) & (table["rate"] > 0)]
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
    caption="Rates r of example neurons of seed {seed}, the mean over the noise-reduced trials "
    "of a modality (colours) and a choice (solid: high, dashed: low), against the time since the "
    "onset of the stimulus; grey: the stimulus. {neurons} The active neuron of each kind with "
    "the greatest fraction of variance explained; no error bars.",
)
def neurons(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A panel per kind of neuron."""
    cells = examples(rows(tables, "selectivity"))
    panels = style.panels(fig, 0.6 + 1.05 * len(cells), len(cells), sharex=True)
    texts = []
    for (_, neuron), ax in zip(cells.iterrows(), panels, strict=True):
        name = f"neuron {neuron['neuron']}"
        responses = rows(tables, "responses", seed=neuron["seed"], neuron=neuron["neuron"])
        for (modality, choice), part in responses.groupby(["modality", "choice"], sort=False):
            line = ("-", modality) if choice == "high" else ("--", None)
            colour = MODALITIES[str(modality)]["color"]
            ax.plot(part["time"], part["rate"], color=colour, linestyle=line[0], label=line[1])
        ax.axvspan(0, STIMULUS, color="0.92", linewidth=0, zorder=0)
        ax.set(title=f"{neuron['kind']}, {name}", ylabel="rate $r$")
        texts.append(
            f"{neuron['kind']}: {name}, η² of choice {neuron['choice']:.2f}, of modality "
            f"{neuron['modality']:.2f}."
        )
    panels[-1].set_xlabel("time since stimulus onset (ms)")
    style.legend(fig, panels[0])
    return {"seed": cells["seed"].iloc[0], "neurons": " ".join(texts)}


TITLES = {"v": "visual", "a": "auditory", "va": "both"}


@picture(
    "trajectories components",
    on_images=False,
    caption="Mean rates over noise-reduced trials of every modality and frequency along the "
    "first two principal components of one network (seed {seed}; PC1 {first:.0f} %, PC2 "
    "{second:.0f} % of the variance over conditions and times). Circles: the beginning; squares: "
    "the end of the decision. Colour: frequency, dark {low:g}, light {high:g} events / s; dashed "
    "where the low choice is correct. No error bars.",
)
def trajectories(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A panel per modality, a line per frequency."""
    table = rows(tables, "trajectories")
    seed = int(table["seed"].min())
    components = rows(tables, "components", seed=seed, space="rates").set_index("component")
    first, second = (100 * components["share"].get(n, 0) for n in (1, 2))
    frequencies = unique(table, "frequency")
    panels = style.panels(fig, 4.6, len(TITLES), sharex=True, sharey=True)
    for (modality, label), ax in zip(TITLES.items(), panels, strict=True):
        part = table[(table["seed"] == seed) & (table["modality"] == modality)]
        for f, look in style.ordered(frequencies).items():
            line = "-" if f > BOUNDARY else "--"
            condition = part[part["frequency"] == f]
            path(ax, condition, color=look["color"], linestyle=line, linewidth=0.9)
        ax.set(title=label, ylabel="PC2 (rate)")
    panels[-1].set_xlabel("PC1 (rate)")
    about = {"seed": seed, "first": first, "second": second}
    return about | {"low": frequencies[0], "high": frequencies[-1]}


LABELS = {"m": "$m$", "pi": r"$\pi$", "xi": r"$\Xi$"}


@picture(
    "synapses components",
    on_images=False,
    caption="Parameters of the recurrent connections over training, recorded every few epochs, "
    "along the first two principal components of each network's own path; a line per seed "
    "({seeds}), from the circle (epoch {first}) to the square (the network's last epoch, "
    "{last}). Above each panel: mean fraction of the variance over epochs. No error bars.",
)
def synapses(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A panel per parameter."""
    table, components = rows(tables, "synapses"), rows(tables, "components")
    panels = style.panels(fig, 4.6, len(LABELS))
    for (space, label), ax in zip(LABELS.items(), panels, strict=True):
        networks = table[table["space"] == space].groupby("seed")
        for (_, network), look in zip(networks, style.LOOKS * 3, strict=False):
            path(ax, network, color=look["color"], linestyle=look["linestyle"])
        fractions = components[components["space"] == space].groupby("component")["share"].mean()
        first, second = (f"PC{n} {100 * fractions.get(n, 0):.0f} %" for n in (1, 2))
        ax.set(title=f"{label}: {first}, {second}", ylabel="PC2")
        ax.xaxis.set_major_locator(MaxNLocator(5))
        ax.yaxis.set_major_locator(MaxNLocator(4))
    panels[-1].set_xlabel("PC1")
    ends = sorted({*table.groupby("seed")["epoch"].max()})
    last = " to ".join(map(str, dict.fromkeys((ends[0], ends[-1]))))
    names = ", ".join(map(str, unique(table, "seed")))
    return {"seeds": names, "first": table["epoch"].min(), "last": last}
