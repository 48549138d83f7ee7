"""Claims of "Constrained parameter inference" (Ahmad, Schrader, van Gerven, 2023), with rules."""

import pandas as pd

from sascli import runs
from sascli.claims.check import Check, MissingError, Register, Results
from sascli.claims.shapes import by_seed

POINTS = 1.0  # percentage points, COPI-BP against BP-Adam; the last layers compressed against not
STALLED = 10.0  # percentage points that plain BP must stay below COPI-BP at COPI's own rate
LEARNT = 2.0  # percentage points, COPI-BP at its own rate against the best of the sweep
TIMES = 3.0  # the accuracy of COPI-FA against that before its W learns
SHARE = 0.8  # of COPI-BP's accuracy that COPI-FA must reach
DEEPEST = 2  # layers at the end of the network that are replaced by their linear map
TWICE = "beyond 2 SE"

CLAIMS = Register()
claim = CLAIMS.enter


def accuracy(results: Results, point: str, *, first: bool = False) -> pd.Series:
    """Test accuracy (%) of each seed of a run after its last epoch, or its first."""
    history = results.rows("history", rule=None, point=point)
    earliest = history[history["epoch"] == history["epoch"].min()]
    chosen = earliest if first else runs.last_epochs(history)
    accuracies: pd.Series = chosen.set_index("seed")["test_accuracy"]
    return 100 * accuracies


@claim(
    1,
    "COPI-BP comes within one point of BP-Adam's accuracy at equal epochs.",
    f"After the last epoch COPI-BP's accuracy, paired by seed, is less than {POINTS:g} point "
    f"below BP-Adam's {TWICE}. BP learns from the first epoch on, COPI only decorrelates in it; "
    "BP has its best rate on held-out images, COPI its published one.",
)
def _adam(results: Results) -> list[Check]:
    difference = accuracy(results, "copi-bp") - accuracy(results, "bp-adam")
    return [Check("COPI-BP - BP-Adam, points", difference.dropna(), above=-POINTS)]


@claim(
    2,
    "COPI learns at learning rates at which plain BP without decorrelation diverges or stalls.",
    f"At COPI's own rate, on held-out images, COPI-BP is less than {LEARNT:g} points below its "
    f"best rate {TWICE}, and plain BP more than {STALLED:g} points below COPI-BP {TWICE}; a "
    "network that diverged counts as 0.",
)
def _rates(results: Results) -> list[Check]:
    def found(point: str) -> pd.DataFrame:
        table = results.rows("rates", rule=None, point=point).fillna({"validation_accuracy": 0})
        wide = 100 * by_seed(table, "validation_accuracy", "factor", least=2)
        if 1.0 not in wide:
            raise MissingError("rates.csv lacks COPI's own rate, factor=1")
        return wide

    copi, plain = found("copi-bp"), found("bp-plain")
    best = copi[copi.mean().idxmax()]
    return [
        Check("best - own rate, COPI-BP, points", (best - copi[1.0]).dropna(), below=LEARNT),
        Check("COPI-BP - plain BP at that rate, points", (copi[1.0] - plain[1.0]).dropna(),
              above=STALLED),
    ]  # fmt: skip


@claim(
    3,
    "COPI with feedback alignment learns too.",
    f"After the last epoch COPI-FA's accuracy is more than {TIMES:g} times that after the first, "
    f"in which W waits, and more than {SHARE:.0%} of COPI-BP's, both {TWICE}.",
)
def _feedback(results: Results) -> list[Check]:
    last = accuracy(results, "copi-fa")
    return [
        Check("last / first epoch", last / accuracy(results, "copi-fa", first=True), above=TIMES),
        Check("COPI-FA / COPI-BP", (last / accuracy(results, "copi-bp")).dropna(), above=SHARE),
    ]


@claim(
    4,
    "Decorrelation lowers the correlation in every layer.",
    "In every layer of COPI-BP the mean absolute correlation of the inputs after R is, after "
    "the last epoch, below that before R on the same images, and below that before training, "
    f"{TWICE}.",
)
def _correlation(results: Results) -> list[Check]:
    table = results.rows("decorrelation", rule=None, point="copi-bp")
    keys = ["seed", "layer"]
    last = runs.last_epochs(table).set_index(keys)
    start = table[table["epoch"] == 0].set_index(keys)
    return [
        Check(f"{what}, least of the layers", fall.dropna().groupby("seed").min(), above=0)
        for what, fall in (
            ("before R - after R", last["before"] - last["after"]),
            ("before - after training", start["after"] - last["after"]),
        )
    ]


@claim(
    5,
    "Linear compression keeps the accuracy for the deepest layers.",
    f"With the last {DEEPEST} layers of COPI-BP replaced by one linear map the accuracy falls by "
    f"less than {POINTS:g} point, {TWICE}.",
)
def _compression(results: Results) -> list[Check]:
    table = results.rows("compression", rule=None, part="last")
    own = 100 * by_seed(table, "test_accuracy", "k", need=(0, DEEPEST))
    return [Check("fall of the accuracy, points", own[0] - own[DEEPEST], below=POINTS)]


@claim(
    6,
    "COPI-BP learns more than logistic regression on the same images.",
    f"After the last epoch its accuracy is above that of scikit-learn's logistic regression, "
    f"{TWICE}.",
)
def _linear(results: Results) -> list[Check]:
    linear = 100 * results.rows("linear", rule=None)["test_accuracy"].iloc[0]
    above = accuracy(results, "copi-bp") - linear
    return [Check("COPI-BP - logistic regression, points", above, above=0)]
