"""What the credit is good for: claims on calibration, pruning and protection, with their rules."""

import pandas as pd

from sascli.claims.check import Check, MissingError, Register, Results
from sascli.claims.shapes import by_seed

FREE = 0.5  # test images that may be classified otherwise without the UIPs: none
HALF = 0.5  # largest fraction of connections kept at which criteria are compared
TWICE = "beyond 2 SE"

CLAIMS = Register()
claim = CLAIMS.enter


def kept(results: Results, rule: str, criterion: str, *, tuned: bool) -> pd.Series:
    """Accuracy (%) of each seed, the mean over the fractions up to a half that are kept."""
    table = results.rows("pruning", rule=rule, criterion=criterion)
    table = table[(table["level"] <= HALF) & ((table["epochs"] > 0) == tuned)]
    if table.empty:
        raise MissingError(f"pruning.csv has no fractions up to {HALF:g} as wanted")
    return 100 * by_seed(table, "test_accuracy", "level").mean(axis=1)


def against(
    results: Results, criterion: str, rule: str, *, tuned: bool = False
) -> tuple[str, pd.Series]:
    """What is compared, and how much more credit keeps than the magnitude of a rule's means."""
    more = kept(results, "gbp", criterion, tuned=tuned)
    less = kept(results, rule, "magnitude", tuned=tuned)
    return f"{criterion} - {rule} magnitude, points", (more - less).dropna()


KEEPS = (
    f"The accuracy, the mean over the fractions up to {HALF:.0%} of the connections that are "
    "kept, is on average higher than that of magnitude pruning, paired by seed, "
)


@claim(
    1,
    "Unimportant connections (UIPs) can all go for free.",
    "With every connection of π = 1 dropped from the mean network, no test image is classified "
    f"otherwise: fewer than {FREE:g} images {TWICE}.",
)
def _uip(results: Results) -> list[Check]:
    table = results.rows("pruning", criterion="threshold", level=1, epochs=0)
    return [Check("images classified otherwise", table.set_index("seed")["n_changed"], below=FREE)]


@claim(
    2,
    "Pruning by certainty keeps more accuracy than by the magnitude of gBP's own means.",
    f"{KEEPS}{TWICE}, as cut. Certainty is |mu| / sigma of a weight, infinite for a VIP.",
)
def _own_snr(results: Results) -> list[Check]:
    return [Check(*against(results, "snr", "gbp"), above=0)]


@claim(
    3,
    "Pruning by the spike mass π keeps more accuracy than by the magnitude of gBP's own means.",
    f"{KEEPS}{TWICE}, as cut.",
)
def _own_pi(results: Results) -> list[Check]:
    return [Check(*against(results, "pi", "gbp"), above=0)]


@claim(
    4,
    "Pruning by credit keeps more accuracy than magnitude pruning of a BP network.",
    f"{KEEPS}{TWICE}, as cut, both by certainty and by π.",
)
def _bp(results: Results) -> list[Check]:
    return [Check(*against(results, name, "bp"), above=0) for name in ("snr", "pi")]


@claim(
    5,
    "So it does after fine-tuning.",
    f"{KEEPS}{TWICE}, after fine-tuning, both by certainty and by π.",
)
def _bp_tuned(results: Results) -> list[Check]:
    return [Check(*against(results, name, "bp", tuned=True), above=0) for name in ("snr", "pi")]


def gain(table: pd.DataFrame, column: str) -> pd.Series:
    """Of each seed, the mean network's number less the ensemble's."""
    ways = by_seed(table, column, "way", need=("mean", "ensemble"))
    return ways["mean"] - ways["ensemble"]


@claim(
    6,
    "The sampled ensemble is better calibrated than the mean network.",
    f"Its expected calibration error is lower, paired by seed, {TWICE}.",
)
def _calibration(results: Results) -> list[Check]:
    error = 100 * gain(results.rows("evaluation"), "calibration_error")
    return [Check("mean network - ensemble, points", error, above=0)]


@claim(
    7,
    "The ensemble's uncertainty tells more than the mean network's.",
    "The area under the ROC curve of the entropy of its prediction is larger, paired by seed, "
    f"{TWICE}, for wrong against right answers and for shuffled pixels against digits.",
)
def _uncertainty(results: Results) -> list[Check]:
    more = {
        kind: -gain(results.rows("uncertainty", kind=kind), "auroc")
        for kind in ("wrong", "shuffled")
    }
    return [Check(f"ensemble - mean network, {kind}", own, above=0) for kind, own in more.items()]


def protocols(results: Results) -> list[str]:
    """The protocols of tasks in sequence that were run."""
    return list(results.rows("continual_summary", rule=None)["protocol"].unique())


def sequence(results: Results, protocol: str, method: str) -> pd.DataFrame:
    """Forgetting and average accuracy (%) of each seed after the last task."""
    table = results.rows("continual_summary", rule=None, protocol=protocol, method=method)
    return 100 * table.set_index("seed")[["forgetting", "average_accuracy"]]


def protects(
    results: Results, protocol: str, method: str, other: str, errors: float
) -> list[Check]:
    """Less forgetting than another method, and no lower average accuracy."""
    mine, theirs = (sequence(results, protocol, name) for name in (method, other))
    less = (theirs["forgetting"] - mine["forgetting"]).dropna()
    more = (mine["average_accuracy"] - theirs["average_accuracy"]).dropna()
    return [
        Check(f"{protocol}: forgetting, {other} - {method}, points", less, 0, errors=errors),
        Check(f"{protocol}: average accuracy, {method} - {other}, points", more, 0, errors=-1),
    ]


LESS = (
    f"In every protocol the forgetting is lower than of plain gBP, paired by seed, {TWICE}, and "
    "the average accuracy after the last task not lower beyond 1 SE."
)


@claim(8, "With the VIPs of old tasks frozen, gBP forgets less than without protection.", LESS)
def _vip(results: Results) -> list[Check]:
    return [c for p in protocols(results) for c in protects(results, p, "vip", "gbp", 2)]


@claim(9, "With steps scaled by certainty, gBP forgets less than without protection.", LESS)
def _certainty(results: Results) -> list[Check]:
    return [c for p in protocols(results) for c in protects(results, p, "certainty", "gbp", 2)]


@claim(
    10,
    "Credit protects as well as elastic weight consolidation (EWC).",
    "In every protocol the better of the two protections by credit, by its average accuracy over "
    "seeds, neither forgets more than EWC nor ends with a lower average accuracy, beyond 1 SE.",
)
def _ewc(results: Results) -> list[Check]:
    checks = []
    for protocol in protocols(results):
        means = {
            method: sequence(results, protocol, method)["average_accuracy"].mean()
            for method in ("vip", "certainty")
        }
        better = max(means, key=lambda method: means[method])
        checks += protects(results, protocol, better, "ewc", -1)
    return checks
