"""Removing VIP-like connections of the recurrent layer, or as many others."""

import pandas as pd
from matplotlib.figure import Figure

from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables, over_seeds, rows, seeds
from sascli.figures.temporal.temporal_accuracy import models

TABLES = ("perturbation",)
CAPTION = (
    "Test error (%) of gBP against the fraction f of the VIP-like recurrent connections (small π, "
    "small Ξ and large |m|) that are switched off, beside as many random ones, of all and of "
    "those that are neither VIP-like nor have π near 1; and of the VIP-like ones that have a "
    "counterpart of the same |m| which is not VIP-like, beside these counterparts. {columns} "
    "Above: {digits}; below: the multisensory task. Points: mean over seeds of each seed's "
    "average over {samples} draws; {bars}."
)
COLUMNS = {
    "published": ("published thresholds", "π ≤ 0.1, Ξ < 0.1 and |m| > 0.08, tested by the mean "
                  "field (π := 1)"),
    "ours": ("preset's thresholds", "the preset's thresholds, tested by sampled networks"),
}  # fmt: skip
LOOKS = {
    "vip_off": ("VIP-like", style.LOOKS[0]),
    "random_off": ("random", style.LOOKS[1]),
    "other_off": ("others", style.LOOKS[3]),
    "paired_off": ("VIP-like, paired", style.LOOKS[0] | {"marker": "D", "linestyle": ":"}),
    "matched_off": ("same |m|", style.LOOKS[2]),
}


def of_criterion(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows by whose thresholds they are; a table of before has only ours."""
    if "criterion" not in table:
        return {"ours": table}
    parts = dict(list(table.groupby("criterion")))
    return {name: parts[name] for name in COLUMNS if name in parts}


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """A row of panels per model, a column per set of thresholds, a curve per kind."""
    table = rows(tables, "perturbation")
    columns = of_criterion(table)
    fig = style.figure(3.8)
    axes = fig.subplots(2, len(columns), sharey="row", squeeze=False)
    for line, (name, model) in zip(axes, models(reference), strict=True):
        for ax, (criterion, part) in zip(line, columns.items(), strict=True):
            for kind, (label, look) in LOOKS.items():
                curve = part[(part["model"] == model) & (part["kind"] == kind)]
                if not curve.empty:
                    error = 100 * over_seeds(curve, "test_error", "fraction")[["mean", "std"]]
                    style.bars(ax, error, look, label, markerfacecolor="white", markersize=3)
            ax.set_title(COLUMNS[criterion][0] if line is axes[0] else "")
        line[0].set_ylabel(f"{name.split()[0]}: error (%)")
    fig.supxlabel("fraction of VIP-like connections $f$", fontsize=8)
    style.legend(fig, axes[0, -1], ncols=3)
    meaning = "; ".join(COLUMNS[criterion][1] for criterion in columns)
    meaning = f"{'Left, right' if len(columns) > 1 else 'VIP-like'}: {meaning}."
    samples = table["sample"].nunique()
    bars = seeds(table)
    fig.set_label(
        CAPTION.format(digits=reference["digits"], columns=meaning, samples=samples, bars=bars)
    )
    return fig
