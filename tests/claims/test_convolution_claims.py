"""The claims that a convolutional network is asked: the credit study's, and two about accuracy."""

import convolution_tables
import pandas as pd
import pytest

from sascli import claims
from sascli.claims.convolution import ASKED, BARS, CLAIMS


def judged(made: dict[str, pd.DataFrame], **reference: float) -> pd.DataFrame:
    known = convolution_tables.REFERENCE | reference
    return claims.evaluate(made, known, register="convolution").set_index("claim")


def test_claims_are_those_of_one_network() -> None:
    table = judged(convolution_tables.tables())
    assert list(table.index) == [*ASKED, 18, 19]
    assert set(table["verdict"]) == {claims.HOLDS}


@pytest.mark.parametrize(
    ("claim", "reference"), [(18, {"accuracy": 95.9}), (19, {"behind": -0.9})]
)
def test_accuracy_is_compared_with_what_is_expected(
    claim: int, reference: dict[str, float]
) -> None:
    table = judged(convolution_tables.tables(), **reference)
    assert table["verdict"][claim] == claims.FAILS
    assert set(table["verdict"].drop(claim)) == {claims.HOLDS}


def test_rules_are_strict_and_have_the_numbers_of_the_checks() -> None:
    rules = {claim.number: claim.rule for claim in CLAIMS}
    assert rules[18].endswith("epochs is above 98.5 % on MNIST, 65 % on CIFAR-10.")
    assert rules[19].endswith("is below 0.3 points on MNIST, 2 points on CIFAR-10.")
    assert BARS["mnist_conv"] == {"accuracy": 98.5, "behind": 0.3}
    assert BARS["cifar10_conv"] == {"accuracy": 65, "behind": 2}
    made = convolution_tables.tables()
    made["history"] = made["history"].assign(test_accuracy=0.5)
    assert judged(made, accuracy=50)["verdict"][18] == claims.FAILS
    assert judged(made, accuracy=49.9)["verdict"][18] == claims.HOLDS


def test_model_without_expectation_is_not_measured() -> None:
    made, reference = convolution_tables.tables(), convolution_tables.REFERENCE.copy()
    del reference["accuracy"], reference["behind"]
    table = claims.evaluate(made, reference, register="convolution").set_index("claim")
    assert set(table["verdict"][[18, 19]]) == {claims.UNMEASURED}
    assert "nothing is expected of this model" in table["detail"][18]
