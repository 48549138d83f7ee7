"""The claims on the use of credit: each can hold, fail and be unmeasured."""

from collections.abc import Callable

import pandas as pd
import pytest
import use_tables as maker
from verdicts import assert_all_hold, assert_every_check_can_fail, assert_fails, cases

from sascli import claims

VIOLATIONS = maker.violations()
COUNT = 10


def judged(made: maker.Tables) -> pd.DataFrame:
    return claims.evaluate(made, maker.REFERENCE, register="use").set_index("claim")


def test_every_claim_holds_on_conforming_tables() -> None:
    assert_all_hold(judged(maker.tables()), COUNT)


@cases(VIOLATIONS)
def test_violated_claim_does_not_hold(claim: int, change: Callable[[maker.Tables], None]) -> None:
    made = maker.tables()
    change(made)
    assert_fails(judged(made).loc[claim])


def test_every_claim_has_a_violation() -> None:
    assert {claim for claim, _, _ in VIOLATIONS} == set(range(1, COUNT + 1))


def test_every_check_of_a_claim_can_fail() -> None:
    assert_every_check_can_fail("use", maker.tables, maker.REFERENCE, VIOLATIONS)


@pytest.mark.parametrize(
    ("table", "query", "unmeasured"),
    [
        ("pruning", "criterion != 'threshold'", [1]),
        ("pruning", "criterion != 'snr'", [2, 4, 5]),
        ("pruning", "criterion != 'pi'", [3, 4, 5]),
        ("pruning", "rule == 'gbp'", [4, 5]),
        ("pruning", "level > 0.5", [2, 3, 4, 5]),
        ("pruning", "epochs == 0", [5]),
        ("evaluation", "way != 'ensemble'", [6]),
        ("uncertainty", "kind == 'wrong'", [7]),
        ("continual_summary", "method != 'vip'", [8, 10]),
        ("continual_summary", "method != 'certainty'", [9, 10]),
        ("continual_summary", "method != 'ewc'", [10]),
        ("continual_summary", "method != 'gbp'", [8, 9]),
    ],
)
def test_claim_without_its_rows_is_not_measured(
    table: str, query: str, unmeasured: list[int]
) -> None:
    made = maker.tables()
    made[table] = made[table].query(query)
    result = judged(made)
    assert list(result.index[result["verdict"] == "not measured"]) == unmeasured


def test_fractions_up_to_a_half_have_equal_weight() -> None:
    """The mean is over fractions, not over rows, without the largest fraction."""
    made = maker.tables()
    table = made["pruning"].query("epochs == 0 and rule == 'gbp' and level <= 0.5")
    mean = table.groupby(["criterion", "seed"])["test_accuracy"].mean()
    row = judged(made).loc[2]
    expected = 100 * (mean["snr"] - mean["magnitude"])
    assert row["mean"] == pytest.approx(expected.mean())
    assert row["std"] == pytest.approx(expected.std())
