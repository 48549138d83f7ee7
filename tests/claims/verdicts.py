"""What the tests of every study's claims assert of verdicts."""

from collections.abc import Iterable
from typing import Any

import pandas as pd
import pytest


def cases(violations: Iterable[tuple[int, str, Any]]) -> Any:
    """Parameters `claim` and `change`, one for each violation."""
    own = [
        pytest.param(claim, change, id=f"{claim}: {name}") for claim, name, change in violations
    ]
    return pytest.mark.parametrize(("claim", "change"), own)


def assert_all_hold(judged: pd.DataFrame, count: int, seeds: int = 3) -> None:
    """Claims 1 to `count`, the index, hold over three seeds, or another number of them."""
    assert list(judged.index) == list(range(1, count + 1))
    assert list(judged["verdict"]) == ["holds"] * count, judged["detail"].tolist()
    assert (judged["n_seeds"] == seeds).all()


def assert_fails(row: pd.Series) -> None:
    """A claim does not hold, and the check that fails is told."""
    assert row["verdict"] == "does not hold"
    assert "(fails)" in row["detail"]
