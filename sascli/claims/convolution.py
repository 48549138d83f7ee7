"""The claims of "Learning credit assignment" that a single convolutional network can be asked.

Their rules are those of `sascli.claims.credit`, layer by layer, with the numbers that they have
there. Claims about several T or depths (2, 8, 11, 15) are left out. Two more compare the
accuracy with what was expected of the model before the study.
"""

import pandas as pd

from sascli.claims import credit
from sascli.claims.check import Check, MissingError, Register, Tables
from sascli.runs import last_epochs

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


@claim(
    18,
    "gBP reaches the accuracy that was expected of the model.",
    f"The mean over seeds of the accuracy of the last {credit.LAST_EPOCHS} epochs is at least "
    "98.5 % on MNIST, 65 % on CIFAR-10.",
)
def _expected(tables: Tables) -> list[Check]:
    least = bar(tables, "accuracy")
    return [Check(f"accuracy - {least:g} %, points", accuracy(tables, "gbp") - least, 0, errors=0)]


@claim(
    19,
    "gBP is not far behind BP at its best rate.",
    "The mean over seeds of the difference of their accuracies is below 0.3 points on MNIST, 2 "
    "points on CIFAR-10.",
)
def _behind(tables: Tables) -> list[Check]:
    difference = (accuracy(tables, "bp") - accuracy(tables, "gbp")).dropna()
    most = bar(tables, "behind")
    return [Check("BP - gBP accuracy, points", difference, below=most, errors=0)]
