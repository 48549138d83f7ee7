"""The claims of "Learning credit assignment" that a single convolutional network can be asked.

Their rules are those of `sascli.claims.credit`, layer by layer, with the numbers that they have
there. Claims about several T or depths (2, 8, 11, 15) are left out. Two more compare the
accuracy with what was expected of the model before the study.
"""

import pandas as pd

from sascli.claims import credit
from sascli.claims.check import Check, MissingError, Register, Tables
from sascli.runs import last_epochs

BARS: dict[str, dict[str, float]] = {
    "mnist_conv": {"accuracy": 98.5, "behind": 0.3},
    "cifar10_conv": {"accuracy": 65, "behind": 2},
}
"""Accuracy (%) that gBP is expected to exceed, and points that it may be behind BP, by model."""
IMAGES = {"mnist_conv": "MNIST", "cifar10_conv": "CIFAR-10"}
ASKED = (1, 3, 4, 5, 6, 7, 9, 12, 13)

CLAIMS = Register(claim for claim in credit.CLAIMS if claim.number in ASKED)
claim = CLAIMS.enter


def accuracy(tables: Tables, rule: str) -> pd.Series:
    """Accuracy (%) of each seed, the mean of the last epochs."""
    late = last_epochs(tables.rows("history", rule=rule, **tables.point), credit.LAST_EPOCHS)
    return 100 * late.groupby("seed")["test_accuracy"].mean()


def bar(tables: Tables, name: str) -> float:
    """What is expected of the model. Raises MissingError for a model without it."""
    if name not in tables.reference:
        raise MissingError("nothing is expected of this model: try mnist_conv or cifar10_conv")
    return tables.reference[name]


def bars(name: str, unit: str) -> str:
    """What is expected, on the images of each model, as a rule says it."""
    return ", ".join(f"{bar[name]:g} {unit} on {IMAGES[model]}" for model, bar in BARS.items())


@claim(
    18,
    "gBP reaches the accuracy that was expected of the model.",
    f"The mean over seeds of the accuracy of the last {credit.LAST_EPOCHS} epochs is above "
    f"{bars('accuracy', '%')}.",
)
def _expected(tables: Tables) -> list[Check]:
    least = bar(tables, "accuracy")
    return [Check(f"accuracy - {least:g} %, points", accuracy(tables, "gbp") - least, 0, errors=0)]


@claim(
    19,
    "gBP is not far behind BP at its best rate.",
    "The mean over seeds of the difference of their accuracies is below "
    f"{bars('behind', 'points')}.",
)
def _behind(tables: Tables) -> list[Check]:
    difference = (accuracy(tables, "bp") - accuracy(tables, "gbp")).dropna()
    most = bar(tables, "behind")
    return [Check("BP - gBP accuracy, points", difference, below=most, errors=0)]
