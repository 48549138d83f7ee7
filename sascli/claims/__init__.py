"""Tables -> which of a study's claims hold, by rules.

The rules were fixed before results were seen; the document of a study names the exceptions. Every
claim consists of checks: a number per seed whose mean must clear a bound by two standard errors
over seeds, so that noise alone confirms nothing. What the paper only denies ("not worse", "does
not rise") need not be shown: there the mean may miss the bound by the noise. A claim holds when
all its checks do.
"""

from collections.abc import Mapping
from importlib import import_module
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd

from sascli.claims.check import Claim, MissingError, Tables, number
from sascli.errors import UserError

INDENT = " " * 19
"""The columns of a claim's number and verdict."""
HOLDS, FAILS, UNMEASURED = "holds", "does not hold", "not measured"
NOTE = (
    "±: standard deviation (std) over seeds; SE: standard error, std / sqrt(n), taken as 0 where "
    "there is one seed."
)
COLUMNS = [
    "claim", "statement", "statistic", "mean", "std", "n_seeds", "rule", "verdict", "detail",
]  # fmt: skip
SAME = (4, 5, 6, 7, 9, 12)  # the claims by which two data sets are compared

Directory = tuple[Mapping[str, pd.DataFrame], Mapping[str, int]]
Row = dict[str, object]
EMPTY: Row = {
    "statistic": "", "mean": np.nan, "std": np.nan, "margin": np.nan, "n_seeds": 0,
    "verdict": UNMEASURED,
}  # fmt: skip


def evaluate(
    tables: Mapping[str, pd.DataFrame],
    reference: Mapping[str, int],
    other: Directory | None = None,
    register: str = "credit",
) -> pd.DataFrame:
    """Measure the claims of a module of this package.

    `tables` and `reference` are those of one directory of a study, `other` those of a second
    one on another data set, which claim 15 of the paper needs. A row per claim; statistic, mean,
    std (over seeds, ddof 1) and n_seeds are those of the check that decides: the first that
    fails, else the first; detail lists all checks, or what is missing.
    """
    rows = judged(tables, reference, register)
    if register == "credit":
        second = judged(*other, register) if other else []
        rows.append(_compared(rows, second))
    return pd.DataFrame(rows, columns=COLUMNS).sort_values("claim", ignore_index=True)


def judged(
    tables: Mapping[str, pd.DataFrame], reference: Mapping[str, int], register: str = "credit"
) -> list[Row]:
    """The rows of `evaluate` from one directory, with the margin of the check that decides."""
    known = import_module(f"{__name__}.{register}").CLAIMS
    return [_judged(claim, Tables(tables, reference)) for claim in known]


def as_text(claims: pd.DataFrame, width: int | None = None) -> str:
    """One line per claim, broken between words where there is a `width`; counts by verdict."""
    lines = [
        f"{row.claim:>2}  {row.verdict:<13}  {row.statement} {measured(row)}. Rule: {row.rule}"
        for row in claims.itertuples()
    ]
    if width is not None:
        lines = [fill(line, width, subsequent_indent=INDENT) for line in lines]
    return "\n".join([*lines, summary(claims), NOTE if width is None else fill(NOTE, width)])


def as_markdown(claims: pd.DataFrame) -> str:
    """A table with a row per claim, and their counts by verdict."""
    lines = ["| | statement | verdict | measured | rule |", "|-|-|-|-|-|"]
    for row in claims.itertuples():
        cells = (row.claim, row.statement, row.verdict, measured(row), row.rule)
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*lines, "", summary(claims), "", NOTE])


def summary(claims: pd.DataFrame) -> str:
    """The number of claims with each verdict."""
    count = claims["verdict"].value_counts()
    return ", ".join(f"{key}: {count.get(key, 0)}" for key in (HOLDS, FAILS, UNMEASURED)) + "."


def measured(row: Any) -> str:
    """The statistic of a row of `evaluate` with its spread; or what is missing."""
    if row.verdict == UNMEASURED:
        return str(row.detail)
    return f"{row.statistic}: {number(row.mean, row.std)} over {seeds(row.n_seeds)}"


def seeds(n: int) -> str:
    """A number of seeds in words."""
    return f"{n} seed{'s' * (n > 1)}"


def _judged(claim: Claim, tables: Tables) -> Row:
    """The row of one claim."""
    row: Row = {"claim": claim.number, "statement": claim.statement, "rule": claim.rule}
    try:
        checks = claim.checks(tables)
        if not checks or any(check.values.empty for check in checks):
            raise MissingError("no seed has all values that are compared")
    except UserError as missing:
        return row | EMPTY | {"detail": str(missing)}
    failed = [check for check in checks if not check.holds]
    deciding = (failed or checks)[0]
    return row | {
        "statistic": deciding.what,
        "mean": deciding.mean,
        "std": deciding.std,
        "margin": deciding.margin,
        "n_seeds": len(deciding.values),
        "verdict": FAILS if failed else HOLDS,
        "detail": "; ".join(map(str, checks)),
    }


def _compared(first: list[Row], second: list[Row]) -> Row:
    """The row of claim 15, from the other rows of two data sets."""
    rule = (
        f"Claims {', '.join(map(str, SAME))} hold on both data sets; failing on both does not "
        "count. Not measured where one of them is not."
    )
    head: Row = {"claim": 15, "statement": "CIFAR-10 looks qualitatively the same.", "rule": rule}
    first, second = ([row for row in rows if row["claim"] in SAME] for rows in (first, second))
    pairs = list(zip(first, second, strict=False))  # none without a second data set
    detail = "; ".join(f"{a['claim']}: {a['verdict']} / {b['verdict']}" for a, b in pairs)
    unmeasured = [row["detail"] for row in (*first, *second) if row["verdict"] == UNMEASURED]
    if unmeasured or not second:
        missing = [*dict.fromkeys(map(str, unmeasured)), detail]
        why = "; ".join(filter(None, missing)) or "tables of a second data set are needed"
        return head | EMPTY | {"detail": why}
    same = sum(a["verdict"] == b["verdict"] == HOLDS for a, b in pairs)
    return head | {
        "statistic": f"claims that hold on both, of {len(SAME)}",
        "mean": float(same),
        "std": np.nan,
        "n_seeds": min(int(str(row["n_seeds"])) for row in (*first, *second)),
        "verdict": HOLDS if same == len(SAME) else FAILS,
        "detail": detail,
    }
