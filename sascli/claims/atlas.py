"""The atlas: the credit study's claims at settings around the published one, also in words.

The rules are those of `sascli.claims.credit`, unchanged. A setting is asked at its own depth, T
and number of steps; a claim about several T or depths is not measured where there is one.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from sascli import claims
from sascli.claims.credit import CLAIMS as CLAIMS

PUBLISHED = "published"
"""The factor and the setting of the credit study itself, with all its T and depths."""
COLUMNS = ["factor", "setting", "claim", "statistic", "mean", "se", "n_seeds", "margin"]
COLUMNS += ["verdict", "detail"]


def judged(
    factor: str, setting: str, tables: Mapping[str, pd.DataFrame], reference: Mapping[str, int]
) -> pd.DataFrame:
    """The rows of atlas.csv of one setting, whose tables these are."""
    table = pd.DataFrame(claims.judged(tables, reference, "atlas"))
    several = table["n_seeds"] > 1  # as in a check, one seed has no error
    error = (table["std"] / np.sqrt(table["n_seeds"])).where(several, 0.0)
    se = error.where(table["verdict"] != claims.UNMEASURED)
    return table.assign(factor=factor, setting=setting, se=se)[COLUMNS]


def skipped(factor: str, setting: str, why: str) -> pd.DataFrame:
    """The rows of a setting that could not be trained, with the reason."""
    nowhere = dict.fromkeys(("depth", "train_size", "deep"), 0)
    return judged(factor, setting, {}, nowhere).assign(detail=why)


def in_words(atlas: pd.DataFrame) -> list[str]:
    """A line for each claim: where it holds."""
    return [
        f"{claim.number}. {claim.statement} {extent(atlas[atlas['claim'] == claim.number])}"
        for claim in CLAIMS
    ]


def extent(rows: pd.DataFrame) -> str:
    """Where a claim holds, from its rows of atlas.csv: the published verdict, then by factor."""
    published = rows[rows["factor"] == PUBLISHED]["verdict"]
    everywhere, nowhere = list[str](), list[str]()
    parts = [f"Published: {', '.join(published)}."]
    for factor, group in rows[rows["factor"] != PUBLISHED].groupby("factor", sort=False):
        measured = group[group["verdict"] != claims.UNMEASURED]
        holds, part = list(measured["verdict"] == claims.HOLDS), len(measured) < len(group)
        number = f"{len(holds)} of {len(group)}" if part else f"{len(holds)}"
        if all(holds) or not any(holds):
            if holds:
                (everywhere if all(holds) else nowhere).append(f"{factor} ({number})")
        else:
            where = boundary(list(measured["setting"]), holds, ordered=not part)
            parts.append(f"{factor}{f', measured at {number}' * part}: {where}.")
    if everywhere:
        parts.append(f"Holds at every measured setting of {', '.join(everywhere)}.")
    if nowhere:
        parts.append(f"Holds at no measured setting of {', '.join(nowhere)}.")
    return " ".join(parts)


def boundary(settings: Sequence[str], holds: Sequence[bool], ordered: bool = True) -> str:
    """Where it holds and where it does not, by an inequality where one number orders them.

    Without `ordered` by a list: an inequality would speak of settings that were not measured.

    Settings are named by their first word's value where it tells them apart.
    """
    words = [setting.split()[0].partition("=") for setting in settings]
    (key, *_), values = words[0], [value for _, _, value in words]
    same = {name for name, _, _ in words} == {key}
    change = [a != b for a, b in pairwise(holds)]
    steps = pd.to_numeric(pd.Series(values), errors="coerce").diff()[1:]  # NaN without numbers
    if ordered and sum(change) == 1 and same and (steps > 0).all():
        last = change.index(True)  # before the change
        if holds[0]:
            return f"holds for {key} <= {values[last]}, lost beyond"
        return f"holds for {key} >= {values[last + 1]}, not below"
    brief = same and len(set(values)) == len(values)
    names = values if brief else settings
    lists = [
        ", ".join(name for name, held in zip(names, holds, strict=True) if held is value)
        for value in (True, False)
    ]
    return f"holds at {f'{key}=' if brief else ''}{lists[0]}; not at {lists[1]}"
