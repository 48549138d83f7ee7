"""The ways to ask a network that figures compare: names, looks, and which of them a rule has."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from sascli.figures.draw import style

NAMES = {"mean": "mean network", "ensemble": "sampled ensemble", "mean_field": "mean field"}


def main_rule(table: pd.DataFrame) -> str:
    """gBP where the table has it, else its first rule."""
    found = table["rule"].unique()
    return "gbp" if "gbp" in found else str(found[0])


def curves(table: pd.DataFrame) -> Iterator[tuple[str, dict[str, Any], pd.DataFrame]]:
    """Label, look and rows of each way of the main rule, then of the mean network of BP."""
    rule = main_rule(table)
    asked = [(rule, way) for way in NAMES]
    asked += [(other, "mean") for other in table["rule"].unique() if other != rule]
    for (own, way), look in zip(asked, style.LOOKS, strict=False):
        some = table[(table["rule"] == own) & (table["way"] == way)]
        name = style.RULES[own][0] if own in style.RULES else own
        yield (f"{name}, {NAMES[way]}" if own == rule else name), look, some
