"""The prediction modes that figures compare: names, looks, and which of them a rule has."""

from collections.abc import Iterator

import pandas as pd

from sascli.figures.draw import style

NAMES = {
    "mean": "mean network",
    "ensemble": "sampled",
    "mean_field": "mean field",
    "field": "mean field",
    "sampled": "sampled once",
    "once": "sampled once",
    "redrawn": "sampled at every step",
    "step": "sampled at every step",
}
"""By the values in the tables; the last four are of recurrent networks."""


def main_rule(table: pd.DataFrame) -> str:
    """gBP where the table has it, else its first rule; gBP of an empty one."""
    rules = table["rule"].unique()
    return "gbp" if "gbp" in rules else str(next(iter(rules), "gbp"))


def by_mode(table: pd.DataFrame) -> Iterator[tuple[style.Look, pd.DataFrame]]:
    """Look and rows of each mode of the main rule, then of the mean network of the other."""
    main = main_rule(table)
    curves = [(main, mode) for mode in ("mean", "ensemble", "mean_field")]
    curves += [(rule, "mean") for rule in table["rule"].unique() if rule != main]
    for (rule, mode), look in zip(curves, style.LOOKS, strict=False):
        name = style.rule_name(rule)
        label = f"{name}, {NAMES[mode]}" if rule == main else name
        part = table[(table["rule"] == rule) & (table["way"] == mode)]
        yield look | {"label": label}, part
