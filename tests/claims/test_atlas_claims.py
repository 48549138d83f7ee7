"""The atlas: the credit study's verdicts at every setting, their margin, and their words."""

import atlas_tables
import numpy as np
import pandas as pd
import pytest
import tables as maker

from sascli import claims
from sascli.claims import atlas
from sascli.claims.atlas import boundary, extent, in_words
from sascli.claims.check import Check


def test_verdicts_are_those_of_the_credit_study() -> None:
    made = maker.violate(maker.tables(), 4, 13)
    expected = claims.evaluate(made, maker.REFERENCE).query("claim != 15")
    rows = atlas.judged("published", "published", made, maker.REFERENCE)
    columns = ["claim", "statistic", "n_seeds", "verdict", "detail"]
    pd.testing.assert_frame_equal(rows[columns], expected[columns].reset_index(drop=True))
    error = (expected["std"] / np.sqrt(expected["n_seeds"])).to_numpy()
    assert rows["se"].to_numpy() == pytest.approx(error, rel=1e-12)


@pytest.mark.parametrize(
    ("values", "bounds", "margin"),
    [
        ([1.0, 2.0, 3.0], {"above": 0}, 2 * 3**0.5 - 2),
        ([1.0, 2.0, 3.0], {"below": 0}, -2 * 3**0.5 - 2),
        ([-1.0, 0.0, 1.0], {"above": 0, "errors": -1}, 1.0),
        ([1.0, 1.0], {"above": 0}, np.inf),
        ([1.0], {"above": 2}, -np.inf),
        ([1.0, 1.0], {"above": 1, "errors": -1}, 0.0),
    ],
)
def test_margin_counts_standard_errors_from_the_verdict(
    values: list[float], bounds: dict[str, float], margin: float
) -> None:
    check = Check("x", pd.Series(values), **bounds)
    assert check.margin == pytest.approx(margin, rel=1e-12)
    assert check.holds == (margin > 0 or bounds.get("errors", 2) < 0 == margin)


def test_margin_has_the_sign_of_the_verdict() -> None:
    table = atlas_tables.tables()["atlas"]
    holds, fails = (table[table["verdict"] == v] for v in (claims.HOLDS, claims.FAILS))
    assert (holds["margin"] >= 0).all() and (fails["margin"] < 0).all() and len(fails) >= 5
    unmeasured = table[table["verdict"] == claims.UNMEASURED]
    assert unmeasured[["margin", "se"]].isna().all().all() and (unmeasured["n_seeds"] == 0).all()


def test_claims_over_several_sizes_or_depths_are_not_measured_at_one_point() -> None:
    table = atlas_tables.tables()["atlas"].query("setting == 'lr=0.01'").set_index("claim")
    unmeasured = table.index[table["verdict"] == claims.UNMEASURED]
    assert list(unmeasured) == [2, 8, 10, 11, 13, 17]


def test_skipped_setting_has_its_reason_at_every_claim() -> None:
    rows = atlas_tables.tables()["atlas"].query("factor == 'data'")
    assert set(rows["verdict"]) == {claims.UNMEASURED} and len(rows) == 16
    assert set(rows["detail"]) == {"there are no images in data"}


@pytest.mark.parametrize(
    ("settings", "holds", "text"),
    [
        (["epochs=30", "epochs=100", "epochs=300"], [1, 1, 0],
         "holds for epochs <= 100, lost beyond"),
        (["lr=0.01", "lr=0.1"], [0, 1], "holds for lr >= 0.1, not below"),
        (["lr=0.01", "lr=0.1", "lr=1"], [1, 0, 1], "holds at lr=0.01, 1; not at 0.1"),
        (["lr=0.1", "lr=0.01"], [1, 0], "holds at lr=0.1; not at 0.01"),
        (["train_size=5 epochs=9", "train_size=50"], [0, 1],
         "holds for train_size >= 50, not below"),
        (["depth=7", "depth=7 lr=0.03"], [0, 1], "holds at depth=7 lr=0.03; not at depth=7"),
        (["model=digits", "model=mnist"], [0, 1], "holds at model=mnist; not at digits"),
    ],
)  # fmt: skip
def test_boundary_of_a_factor(settings: list[str], holds: list[int], text: str) -> None:
    assert boundary(settings, list(map(bool, holds))) == text


def test_words_follow_from_the_table() -> None:
    table = atlas_tables.tables()["atlas"]
    lines = in_words(table)
    assert len(lines) == 16 and lines[0].startswith("1. gBP's test accuracy is equal to or better")
    of = {number: extent(table[table["claim"] == number]) for number in table["claim"]}
    assert of[5] == "Published: holds. learning rate: holds for lr <= 0.01, lost beyond."
    assert of[7] == "Published: holds. learning rate: holds for lr <= 0.1, lost beyond."
    assert of[9] == "Published: holds. Holds at every measured setting of learning rate (4)."
    assert of[2] == "Published: holds."
    fails = table.assign(verdict=claims.FAILS).query("claim == 9 and factor != 'data'")
    assert extent(fails).endswith("Holds at no measured setting of learning rate (4).")
    rows = table.query("claim == 5").reset_index(drop=True)
    last = rows.index[rows["factor"] == "learning rate"][-1]
    rows.loc[last, "verdict"] = claims.UNMEASURED
    assert "learning rate, measured at 3 of 4: holds at lr=" in extent(rows)  # no inequality
    nine = table.query("claim == 9").reset_index(drop=True)
    nine.loc[nine["setting"] == "lr=0.1", "verdict"] = claims.UNMEASURED
    assert extent(nine).endswith("Holds at every measured setting of learning rate (3 of 4).")
