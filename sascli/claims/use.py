"""The use of credit: claims on calibration, pruning and protection, with their rules."""

from collections.abc import Sequence
from functools import partial

import pandas as pd

from sascli.claims.check import TWICE, Check, MissingError, Register, Tables
from sascli.claims.shapes import by_seed

FREE = 0.5  # test images, fewer than one: none may be classified differently without UIPs
HALF = 0.5  # largest kept fraction of connections at which criteria are compared

CLAIMS = Register()
claim = CLAIMS.enter


def accuracy(tables: Tables, rule: str, criterion: str, tuned: bool) -> pd.Series:
    """Accuracy (%) of each seed, the mean over kept fractions up to a half."""
    table = tables.rows("pruning", rule=rule, criterion=criterion)
    table = table[(table["level"] <= HALF) & ((table["epochs"] > 0) == tuned)]
    if table.empty:
        raise MissingError(f"pruning.csv has no such fractions up to {HALF:g}")
    return 100 * by_seed(table, "test_accuracy", "level").mean(axis=1)


def keeps(tables: Tables, rule: str, criteria: Sequence[str], tuned: bool = False) -> list[Check]:
    """Checks that credit keeps more accuracy than the magnitudes of a rule's means."""
    magnitude = accuracy(tables, rule, "magnitude", tuned)
    return [
        Check(f"{criterion} - {rule} magnitude, points",
              (accuracy(tables, "gbp", criterion, tuned) - magnitude).dropna(), above=0)
        for criterion in criteria
    ]  # fmt: skip


KEEPS = (
    f"The accuracy, the mean over the fractions up to {HALF:.0%} of the connections that are "
    "kept, is on average higher than that of magnitude pruning, paired by seed, "
)


@claim(
    1,
    "All unimportant connections (UIPs) can be removed at no cost.",
    "With every connection of π = 1 removed from the mean network, no test image is classified "
    f"differently: fewer than {FREE:g} images {TWICE}.",
)
def _uip(tables: Tables) -> list[Check]:
    table = tables.rows("pruning", criterion="threshold", level=1, epochs=0)
    return [
        Check("images classified differently", table.set_index("seed")["n_changed"], below=FREE)
    ]


claim(
    2,
    "Pruning by signal-to-noise ratio keeps more accuracy than by the magnitude of gBP's means.",
    f"{KEEPS}{TWICE}, without fine-tuning. The ratio is |mu| / sigma of a weight, infinite for a "
    "VIP.",
)(partial(keeps, rule="gbp", criteria=["snr"]))
claim(
    3,
    "Pruning by the spike mass π keeps more accuracy than by the magnitude of gBP's means.",
    f"{KEEPS}{TWICE}, without fine-tuning.",
)(partial(keeps, rule="gbp", criteria=["pi"]))
claim(
    4,
    "Pruning by credit keeps more accuracy than magnitude pruning of a BP network.",
    f"{KEEPS}{TWICE}, without fine-tuning, both by signal-to-noise ratio and by π.",
)(partial(keeps, rule="bp", criteria=["snr", "pi"]))
claim(
    5,
    "The same holds after fine-tuning.",
    f"{KEEPS}{TWICE}, after fine-tuning, both by signal-to-noise ratio and by π.",
)(partial(keeps, rule="bp", criteria=["snr", "pi"], tuned=True))


def gain(table: pd.DataFrame, column: str) -> pd.Series:
    """The mean network's value less the ensemble's, of each seed."""
    values = by_seed(table, column, "way", need=("mean", "ensemble"))
    return values["mean"] - values["ensemble"]


@claim(
    6,
    "The sampled ensemble is better calibrated than the mean network.",
    f"Its expected calibration error is lower, paired by seed, {TWICE}.",
)
def _calibration(tables: Tables) -> list[Check]:
    error = 100 * gain(tables.rows("evaluation"), "calibration_error")
    return [Check("mean network - ensemble, points", error, above=0)]


@claim(
    7,
    "The ensemble's uncertainty is more informative than the mean network's.",
    "The area under the ROC curve of the entropy of its prediction is larger, paired by seed, "
    f"{TWICE}, for wrong against correct answers and for shuffled pixels against digits.",
)
def _uncertainty(tables: Tables) -> list[Check]:
    return [
        Check(f"ensemble - mean network, {kind}",
              -gain(tables.rows("uncertainty", kind=kind), "auroc"), above=0)
        for kind in ("wrong", "shuffled")
    ]  # fmt: skip


def sequence(tables: Tables, protocol: str, method: str) -> pd.DataFrame:
    """Forgetting and average accuracy (%) of each seed after the last task."""
    table = tables.rows("continual_summary", rule=None, protocol=protocol, method=method)
    return 100 * table.set_index("seed")[["forgetting", "average_accuracy"]]


def protected(
    tables: Tables, methods: Sequence[str], other: str, errors: float = 2.0
) -> list[Check]:
    """In every protocol: less forgetting than another method, and no lower average accuracy.

    Of several `methods` the one of highest average accuracy, the mean over seeds, is compared.
    """
    checks = []
    for protocol in tables.rows("continual_summary", rule=None)["protocol"].unique():
        values = {name: sequence(tables, protocol, name) for name in methods}
        method = max(methods, key=lambda name: values[name]["average_accuracy"].mean())
        gain = values[method] - sequence(tables, protocol, other)
        less, more = -gain["forgetting"].dropna(), gain["average_accuracy"].dropna()
        checks += [
            Check(f"{protocol}: forgetting, {other} - {method}, points", less, 0, errors=errors),
            Check(f"{protocol}: average accuracy, {method} - {other}, points", more, 0, errors=-1),
        ]
    return checks


LESS = (
    f"In every protocol the forgetting is lower than of plain gBP, paired by seed, {TWICE}, and "
    "the average accuracy after the last task is not lower beyond 1 SE."
)
claim(8, "With the VIPs of old tasks frozen, gBP forgets less than without protection.", LESS)(
    partial(protected, methods=["vip"], other="gbp")
)
claim(9, "With steps scaled by relative variance, gBP forgets less than unprotected.", LESS)(
    partial(protected, methods=["certainty"], other="gbp")
)
claim(
    10,
    "Credit protects as well as elastic weight consolidation (EWC).",
    "In every protocol the better of the two protections by credit, by its average accuracy over "
    "seeds, neither forgets more than EWC nor ends with a lower average accuracy, beyond 1 SE.",
)(partial(protected, methods=["vip", "certainty"], other="ewc", errors=-1))
