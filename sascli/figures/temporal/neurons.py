"""Example neurons of each kind: responses over time by modality and choice."""

import pandas as pd
from matplotlib.figure import Figure

from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables, rows
from sascli.figures.temporal.psychometric import MODALITIES
from sascli.figures.temporal.selectivity import of_network

TABLES = ("selectivity", "responses")
ON_IMAGES = False
CAPTION = (
    "Rates r of example neurons of seed {seed}, the mean over the noise-reduced trials of a "
    "modality (colours) and a choice (full: high, dashed: low), against the time since the "
    "stimulus began; grey: the stimulus. {told} The active neuron of each kind with the "
    "greatest share of variance explained; no error bars."
)
SHARES = {"choice": ["choice"], "modality": ["modality"], "mixed": ["choice", "modality"],
          "none": []}  # fmt: skip
STIMULUS = 1000.0  # ms


def examples(table: pd.DataFrame) -> pd.DataFrame:
    """One row per kind: of the first seed, the neuron whose lesser share is the greatest."""
    table = of_network(table, "trained")
    own = table[(table["seed"] == table["seed"].min()) & (table["rate"] > 0)]
    chosen = []
    for kind, columns in SHARES.items():
        some = own[own["kind"] == kind]
        if not some.empty:
            score = some[columns].min(axis=1) if columns else some["rate"]
            chosen.append(some.loc[score.idxmax()])
    return pd.DataFrame(chosen)


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """A panel per kind of neuron."""
    chosen = examples(rows(tables, "selectivity"))
    fig = style.figure(0.6 + 1.05 * len(chosen))
    axes = fig.subplots(len(chosen), 1, sharex=True, squeeze=False)[:, 0]
    told = []
    for (_, neuron), ax in zip(chosen.iterrows(), axes, strict=True):
        own = rows(tables, "responses", seed=neuron["seed"], neuron=neuron["neuron"])
        for (modality, choice), some in own.groupby(["modality", "choice"], sort=False):
            line = "-" if choice == "high" else "--"
            label = modality if choice == "high" else None
            colour = MODALITIES[str(modality)]["color"]
            ax.plot(some["time"], some["rate"], color=colour, linestyle=line, label=label)
        ax.axvspan(0, STIMULUS, color="0.92", linewidth=0, zorder=0)
        ax.set_title(f"{neuron['kind']}, neuron {neuron['neuron']}")
        ax.set_ylabel("rate $r$")
        told.append(
            f"{neuron['kind']}: neuron {neuron['neuron']}, η² of choice {neuron['choice']:.2f}, "
            f"of modality {neuron['modality']:.2f}."
        )
    axes[-1].set_xlabel("time since the stimulus began (ms)")
    style.legend(fig, axes[0])
    fig.set_label(CAPTION.format(seed=chosen["seed"].iloc[0], told=" ".join(told)))
    return fig
