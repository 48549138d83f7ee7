"""Claims of "Constrained parameter inference" (Ahmad, Schrader, van Gerven, 2023), with rules."""

import numpy as np
import pandas as pd

from sascli import runs
from sascli.claims.check import TWICE, Check, MissingError, Register, Tables
from sascli.claims.shapes import by_seed

POINTS = 1.0  # percentage points: COPI-BP to BP-Adam, the last layers compressed to uncompressed
LEARNS = 0.8  # of the rule's best accuracy on held-out images
TIMES = 3.0  # the accuracy of COPI-FA in units of that before its W learns
SHARE = 0.8  # of COPI-BP's accuracy that COPI-FA must reach
DEEPEST = 2  # layers of weights at the end of the network that are replaced by one linear map
PUBLISHED = (
    {"depth": 8, "width": 500, "train_size": 60_000},  # MNIST, 784-500x6-10
    {"depth": 6, "width": 1000, "train_size": 50_000},  # CIFAR-10, 3072-1000x4-10
)

CLAIMS = Register()
claim = CLAIMS.enter


def accuracy(tables: Tables, point: str, *, first: bool = False) -> pd.Series:
    """Test accuracy (%) of each seed of an arm after its last epoch, or its first.

    A network that diverged counts as 0. Raises UserError where there is none.
    """
    arms = tables.by_name.get("arms", pd.DataFrame(columns=["point", "seed", "diverged"]))
    diverged = arms.loc[(arms["point"] == point) & arms["diverged"].notna(), "seed"]
    zeros = pd.Series(0.0, index=pd.Index(diverged, name="seed"))
    if len(diverged) and not has(tables, "history", point):
        return zeros
    history = tables.rows("history", rule=None, point=point)
    earliest = history[history["epoch"] == history["epoch"].min()]
    chosen = earliest if first else runs.last_epochs(history)
    accuracies: pd.Series = pd.concat([chosen.set_index("seed")["test_accuracy"], zeros])
    return 100 * accuracies


def has(tables: Tables, name: str, point: str) -> bool:
    """Whether a table has rows of an arm."""
    table = tables.by_name.get(name)
    return table is not None and bool((table["point"] == point).any())


def largest_rates(rates: pd.DataFrame, point: str) -> pd.Series:
    """The largest learning rate of the grid at which each seed of a rule learns.

    A network learns if its accuracy on held-out images after the trial is at least LEARNS times
    the mean over seeds at the rule's best rate; one that diverged counts as 0. Seeds that learn
    at no rate are left out.
    """
    trials = rates[rates["point"] == point].fillna({"validation_accuracy": 0.0})
    best = trials.groupby("factor")["validation_accuracy"].mean().max()
    accuracy = trials["validation_accuracy"]
    learns = trials[(accuracy >= LEARNS * best) & (accuracy > 0)]
    largest: pd.Series = learns.groupby("seed")["lr"].max()
    return largest


@claim(
    1,
    "COPI-BP comes within one point of BP-Adam's accuracy at equal epochs.",
    f"After the last epoch COPI-BP's accuracy, paired by seed, is less than {POINTS:g} point "
    f"below that of BP with torch's Adam, {TWICE}, both at Adam's published rate and, where it "
    "was searched, at its best rate on held-out images: the stronger baseline decides. COPI has "
    "its published rate. BP learns from the first epoch on, in which COPI only decorrelates. A "
    "network of COPI-BP that diverged counts as 0, one of a baseline is left out.",
)
def _adam(tables: Tables) -> list[Check]:
    copi = accuracy(tables, "copi-bp")
    names = {"bp-adam": "BP-Adam", "bp-adam-best": "BP-Adam at its best rate"}
    points = [point for point in names if has(tables, "history", point)] or ["bp-adam"]
    baselines = {names[point]: accuracy(tables, point) for point in points}
    checks = [
        Check(f"COPI-BP - {name}, points", (copi - adam[adam > 0]).dropna(), above=-POINTS)
        for name, adam in baselines.items()
    ]
    return sorted(checks, key=lambda check: check.mean)  # the stronger baseline first


@claim(
    2,
    "COPI learns at learning rates at which plain BP without decorrelation diverges or stalls.",
    "The largest rate of a grid at which COPI-BP learns is above the largest at which plain BP "
    f"does: the mean over seeds of the log10 of their ratio, paired by seed, is above 0 {TWICE}. "
    "A network learns at a rate if its accuracy on held-out images after the trial is at least "
    f"{LEARNS:.0%} of the accuracy that its rule reaches at the best rate of the grid, in the "
    "mean over seeds; one that diverged does not. Where COPI-BP still learns at the largest rate "
    "of the grid the ratio is a lower bound; where plain BP does, nothing is measured.",
)
def _rates(tables: Tables) -> list[Check]:
    def largest(point: str) -> tuple[pd.Series, bool]:
        table = tables.rows("rates", rule=None, point=point)
        if table["factor"].nunique() < 2:
            raise MissingError("rates.csv needs two or more rates")
        rates = largest_rates(table, point)
        if missing := sorted({*table["seed"]} - {*rates.index}):
            raise MissingError(f"seed {missing[0]} of {point} learns at no rate of the grid")
        return rates, bool((rates == table["lr"].max()).any())

    (copi, open_end), (plain, unbounded) = largest("copi-bp"), largest("bp-plain")
    if unbounded:
        raise MissingError(
            f"plain BP learns at the largest rate of the grid, {plain.max():g}: preset.rates must "
            "go further"
        )
    what = f"log10 of COPI-BP's largest rate over plain BP's{', at least' * open_end}"
    return [Check(what, (copi / plain).dropna().map(np.log10), above=0)]


@claim(
    3,
    "COPI with feedback alignment learns too.",
    f"After the last epoch COPI-FA's accuracy is more than {TIMES:g} times that after the first, "
    f"in which W is frozen, and more than {SHARE:.0%} of COPI-BP's, both {TWICE}, at its best "
    "rate on held-out images, or its published rate where none was searched. The published rate, "
    "if it differs, is reported beside it. A network that diverged counts as 0.",
)
def _feedback(tables: Tables) -> list[Check]:
    copi, published = accuracy(tables, "copi-bp"), accuracy(tables, "copi-fa")
    copi = copi[copi > 0]  # no ratio to an accuracy of 0
    best = has(tables, "history", "copi-fa-best") or has(tables, "arms", "copi-fa-best")
    point = "copi-fa-best" if best else "copi-fa"
    last, first = accuracy(tables, point), accuracy(tables, point, first=True)
    checks = [
        Check("last / first epoch", (last / first).where(last > 0, 0.0), above=TIMES),
        Check("COPI-FA / COPI-BP", (last / copi).dropna(), above=SHARE),
    ]
    reported = Check("at the published rate / COPI-BP", (published / copi).dropna())
    return [*checks, reported] if best else checks


@claim(
    4,
    "Decorrelation lowers the correlation in every layer.",
    "In every layer of COPI-BP the mean absolute correlation of the inputs after R is, after "
    "the last epoch, below that before R on the same images, and below that before training, "
    f"{TWICE}.",
)
def _correlation(tables: Tables) -> list[Check]:
    table = tables.rows("decorrelation", rule=None, point="copi-bp")
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
    f"On a published network with all training images: with its last {DEEPEST} layers of weights "
    "replaced by one linear map, where the published comparison begins, COPI-BP's accuracy falls "
    f"by less than {POINTS:g} point {TWICE}. k = 1 replaces a layer by its own map; it shows the "
    "residual correlation of that layer's inputs, and is reported beside it.",
)
def _compression(tables: Tables) -> list[Check]:
    if not any(network.items() <= tables.reference.items() for network in PUBLISHED):
        raise MissingError("judged only on the published networks: preset=paper")
    table = tables.rows("compression", rule=None, part="last")
    accuracies = 100 * by_seed(table, "test_accuracy", "k", need=(0, 1, DEEPEST))
    return [
        Check("fall of the accuracy, points", accuracies[0] - accuracies[DEEPEST], below=POINTS),
        Check("fall at k = 1, points", accuracies[0] - accuracies[1]),
    ]


@claim(
    6,
    "COPI-BP learns more than logistic regression on the same images.",
    f"After the last epoch its accuracy is above that of scikit-learn's logistic regression, "
    f"{TWICE}.",
)
def _linear(tables: Tables) -> list[Check]:
    linear = 100 * tables.rows("linear", rule=None)["test_accuracy"].iloc[0]
    above = accuracy(tables, "copi-bp") - linear
    return [Check("COPI-BP - logistic regression, points", above, above=0)]
