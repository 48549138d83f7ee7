"""Claims of "Constrained parameter inference" (Ahmad, Schrader, van Gerven, 2023), with rules."""

import numpy as np
import pandas as pd

from sascli import runs
from sascli.claims.check import Check, MissingError, Register, Results
from sascli.claims.shapes import by_seed

POINTS = 1.0  # percentage points, COPI-BP against BP-Adam; the last layers compressed against not
LEARNS = 0.8  # of the rule's best accuracy on held-out images
TIMES = 3.0  # the accuracy of COPI-FA against that before its W learns
SHARE = 0.8  # of COPI-BP's accuracy that COPI-FA must reach
DEEPEST = 2  # layers of weights at the end of the network that are replaced by one linear map
PUBLISHED = (
    {"depth": 8, "width": 500, "train_size": 60_000},  # MNIST, 784-500x6-10
    {"depth": 6, "width": 1000, "train_size": 50_000},  # CIFAR-10, 3072-1000x4-10
)
TWICE = "beyond 2 SE"

CLAIMS = Register()
claim = CLAIMS.enter


def accuracy(results: Results, point: str, *, first: bool = False) -> pd.Series:
    """Test accuracy (%) of each seed of an arm after its last epoch, or its first.

    A network that diverged counts as 0. Raises MissingError where there is none.
    """
    arms = results.tables.get("arms", pd.DataFrame(columns=["point", "seed", "diverged"]))
    lost = arms.loc[(arms["point"] == point) & arms["diverged"].notna(), "seed"]
    nothing = pd.Series(0.0, index=pd.Index(lost, name="seed"))
    if len(lost) and not has(results, "history", point):
        return nothing
    history = results.rows("history", rule=None, point=point)
    earliest = history[history["epoch"] == history["epoch"].min()]
    chosen = earliest if first else runs.last_epochs(history)
    accuracies: pd.Series = chosen.set_index("seed")["test_accuracy"]
    whole: pd.Series = 100 * pd.concat([accuracies, nothing])
    return whole


def has(results: Results, name: str, point: str) -> bool:
    """Whether a table has rows of an arm."""
    table = results.tables.get(name)
    return table is not None and bool((table["point"] == point).any())


def largest_rates(rates: pd.DataFrame, point: str) -> pd.Series:
    """The largest learning rate of the grid at which each seed of a rule learns.

    It learns where its accuracy on held-out images after the trial is at least LEARNS of that
    which the rule reaches, in the mean over seeds, at the best rate of the grid; a network that
    diverged counts as 0. Seeds that learn at no rate are left out.
    """
    own = rates[rates["point"] == point].fillna({"validation_accuracy": 0.0})
    best = own.groupby("factor")["validation_accuracy"].mean().max()
    learns = own[(own["validation_accuracy"] >= LEARNS * best) & (own["validation_accuracy"] > 0)]
    largest: pd.Series = learns.groupby("seed")["lr"].max()
    return largest


@claim(
    1,
    "COPI-BP comes within one point of BP-Adam's accuracy at equal epochs.",
    f"After the last epoch COPI-BP's accuracy, paired by seed, is less than {POINTS:g} point "
    f"below that of BP with torch's Adam, {TWICE}, both at Adam's published rate and at its best "
    "one on held-out images: the stronger baseline decides. COPI has its published rate. BP "
    "learns from the first epoch on, COPI only decorrelates in it. A network of COPI-BP that "
    "diverged counts as 0, one of a baseline is left out.",
)
def _adam(results: Results) -> list[Check]:
    copi = accuracy(results, "copi-bp")
    names = {"bp-adam": "BP-Adam", "bp-adam-best": "BP-Adam at its best rate"}
    found = [point for point in names if has(results, "history", point)] or ["bp-adam"]
    baselines = {names[point]: accuracy(results, point) for point in found}
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
def _rates(results: Results) -> list[Check]:
    def largest(point: str) -> tuple[pd.Series, bool]:
        table = results.rows("rates", rule=None, point=point)
        if table["factor"].nunique() < 2:
            raise MissingError("rates.csv needs two or more rates")
        found = largest_rates(table, point)
        if silent := sorted({*table["seed"]} - {*found.index}):
            raise MissingError(f"seed {silent[0]} of {point} learns at no rate of the grid")
        return found, bool((found == table["lr"].max()).any())

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
    f"in which W waits, and more than {SHARE:.0%} of COPI-BP's, both {TWICE}, at its best rate on "
    "held-out images. Its published rate, where that is another, is reported beside it. A network "
    "that diverged counts as 0.",
)
def _feedback(results: Results) -> list[Check]:
    copi, published = accuracy(results, "copi-bp"), accuracy(results, "copi-fa")
    copi = copi[copi > 0]  # a share of nothing is no number
    best = has(results, "history", "copi-fa-best") or has(results, "arms", "copi-fa-best")
    point = "copi-fa-best" if best else "copi-fa"
    last, first = accuracy(results, point), accuracy(results, point, first=True)
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
    f"On a published network with all training images: with its last {DEEPEST} layers of weights "
    "replaced by one linear map, where the published comparison begins, COPI-BP's accuracy falls "
    f"by less than {POINTS:g} point {TWICE}. k = 1 replaces a layer by its own map; it shows the "
    "residual correlation of that layer's inputs, and is reported beside it.",
)
def _compression(results: Results) -> list[Check]:
    if not any(network.items() <= results.reference.items() for network in PUBLISHED):
        raise MissingError("judged on the published networks alone: preset=paper")
    table = results.rows("compression", rule=None, part="last")
    own = 100 * by_seed(table, "test_accuracy", "k", need=(0, 1, DEEPEST))
    return [
        Check("fall of the accuracy, points", own[0] - own[DEEPEST], below=POINTS),
        Check("fall at k = 1, points", own[0] - own[1]),
    ]


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
