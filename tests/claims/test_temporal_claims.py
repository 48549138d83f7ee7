"""Every claim on the recurrent network can hold, fail and be unmeasured."""

import pandas as pd
import pytest
import tables as maker
import temporal_tables as made_up
from verdicts import assert_all_hold, assert_fails, cases

from sascli import claims

NEEDS = {
    1: "history", 2: "redraw", 3: "perturbation", 4: "sigmoids", 5: "psychometric",
    6: "selectivity", 7: "kernel_decay", 8: "redraw", 9: "order_parameters", 10: "redraw",
    11: "entropy_epochs", 12: "redraw",
}  # fmt: skip
VIOLATIONS = made_up.violations()


def judged(made: maker.Tables) -> pd.DataFrame:
    table = claims.evaluate(made, made_up.REFERENCE, register="temporal")
    return table.set_index("claim")


def test_every_claim_holds_on_conforming_tables() -> None:
    assert_all_hold(judged(made_up.tables()), len(NEEDS), seeds=5)


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


def test_perturbation_without_weights_is_not_measured() -> None:
    for kinds, whose in ((["paired_off", "matched_off"], "others of the same"), ([], "random")):
        made = made_up.tables()
        table = made["perturbation"]
        chosen = table["kind"].isin(kinds) if kinds else table["n_weights"] > 0
        table.loc[chosen, "n_weights"] = 0
        row = judged(made).loc[3]
        assert row["verdict"] == "not measured"
        assert f"rnn_rows has no VIP-like connections, or none with {whose}" in row["detail"]


def test_tables_of_earlier_versions_leave_claims_unmeasured() -> None:
    made = made_up.tables()
    del made["perturbation"]["criterion"], made["redraw"]["field_accuracy"]
    del made["selectivity"]["network"]
    table = judged(made)
    assert list(table.index[table["verdict"] == "not measured"]) == [2, 3, 6, 12]
    assert "no column" in table.loc[6, "detail"]


@pytest.mark.parametrize("claim", [2, 12])
def test_sampling_needs_five_seeds(claim: int) -> None:
    row = judged(made_up.tables(seeds=4)).loc[claim]
    assert row["verdict"] == "not measured" and "5 seeds are needed" in row["detail"]


def test_sampling_may_lose_as_much_as_published() -> None:
    """A mean loss equal to the published one holds if its error is small enough."""
    for spread, verdict in ((0.0005, "holds"), (0.05, "does not hold")):
        made = made_up.tables()
        table = made["redraw"]
        once = (table["model"] == "multisensory") & (table["redraw"] == "once")
        seed = table["seed"] - table["seed"].mean()
        table.loc[once, "test_accuracy"] = table["field_accuracy"] - 0.0312 + spread * seed
        assert judged(made).loc[2, "verdict"] == verdict, spread


def test_networks_without_counterparts_are_left_out() -> None:
    made = made_up.tables()
    table = made["perturbation"]
    paired = table["kind"].isin(["paired_off", "matched_off"])
    table.loc[paired & (table["seed"] < 2), "n_weights"] = 0
    table.loc[paired & (table["seed"] < 2), "test_error"] = 0.5
    assert judged(made).loc[3, "verdict"] == "holds"


def test_mixed_neurons_before_training_do_not_decide() -> None:
    """As many mixed neurons before training as after do not affect the rule."""
    table = made_up.tables()["selectivity"]
    mixed = (table["kind"] == "mixed").groupby(table["network"]).sum()
    assert mixed["trained"] == mixed["untrained"] > 0
    assert judged({"selectivity": table}).loc[6, "verdict"] == "holds"


def test_entropy_ends_at_the_last_epoch_of_each_network() -> None:
    made = made_up.tables()
    table = made["entropy_epochs"]
    last = table.groupby(["model", "seed"])["epoch"].transform("max")
    task = table["model"] == "multisensory"
    assert table[task & (table["epoch"] == last)]["epoch"].nunique() == 5
    table.loc[task & (table["epoch"] == last), "mean"] = 1.0
    assert judged(made).loc[11, "verdict"] == "does not hold"
