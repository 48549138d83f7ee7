"""Every claim on the recurrent network can hold, fail and be unmeasured."""

import pandas as pd
import pytest
import tables as maker
import temporal_tables as made_up
from verdicts import assert_all_hold, assert_fails, cases

from sascli import claims

NEEDS = {
    1: "history", 2: "redraw", 3: "perturbation", 4: "sigmoids", 5: "psychometric",
    6: "selectivity", 7: "kernel_decay", 8: "redraw",
}  # fmt: skip
VIOLATIONS = made_up.violations()


def judged(made: maker.Tables) -> pd.DataFrame:
    table = claims.evaluate(made, made_up.REFERENCE, register="temporal")
    return table.set_index("claim")


def test_every_claim_holds_on_conforming_tables() -> None:
    assert_all_hold(judged(made_up.tables()), len(NEEDS))


@cases(VIOLATIONS)
def test_violated_claim_does_not_hold(claim: int, change: made_up.Change) -> None:
    made = made_up.tables()
    change(made)
    assert_fails(judged(made).loc[claim])


def test_every_claim_has_a_violation() -> None:
    assert {claim for claim, _, _ in VIOLATIONS} == set(NEEDS)


@pytest.mark.parametrize("claim", NEEDS)
def test_claim_without_its_table_is_not_measured(claim: int) -> None:
    made = made_up.tables()
    del made[NEEDS[claim]]
    row = judged(made).loc[claim]
    assert row["verdict"] == "not measured"
    assert f"{NEEDS[claim]}.csv" in row["detail"]


def test_removing_nothing_measures_nothing() -> None:
    made = made_up.tables()
    made["perturbation"]["n_weights"] = 0
    row = judged(made).loc[3]
    assert row["verdict"] == "not measured"
    assert "rnn_rows has no VIP-like connections" in row["detail"]


def test_the_step_that_rises_least_is_named() -> None:
    made = made_up.tables()
    table = made["psychometric"]
    table.loc[(table["frequency"] == 14) & (table["modality"] == "a"), "high"] = 0.3
    assert "least rise of high choices, a, up to 14 events / s" in judged(made).loc[5, "detail"]
