"""Every claim can hold, fail and be unmeasured; the numbers are those of the tables."""

from collections.abc import Callable

import copi_tables
import numpy as np
import pandas as pd
import pytest
import tables as maker
from verdicts import assert_all_hold, assert_every_check_can_fail, assert_fails, cases

from sascli import claims
from sascli.claims.check import Check, MissingError
from sascli.claims.copi import largest_rates
from sascli.claims.shapes import by_seed, excess_at_zero, fraction, peak_at_zero, rms

NEEDS = {
    1: "history", 2: "datasize", 3: "datasize", 4: "datasize_layers", 5: "histograms",
    6: "histograms", 7: "histograms", 8: "datasize_layers", 9: "histograms",
    10: "datasize_layers", 11: "datasize_layers", 12: "perturbation", 13: "layers",
    14: "perturbation", 16: "histograms", 17: "datasize_layers",
}  # fmt: skip
VIOLATIONS = maker.violations()
OF_COPI = copi_tables.violations()


def verdict(made: maker.Tables, claim: int) -> pd.Series:
    result = claims.evaluate(made, maker.REFERENCE).set_index("claim")
    return result.loc[claim]


def claim_15(made: maker.Tables, *other: claims.Directory | None) -> pd.Series:
    """The row of claim 15."""
    return claims.evaluate(made, maker.REFERENCE, *other).set_index("claim").loc[15]


def test_every_claim_holds_on_conforming_tables() -> None:
    made = maker.tables()
    result = claims.evaluate(made, maker.REFERENCE, (made, maker.REFERENCE))
    assert_all_hold(result.set_index("claim"), 17)


@cases(VIOLATIONS)
def test_violated_claim_does_not_hold(claim: int, change: Callable[[maker.Tables], None]) -> None:
    made = maker.tables()
    change(made)
    assert_fails(verdict(made, claim))


def test_every_claim_has_a_violation() -> None:
    assert {claim for claim, _, _ in VIOLATIONS} == set(range(1, 18)) - {15}
    assert {claim for claim, _, _ in OF_COPI} == set(range(1, 7))


@pytest.mark.slow
def test_every_check_of_a_claim_can_fail() -> None:
    assert_every_check_can_fail("credit", maker.tables, maker.REFERENCE, VIOLATIONS)


def of_copi(made: copi_tables.Tables) -> pd.DataFrame:
    return claims.evaluate(made, copi_tables.PUBLISHED, register="copi").set_index("claim")


def test_every_claim_of_copi_holds_on_conforming_tables() -> None:
    assert_all_hold(of_copi(copi_tables.tables()), 6)


@cases(OF_COPI)
def test_violated_claim_of_copi_does_not_hold(
    claim: int, change: Callable[[copi_tables.Tables], None]
) -> None:
    made = copi_tables.tables()
    change(made)
    assert_fails(of_copi(made).loc[claim])


@pytest.mark.parametrize(
    ("table", "query", "unmeasured"),
    [
        ("history", "not point.str.startswith('bp-adam')", [1]),
        ("rates", "point != 'bp-plain'", [2]),
        ("rates", "factor == 1", [2]),
        ("rates", "factor != 0.1", [2]),  # plain BP learns at no other rate
        ("rates", "factor < 1 or point == 'copi-bp'", [2]),
        ("history", "point != 'copi-fa'", [3]),
        ("history", "point != 'copi-bp'", [1, 3, 6]),
        ("decorrelation", "point == 'copi-fa'", [4]),
        ("decorrelation", "epoch > 0", [4]),
        ("compression", "part == 'first'", [5]),
        ("linear", "train_size < 0", [6]),
    ],
)
def test_claim_of_copi_without_its_rows_is_not_measured(
    table: str, query: str, unmeasured: list[int]
) -> None:
    made = copi_tables.tables()
    made[table] = made[table].query(query)
    result = of_copi(made)
    assert list(result.index[result["verdict"] == "not measured"]) == unmeasured


@pytest.mark.parametrize(
    ("published", "statistic"),
    [(0.96, "COPI-BP - BP-Adam at its best rate, points"), (0.974, "COPI-BP - BP-Adam, points")],
)
def test_copi_is_compared_with_the_stronger_adam(published: float, statistic: str) -> None:
    made = copi_tables.tables()
    table = made["history"]
    last = (table["point"] == "bp-adam") & (table["epoch"] == copi_tables.EPOCHS)
    table.loc[last, "test_accuracy"] = published
    assert of_copi(made).loc[1, "statistic"] == statistic


def test_diverged_baseline_is_left_out() -> None:
    made = copi_tables.tables()
    copi_tables.lose(made, "bp-adam-best", 1)
    row = of_copi(made).loc[1]
    assert (row["verdict"], row["n_seeds"]) == ("holds", 2)
    for seed in (0, 2):
        copi_tables.lose(made, "bp-adam-best", seed)
    row = of_copi(made).loc[1]  # at its published rate it learns
    assert row["verdict"] == "holds" and row["statistic"] == "COPI-BP - BP-Adam, points"
    for seed in range(3):
        copi_tables.lose(made, "bp-adam", seed)
    assert of_copi(made).loc[1, "verdict"] == "not measured"


def test_copi_rate_at_the_end_of_the_grid_is_a_lower_bound() -> None:
    made = copi_tables.tables()
    inner = of_copi(made).loc[2]
    assert inner["verdict"] == "holds" and inner["mean"] == pytest.approx(1)
    assert "at least" not in inner["statistic"]
    rates = made["rates"]
    end = (rates["point"] == "copi-bp") & (rates["factor"] == 10)
    rates.loc[end, "validation_accuracy"] = 0.96
    outer = of_copi(made).loc[2]
    assert outer["verdict"] == "holds" and outer["mean"] == pytest.approx(2)
    assert outer["statistic"].endswith("at least")


def test_plain_bp_at_the_end_of_the_grid_is_not_measured() -> None:
    made = copi_tables.tables()
    rates = made["rates"]
    end = (rates["point"] == "bp-plain") & (rates["factor"] == 10) & (rates["seed"] == 1)
    rates.loc[end, "validation_accuracy"] = 0.8
    row = of_copi(made).loc[2]
    assert row["verdict"] == "not measured" and "preset.rates must go further" in row["detail"]


@pytest.mark.parametrize(
    ("accuracy", "learns"), [(0.97, True), (0.78, True), (0.77, False), (None, False)]
)
def test_network_learns_above_a_fraction_of_the_best(accuracy: float | None, learns: bool) -> None:
    rates = pd.DataFrame(
        {"point": "x", "factor": [1.0, 10.0], "lr": [0.1, 1.0], "seed": 0,
         "validation_accuracy": [0.97, accuracy]}
    )  # fmt: skip
    assert largest_rates(rates, "x").to_dict() == {0: 1.0 if learns else 0.1}


@pytest.mark.parametrize("key", ["depth", "width", "train_size"])
def test_compression_needs_a_published_network(key: str) -> None:
    made = copi_tables.tables()
    other = copi_tables.PUBLISHED | {key: 5}
    row = claims.evaluate(made, other, register="copi").set_index("claim").loc[5]
    assert row["verdict"] == "not measured" and "only on the published networks" in row["detail"]
    row = of_copi(made).loc[5]
    assert row["verdict"] == "holds" and "fall at k = 1, points" in row["detail"]


def test_fall_at_k_1_does_not_decide() -> None:
    made = copi_tables.tables()
    table = made["compression"]
    table.loc[(table["part"] == "last") & (table["k"] == 1), "test_accuracy"] = 0.5
    assert of_copi(made).loc[5, "verdict"] == "holds"


def test_tables_of_earlier_versions_have_the_same_verdicts() -> None:
    made = copi_tables.tables()
    del made["arms"], made["gains"]
    history = made["history"]
    made["history"] = history[~history["point"].str.endswith("-best")]
    assert list(of_copi(made)["verdict"]) == ["holds"] * 6


@pytest.mark.parametrize("claim", NEEDS)
def test_claim_without_its_table_is_not_measured(claim: int) -> None:
    made = maker.tables(seeds=1)
    del made[NEEDS[claim]]
    row = verdict(made, claim)
    assert row["verdict"] == "not measured"
    assert f"{NEEDS[claim]}.csv" in row["detail"]
    assert row["n_seeds"] == 0
    assert np.isnan(row["mean"])


@pytest.mark.parametrize(
    ("claim", "table", "query"),
    [
        (1, "history", "rule == 'gbp'"),
        (1, "history", "(rule == 'gbp') == (seed == 0)"),
        (2, "datasize", "train_size == 10_000"),
        (4, "datasize_layers", "layer < 3"),
        (8, "datasize_layers", "train_size in (1_000, 60_000)"),
        (10, "datasize_layers", "depth == 4"),
        (11, "datasize_layers", "train_size < 30_000"),
        (12, "perturbation", "fraction < 1"),
        (12, "perturbation", "kind != 'uip_on'"),
        (13, "layers", "layer == 1"),
        (13, "layers", "depth == 4"),
        (14, "perturbation", "layer == 1"),
        (16, "histograms", "parameter != 'pi'"),
        (17, "datasize_layers", "depth == 4"),
    ],
)
def test_claim_without_its_rows_is_not_measured(claim: int, table: str, query: str) -> None:
    made = maker.tables()
    made[table] = made[table].query(query)
    assert verdict(made, claim)["verdict"] == "not measured"


def test_empty_cells_are_not_measured() -> None:
    made = maker.tables()
    made["datasize"]["sampled_error_std"] = np.nan
    assert verdict(made, 3)["verdict"] == "not measured"


@pytest.mark.parametrize(("broken", "expected"), [((4,), "does not hold"), ((13,), "holds")])
def test_claim_15_counts_six_claims(broken: tuple[int, ...], expected: str) -> None:
    other = (maker.violate(maker.tables(), *broken), maker.REFERENCE)
    row = claim_15(maker.tables(), other)
    assert row["verdict"] == expected
    assert row["mean"] == 6 - (4 in broken)


def test_claim_15_fails_where_both_data_sets_fail() -> None:
    made = maker.violate(maker.tables(), 4, 7)
    row = claim_15(made, (made, maker.REFERENCE))
    assert (row["verdict"], row["mean"]) == ("does not hold", 4)


SHORT = maker.REFERENCE | {"steps": 7_500, "published_steps": 25_000}


@pytest.mark.slow
@pytest.mark.parametrize("broken", [(), (1,), (5,), (16,)])
def test_claims_on_trained_networks_need_published_steps(
    broken: tuple[int, ...],
) -> None:
    made = maker.violate(maker.tables(), *broken)
    for other in (None, (maker.tables(), maker.REFERENCE)):
        result = claims.evaluate(made, SHORT, other).set_index("claim")
        unmeasured = result[result["verdict"] == "not measured"]
        assert list(unmeasured.index) == [1, 5, 15, 16]
        reported = unmeasured["detail"].str.contains("trained for fewer steps than published")
        assert reported.all() and unmeasured.loc[1, "detail"].endswith("7500 of 25000")
    second = claim_15(maker.tables(), (made, SHORT))
    assert second["verdict"] == "not measured" and "fewer steps" in second["detail"]


@pytest.mark.parametrize(
    "reference",
    [SHORT | {"steps": 25_000}, {**maker.REFERENCE, "steps": 600}, maker.REFERENCE],
    ids=["as published", "nothing published", "older directory"],
)
def test_published_steps_measure_every_claim(reference: dict[str, int]) -> None:
    made = maker.violate(maker.tables(), 1, 5)
    result = claims.evaluate(made, reference).set_index("claim")
    assert list(result.index[result["verdict"] == "does not hold"]) == [1, 5, 16]
    assert list(result.index[result["verdict"] == "not measured"]) == [15]


def test_claim_15_needs_all_tables_of_a_second_data_set() -> None:
    made = maker.tables(seeds=1)
    assert claim_15(made)["verdict"] == "not measured"
    other = {name: table for name, table in made.items() if name != "perturbation"}
    row = claim_15(made, (other, maker.REFERENCE))
    assert row["verdict"] == "not measured"
    assert "12: holds / not measured" in row["detail"]


def test_mean_and_std_are_over_seeds() -> None:
    made = maker.tables(seeds=4)
    late = made["history"].query("epoch > 15")
    final = {
        rule: np.array(
            [100 * np.mean(rows["test_accuracy"]) for _, rows in history.groupby("seed")]
        )
        for rule, history in late.groupby("rule")
    }
    difference = final["gbp"] - final["bp"]
    row = verdict(made, 1)
    assert row["mean"] == pytest.approx(difference.mean(), rel=1e-12)
    assert row["std"] == pytest.approx(np.sqrt(((difference - difference.mean()) ** 2).sum() / 3))
    assert row["n_seeds"] == 4


@pytest.mark.parametrize(
    ("values", "errors", "holds"),
    [
        ([1.0, 2.0, 3.0], 2.0, True),  # mean 2, SE 0.577
        ([-1.0, 2.0, 5.0], 2.0, False),  # mean 2, SE 1.73
        ([-3.0, 0.0, 2.0], 2.0, False),
        ([-3.0, 0.0, 2.0], -1.0, True),  # mean -0.33, SE 1.45
        ([-3.0, -2.5, -2.0], -1.0, False),
        ([0.0, 0.0], 2.0, False),
        ([0.0, 0.0], -1.0, True),
        ([0.1], 2.0, True),
        ([0.0], 2.0, False),
    ],
)
def test_mean_must_clear_the_bound_by_standard_errors(
    values: list[float], errors: float, holds: bool
) -> None:
    assert Check("x", pd.Series(values), above=0, errors=errors).holds == holds
    mirrored = Check("x", -pd.Series(values), below=0, errors=errors)
    assert mirrored.holds == holds


def test_by_seed_keeps_complete_seeds() -> None:
    table = pd.DataFrame({"seed": [0, 0, 0, 1], "x": [1, 1, 2, 1], "y": [1.0, 3.0, 5.0, 7.0]})
    wide = by_seed(table, "y", "x")
    assert wide.to_dict("index") == {0: {1: 2.0, 2: 5.0}}
    with pytest.raises(MissingError, match="x=3"):
        by_seed(table, "y", "x", need=(1, 3))
    with pytest.raises(MissingError, match="3 or more"):
        by_seed(table, "y", "x", least=3)


def test_fractions_of_a_uniform_histogram() -> None:
    edges = np.linspace(-1, 1, 5)
    uniform = pd.DataFrame({"bin_left": edges[:-1], "bin_right": edges[1:], "count": 10})
    assert fraction(uniform, -1, 1) == pytest.approx(1)
    assert fraction(uniform, 0.1, 0.35) == pytest.approx(0.125)
    assert peak_at_zero(uniform, 0.5) == pytest.approx(0)
    assert excess_at_zero(uniform) == pytest.approx(0)
    assert rms(uniform) == pytest.approx(np.sqrt((0.25**2 + 0.75**2) / 2))
    uniform.loc[2, "count"] = 50  # [0, 0.5): now 50 of 80
    assert excess_at_zero(uniform) == pytest.approx((50 - 10) / 0.5 / 80)


def test_text_has_a_line_and_markdown_a_row_per_claim() -> None:
    made = maker.violate(maker.tables(), 7)
    del made["perturbation"]
    result = claims.evaluate(made, maker.REFERENCE)
    text = claims.as_text(result).splitlines()
    assert len(text) == 19
    assert text[6].split()[:4] == ["7", "does", "not", "hold"]
    assert "there is no perturbation.csv" in text[11]
    assert text[17] == "holds: 13, does not hold: 1, not measured: 3."
    rows = [line for line in claims.as_markdown(result).splitlines() if line.startswith("|")]
    assert len(rows) == 19
    assert {line.replace("\\|", "").count("|") for line in rows} == {6}
    assert list(pd.DataFrame(result).columns[:8]) == [
        "claim", "statement", "statistic", "mean", "std", "n_seeds", "rule", "verdict",
    ]  # fmt: skip
    narrow = claims.as_text(result, 80).splitlines()
    assert max(map(len, narrow)) <= 80
    assert " ".join(" ".join(narrow).split()) == " ".join(" ".join(text).split())
