"""Tables -> which of a study's claims hold, by rules.

They were fixed before results were seen; where one was not, the document of its study says so.
Every claim comes down to checks: a number per seed whose mean must clear a bound by two standard
errors over seeds, so that noise alone confirms nothing. What the paper only denies ("not worse",
"does not rise") need not be shown: there the mean may miss the bound by the noise. A claim holds
when all its checks do.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd

from sascli.claims.check import Claim, MissingError, Results, number

HOLDS, FAILS, UNMEASURED = "holds", "does not hold", "not measured"
NOTE = "SE: standard error over seeds, std / sqrt(n); taken as 0 where there is one seed."
SAME = (4, 5, 6, 7, 9, 12)  # the claims by which two data sets are compared

Directory = tuple[Mapping[str, pd.DataFrame], Mapping[str, int]]


def evaluate(
    tables: Mapping[str, pd.DataFrame],
    reference: Mapping[str, int],
    other: Directory | None = None,
    register: str = "credit",
) -> pd.DataFrame:
    """Measure the claims of a module of this package.

    `tables` and `reference` are those of one directory of a study, `other` those of a second
    one on another data set, which claim 15 of the paper needs. One row per claim: claim,
    statement, statistic, mean, std (over seeds, ddof 1), n_seeds, rule, verdict, detail.
    Statistic, mean, std and n_seeds are those of the check that decides: the first that fails,
    else the first; detail lists them all, or says what is missing.
    """
    known = import_module(f"{__name__}.{register}").CLAIMS
    here = [_judged(claim, Results(tables, reference)) for claim in known]
    there = [_judged(claim, Results(*other)) for claim in known] if other else []
    if register == "credit":
        here.append(_compared(here, there))
    return pd.DataFrame(here).sort_values("claim", ignore_index=True)


def as_text(claims: pd.DataFrame) -> str:
    """One line per claim and what they come to."""
    lines = [
        f"{row.claim:>2}  {row.verdict:<13}  {row.statement} {measured(row)}. Rule: {row.rule}"
        for row in claims.itertuples()
    ]
    return "\n".join([*lines, summary(claims), NOTE])


def as_markdown(claims: pd.DataFrame) -> str:
    """A table with a row per claim and what they come to."""
    lines = ["| | statement | verdict | measured | rule |", "|-|-|-|-|-|"]
    for row in claims.itertuples():
        cells = (row.claim, row.statement, row.verdict, measured(row), row.rule)
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*lines, "", summary(claims), "", NOTE])


def summary(claims: pd.DataFrame) -> str:
    """How many claims came out which way."""
    count = claims["verdict"].value_counts()
    return ", ".join(f"{key}: {count.get(key, 0)}" for key in (HOLDS, FAILS, UNMEASURED)) + "."


def measured(row: Any) -> str:
    """What was measured for a row of `evaluate`, with its spread; or what is missing."""
    if row.verdict == UNMEASURED:
        return str(row.detail)
    return f"{row.statistic}: {number(row.mean, row.std)} over {seeds(row.n_seeds)}"


def seeds(n: int) -> str:
    """A number of seeds in words."""
    return f"{n} seed{'s' * (n > 1)}"


def _judged(claim: Claim, results: Results) -> dict[str, object]:
    """The row of one claim."""
    head = {"claim": claim.number, "statement": claim.statement}
    try:
        checks = claim.checks(results)
        if not checks or any(check.values.empty for check in checks):
            raise MissingError("no seed has all that is compared")
    except MissingError as missing:
        return head | _unmeasured(claim.rule, str(missing))
    failed = [check for check in checks if not check.holds]
    decides = (failed or checks)[0]
    return head | {
        "statistic": decides.what,
        "mean": decides.mean,
        "std": decides.std,
        "n_seeds": len(decides.values),
        "rule": claim.rule,
        "verdict": FAILS if failed else HOLDS,
        "detail": "; ".join(map(str, checks)),
    }


def _compared(here: list[dict[str, object]], there: list[dict[str, object]]) -> dict[str, object]:
    """The row of claim 15, from the other rows of two data sets."""
    head: dict[str, object] = {"claim": 15, "statement": "CIFAR-10 looks qualitatively the same."}
    rule = (
        f"Claims {', '.join(map(str, SAME))} hold on both data sets: to fail on both is no "
        "likeness. Not measured where one of them is not."
    )
    pairs = [(a, b) for a, b in zip(here, there, strict=False) if a["claim"] in SAME]
    verdicts = {a["claim"]: (a["verdict"], b["verdict"]) for a, b in pairs}
    detail = "; ".join(f"{n}: {a} / {b}" for n, (a, b) in verdicts.items())
    reasons = {
        str(row["detail"]): None
        for row in (*here, *there)
        if row["claim"] in SAME and row["verdict"] == UNMEASURED
    }
    if reasons:
        return head | _unmeasured(rule, "; ".join([*reasons, detail] if pairs else reasons))
    if not pairs:
        return head | _unmeasured(rule, "tables of a second data set are needed")
    same = sum(a == b == HOLDS for a, b in verdicts.values())
    return head | {
        "statistic": f"claims that hold on both, of {len(SAME)}",
        "mean": float(same),
        "std": np.nan,
        "n_seeds": min(int(str(row["n_seeds"])) for pair in pairs for row in pair),
        "rule": rule,
        "verdict": HOLDS if same == len(SAME) else FAILS,
        "detail": detail,
    }


def _unmeasured(rule: str, why: str) -> dict[str, object]:
    nothing = {"statistic": "", "mean": np.nan, "std": np.nan, "n_seeds": 0}
    return nothing | {"rule": rule, "verdict": UNMEASURED, "detail": why}
