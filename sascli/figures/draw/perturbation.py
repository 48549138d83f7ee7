"""Test error after perturbations: of all kinds, and its change for all but the strongest."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from sascli.figures.draw import style
from sascli.figures.draw.curves import curves

KINDS: dict[str, style.Look] = style.labelled(
    {"vip_off": "VIPs off", "random_off": "random off", "other_off": "others off"}
    | {"uip_on": "UIPs on"}
)
KINDS["paired_off"] = {"color": style.BLUE, "marker": "D", "linestyle": ":"}
KINDS["paired_off"]["label"] = "VIPs off, paired"
KINDS["matched_off"] = {"color": style.YELLOW, "marker": "v", "linestyle": "--"}
KINDS["matched_off"]["label"] = "same $|m|$ off"
MEANINGS = {
    "vip_off": "f times the number of VIPs are switched off among the VIPs",
    "random_off": "as many among all",
    "other_off": "as many among those that are neither VIP nor UIP",
    "uip_on": "f times the number of UIPs are switched on",
    "paired_off": "off are VIPs that have a counterpart of the same |m|",
    "matched_off": "off are these counterparts, which are no VIPs",
}


def perturbed(fig: Figure, parts: Mapping[str, pd.DataFrame]) -> str:
    """Draw a row of panels for each part, by its title, and return the caption's sentences.

    Left: the error (%). Right, where there are several kinds and f = 0 is among the fractions:
    its change against f = 0 in percentage points, without the kind that changes it most, on an
    axis of its own.
    """
    together = pd.concat(parts.values())
    present = {kind: look for kind, look in KINDS.items() if (together["kind"] == kind).any()}
    changes = {title: changed(part) for title, part in parts.items()}
    strongest = strongest_of(pd.concat(changes.values()))
    columns = 1 if strongest is None else 2
    fig.set_figheight(0.6 + 1.7 * len(parts))
    grid = fig.subplots(len(parts), columns, squeeze=False, sharex=True)
    for axes, (title, part) in zip(grid, parts.items(), strict=True):
        curves(axes[0], part, "fraction", "test_error", "kind", present, scale=100)
        axes[0].set_ylabel("test error (%)")
        axes[0].set_title(title if len(parts) > 1 else "", loc="left")
        if strongest is not None:
            weak = {kind: look for kind, look in present.items() if kind != strongest}
            curves(axes[1], changes[title], "fraction", "change", "kind", weak, scale=100)
            axes[1].set_ylabel("change (points)")
    for ax in grid[-1]:
        ax.set(xlabel="fraction perturbed $f$", xlim=(-0.05, 1.05), xticks=[0, 0.5, 1])
    style.legend(fig, grid[0, 0])
    text = f"{'; '.join(MEANINGS[kind] for kind in present)}."
    if strongest is None:
        return text
    text += " Right: its change against f = 0, in percentage points, without"
    return f"{text} \u201c{KINDS[strongest]['label']}\u201d."


def changed(table: pd.DataFrame) -> pd.DataFrame:
    """The mean error of each seed, kind and fraction less that of f = 0; empty without f = 0."""
    keys = ["seed", "kind", "fraction"]
    error = table.groupby(keys, as_index=False)["test_error"].mean()
    start = error[error["fraction"] == 0].drop(columns="fraction")
    both: pd.DataFrame = error.merge(start, on=["seed", "kind"], suffixes=("", "_start"))
    return both.assign(change=both["test_error"] - both["test_error_start"])


def strongest_of(changes: pd.DataFrame) -> str | None:
    """The kind that changes the error most, None where there are not several fractions."""
    if changes["kind"].nunique() < 2 or changes["fraction"].nunique() < 2:
        return None
    means = changes.groupby(["kind", "fraction"])["change"].mean().abs()
    return str(means.groupby("kind").max().idxmax())
