"""Claims of "Ensemble perspective for understanding temporal credit assignment", with rules."""

import pandas as pd

from sascli import runs
from sascli.claims.check import Check, MissingError, Register, Results
from sascli.claims.shapes import by_seed

LEARNT = {"digits": 86.0, "multisensory": 90.0}  # per cent right
CLOSE = 1.0  # percentage points
SLOW = -0.25  # exponent of the width; -1/2 is that of independent errors
TWICE = "beyond 2 SE"

CLAIMS = Register()
claim = CLAIMS.enter


def models(results: Results) -> dict[str, str]:
    """The names of the two models in the tables, by what they are."""
    return {"digits": str(results.reference["digits"]), "multisensory": "multisensory"}


def last(results: Results, model: str) -> pd.Series:
    """Mean-field accuracy of gBP after the last epoch, in per cent, by seed."""
    history = results.rows("history", model=model).dropna(subset=["test_accuracy"])
    return pd.Series(100 * runs.last_epochs(history).set_index("seed")["test_accuracy"])


@claim(
    1,
    "gBP learns both tasks.",
    f"The accuracy after the last epoch is above {LEARNT['digits']:g} % on images in sequence and "
    f"above {LEARNT['multisensory']:g} % in the multisensory task, {TWICE}.",
)
def _learns(results: Results) -> list[Check]:
    return [
        Check(f"accuracy, {name} (%)", last(results, model), above=LEARNT[name])
        for name, model in models(results).items()
    ]


@claim(
    2,
    "Sampled networks perform like the mean field.",
    f"In both tasks the mean accuracy of effective networks with weights drawn once is within "
    f"{CLOSE:g} percentage point of the mean field's, {TWICE}.",
)
def _sampled(results: Results) -> list[Check]:
    checks = []
    for name, model in models(results).items():
        table = results.rows("redraw", model=model, redraw="once")
        distance = 100 * table.groupby("seed")["test_accuracy"].mean() - last(results, model)
        what = f"|sampled - mean-field accuracy|, {name}, points"
        checks.append(Check(what, distance.dropna().abs(), below=CLOSE))
    return checks


@claim(
    3,
    "Removing VIP-like recurrent connections hurts more than removing as many random ones.",
    "In both tasks, with all of them removed (f = 1), the error is higher than with as many "
    f"random ones removed, {TWICE}.",
)
def _important(results: Results) -> list[Check]:
    checks = []
    for name, model in models(results).items():
        table = results.rows("perturbation", model=model, fraction=1)
        if not table["n_weights"].max() > 0:
            raise MissingError(f"{model} has no VIP-like connections")
        error = 100 * by_seed(table, "test_error", "kind", need=["vip_off", "random_off"])
        what = f"error, VIP-like - random removed, {name}, points"
        checks.append(Check(what, error["vip_off"] - error["random_off"], above=0))
    return checks


@claim(
    4,
    "Choices from both modalities are the steepest.",
    "In mean-field trials the fitted slope of va, at most 20 s as every fit's, is above that of v "
    f"and that of a, {TWICE}.",
)
def _steepest(results: Results) -> list[Check]:
    table = results.rows("sigmoids", rule=None, way="field")
    slope = by_seed(table, "slope", "modality", need=["v", "a", "va"])
    return [
        Check(f"slope, va - {single}, s", slope["va"] - slope[single], above=0)
        for single in ("v", "a")
    ]


@claim(
    5,
    "Psychometric curves rise.",
    "In mean-field trials, of each modality, no step between neighbouring frequencies takes the "
    f"fraction of high choices down {TWICE}: the step that is lowest on average is checked.",
)
def _monotone(results: Results) -> list[Check]:
    table = results.rows("psychometric", rule=None, way="field")
    checks = []
    for modality, own in table.groupby("modality"):
        rise = 100 * by_seed(own, "high", "frequency", least=2).diff(axis=1).iloc[:, 1:]
        lowest = rise.mean().idxmin()
        what = f"least rise of high choices, {modality}, up to {lowest:g} events / s, points"
        checks.append(Check(what, rise[lowest], above=0, errors=-2))
    return checks


@claim(
    6,
    "Some neurons have mixed selectivity.",
    "The share of the neurons that are selective for choice and modality is above that with the "
    f"labels of the one or of the other permuted, {TWICE}.",
)
def _mixed(results: Results) -> list[Check]:
    table = results.rows("selectivity", rule=None)
    found = (table["kind"] == "mixed").groupby(table["seed"]).mean()
    excess = 100 * (found - table.groupby("seed")["control_mixed"].mean())
    return [Check("mixed neurons - with one label permuted, % of all", excess, above=0)]


@claim(
    7,
    "The empirical tangent kernel converges to the analytic one.",
    f"For every leak the deviation falls with the width by an exponent below {SLOW:g}, {TWICE}, "
    "a seed being a random network of every width.",
)
def _kernel(results: Results) -> list[Check]:
    table = results.rows("kernel_decay", rule=None)
    return [
        Check(f"exponent of the width, alpha = {alpha:g}", own.groupby("seed")["exponent"].first(),
              below=SLOW)
        for alpha, own in table.groupby("alpha")
    ]  # fmt: skip


@claim(
    8,
    "Weights drawn anew at every time step do no worse than weights drawn once.",
    "In both tasks the difference of the mean accuracies, paired by seed, is on average not below "
    "minus one SE.",
)
def _redrawn(results: Results) -> list[Check]:
    checks = []
    for name, model in models(results).items():
        table = results.rows("redraw", model=model)
        right = 100 * by_seed(table, "test_accuracy", "redraw", need=["once", "step"])
        what = f"accuracy, every step - once, {name}, points"
        checks.append(Check(what, right["step"] - right["once"], above=0, errors=-1))
    return checks
