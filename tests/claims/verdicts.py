"""Assertions on verdicts, shared by the tests of every study's claims."""

import re
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

import pandas as pd
import pytest

from sascli.claims.check import Check, Tables


def cases(violations: Iterable[tuple[int, str, Any]]) -> Any:
    """Parameters `claim` and `change`, one for each violation."""
    parameters = [
        pytest.param(claim, change, id=f"{claim}: {name}") for claim, name, change in violations
    ]
    return pytest.mark.parametrize(("claim", "change"), parameters)


def assert_all_hold(judged: pd.DataFrame, count: int, seeds: int = 3) -> None:
    """Claims 1 to `count`, the index, hold over `seeds` seeds."""
    assert list(judged.index) == list(range(1, count + 1))
    assert list(judged["verdict"]) == ["holds"] * count, judged["detail"].tolist()
    assert (judged["n_seeds"] == seeds).all()


def assert_fails(row: pd.Series) -> None:
    """A claim does not hold, and its detail names the check that fails."""
    assert row["verdict"] == "does not hold"
    assert "(fails)" in row["detail"]


def assert_every_check_can_fail(
    register: str,
    tables: Callable[[], dict[str, pd.DataFrame]],
    reference: dict[str, int],
    violations: Iterable[tuple[int, str, Any]],
) -> None:
    """Each kind of check of each claim fails by a violation, whatever the layer and protocol."""

    def kind(check: Check) -> str:
        return re.sub(r"\d+|^\w+: ", "", check.what)

    made = {claim.number: claim for claim in import_module(f"sascli.claims.{register}").CLAIMS}
    failed = dict.fromkeys(made, frozenset[str]())
    for number, _, change in violations:
        broken = tables()
        change(broken)
        checks = made[number].checks(Tables(broken, reference))
        failed[number] |= {kind(check) for check in checks if not check.holds}
    for number, claim in made.items():
        checks = claim.checks(Tables(tables(), reference))
        assert {kind(check) for check in checks} <= failed[number], number
