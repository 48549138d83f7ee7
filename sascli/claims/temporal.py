"""Claims of "Ensemble perspective for understanding temporal credit assignment", with rules."""

from collections.abc import Callable
from dataclasses import replace

import pandas as pd

from sascli import runs
from sascli.claims.check import TWICE, Check, Checks, MissingError, Register, Tables
from sascli.claims.shapes import by_seed

LEARNT = {"digits": 86.0, "multisensory": 90.0}  # per cent correct
LOST = {"digits": 0.5, "multisensory": 3.1}  # points lost by sampling the published networks
SAMPLED = {"digits": "step", "multisensory": "once"}  # how often published weights are drawn
ENOUGH = 5  # seeds needed to resolve such losses
RISE, FALL = 50.0, 20.0  # points, of a psychometric curve
BROKEN = 0.1  # change of an overlap
SLOW = -0.25  # exponent of the width; -1/2 is that of independent errors
RECURRENT = 2
"""The layer of the recurrent connections."""

CLAIMS = Register()
claim = CLAIMS.enter


def models(tables: Tables) -> dict[str, str]:
    """The names of the two models in the tables, by task."""
    return {"digits": str(tables.reference["digits"]), "multisensory": "multisensory"}


def both(checks: Callable[[Tables, str, str], list[Check]]) -> Checks:
    """The checks of both tasks, from those of a task and the name of its model."""
    return lambda tables: [
        check for task, model in models(tables).items() for check in checks(tables, task, model)
    ]


@claim(
    1,
    "gBP learns both tasks.",
    f"The accuracy after the last epoch is above {LEARNT['digits']:g} % on images in sequence and "
    f"above {LEARNT['multisensory']:g} % in the multisensory task, {TWICE}.",
)
@both
def _learns(tables: Tables, task: str, model: str) -> list[Check]:
    history = tables.rows("history", model=model).dropna(subset=["test_accuracy"])
    last = 100 * runs.last_epochs(history).set_index("seed")["test_accuracy"]
    return [Check(f"accuracy, {task} (%)", last, above=LEARNT[task])]


def sampled(tables: Tables, task: str, model: str, redraw: str) -> list[Check]:
    """Checks that sampling loses no more accuracy than in the published networks."""
    table = tables.rows("redraw", model=model, redraw=redraw)
    if "field_accuracy" not in table:
        raise MissingError("redraw.csv has no column field_accuracy")
    mean = 100 * table.groupby("seed")[["field_accuracy", "test_accuracy"]].mean()
    if len(mean) < ENOUGH:
        raise MissingError(f"{ENOUGH} seeds are needed, redraw.csv has {len(mean)} of {model}")
    lost, most = mean["field_accuracy"] - mean["test_accuracy"], LOST[task]
    what = f"mean field - drawn {'at every step' if redraw == 'step' else 'once'}, {task}, points"
    return [
        Check(what, lost, below=most, errors=-2),
        Check(f"{what}, against {2 * most:g}", lost, below=2 * most),
    ]


@claim(
    2,
    "Sampled networks perform like the mean field.",
    f"Effective networks redrawn at every time step (digits) lose at most {LOST['digits']:g} "
    "points of the mean field's accuracy, networks drawn once (multisensory task, at the time "
    f"step of its tests) at most {LOST['multisensory']:g}, as the published ones do, within 2 SE; "
    f"and less than twice as much {TWICE}. At least {ENOUGH} seeds.",
)
@both
def _sampled(tables: Tables, task: str, model: str) -> list[Check]:
    return sampled(tables, task, model, SAMPLED[task])


@claim(
    3,
    "Removing VIP-like recurrent connections hurts more than removing as many others.",
    "In both tasks, by the published thresholds and tested by the mean field, the error with all "
    "of them removed is higher than with as many random ones removed. With those removed that "
    "have a counterpart of the same |m| that is not VIP-like, it is higher than with the "
    f"counterparts removed. Both {TWICE}.",
)
@both
def _important(tables: Tables, task: str, model: str) -> list[Check]:
    table = tables.rows("perturbation", model=model, fraction=1, criterion="published")
    checks = []
    for kind, other, whose in (
        ("vip_off", "random_off", "random ones"),
        ("paired_off", "matched_off", "others of the same |m|"),
    ):
        removed = table[table["kind"].isin([kind, other]) & (table["n_weights"] > 0)]
        if removed.empty:
            raise MissingError(f"{model} has no VIP-like connections, or none with {whose}")
        error = 100 * by_seed(removed, "test_error", "kind", need=[kind, other])
        what = f"error, VIP-like - {whose} removed, {task}, points"
        checks.append(Check(what, error[kind] - error[other], above=0))
    return checks


@claim(
    4,
    "Choices from both modalities are the steepest.",
    "In mean-field trials the fitted slope of va, at most 20 s like that of every fit, is above "
    f"those of v and of a, {TWICE}.",
)
def _steepest(tables: Tables) -> list[Check]:
    table = tables.rows("sigmoids", rule=None, way="field")
    slope = by_seed(table, "slope", "modality", need=["v", "a", "va"])
    return [
        Check(f"slope, va - {single}, s", slope["va"] - slope[single], above=0)
        for single in ("v", "a")
    ]


@claim(
    5,
    "Psychometric curves rise.",
    "In mean-field trials, of each modality, the fraction of high choices is more than "
    f"{RISE:g} points greater at the highest frequency than at the lowest, and from no frequency "
    f"to a higher one does a network's curve fall by {FALL:g} points or more. Each {TWICE}.",
)
def _monotone(tables: Tables) -> list[Check]:
    table = tables.rows("psychometric", rule=None, way="field")
    checks = []
    for modality, curves in table.groupby("modality"):
        high = 100 * by_seed(curves, "high", "frequency", least=2)
        rise, fall = high.iloc[:, -1] - high.iloc[:, 0], (high.cummax(axis=1) - high).max(axis=1)
        checks += [
            Check(f"rise of high choices, {modality}, points", rise, above=RISE),
            Check(f"greatest fall of high choices, {modality}, points", fall, below=FALL),
        ]
    return checks


@claim(
    6,
    "Training makes neurons selective; some have mixed selectivity.",
    "The fraction of neurons that are selective for both choice and modality is above that with "
    "the labels of either permuted. Compared with untrained networks, whose trials are labelled "
    "by the correct choice, more neurons are selective for choice alone and fewer for "
    f"modality alone. Each {TWICE}.",
)
def _selective(tables: Tables) -> list[Check]:
    table = tables.rows("selectivity", rule=None, network="trained")
    control = tables.rows("selectivity", rule=None, network="untrained")

    def fraction(rows: pd.DataFrame, kind: str) -> "pd.Series[float]":
        return 100 * (rows["kind"] == kind).groupby(rows["seed"]).mean()

    mixed = fraction(table, "mixed") - 100 * table.groupby("seed")["control_mixed"].mean()
    choice, modality = (
        (fraction(table, kind) - fraction(control, kind)).dropna()
        for kind in ("choice", "modality")
    )
    return [
        Check("mixed neurons - with one label permuted, % of all", mixed, above=0),
        Check("neurons of choice alone, trained - untrained, % of all", choice, above=0),
        Check("neurons of modality alone, trained - untrained, % of all", modality, below=0),
    ]


@claim(
    7,
    "The empirical tangent kernel converges to the analytic one.",
    f"For every leak the deviation falls with the width by an exponent below {SLOW:g}, {TWICE}, "
    "over seeds, each a random network of every width.",
)
def _kernel(tables: Tables) -> list[Check]:
    table = tables.rows("kernel_decay", rule=None)
    return [
        Check(f"exponent of the width, alpha = {alpha:g}",
              rows.groupby("seed")["exponent"].first(), below=SLOW)
        for alpha, rows in table.groupby("alpha")
    ]  # fmt: skip


@claim(
    8,
    "Weights redrawn at every time step do no worse than weights drawn once.",
    "In both tasks the difference of the mean accuracies, paired by seed, is on average not below "
    "minus one SE.",
)
@both
def _redrawn(tables: Tables, task: str, model: str) -> list[Check]:
    table = tables.rows("redraw", model=model)
    accuracy = 100 * by_seed(table, "test_accuracy", "redraw", need=["once", "step"])
    what = f"accuracy, every step - once, {task}, points"
    return [Check(what, accuracy["step"] - accuracy["once"], above=0, errors=-1)]


@claim(
    9,
    "Learning breaks the symmetry of a read-out neuron's interchangeable inputs.",
    "Over training the overlap of m with its start falls, and that with m of independently "
    f"trained networks rises from no common direction, each by more than {BROKEN:g} {TWICE}.",
)
def _symmetry(tables: Tables) -> list[Check]:
    table = tables.rows("order_parameters", rule=None, parameter="m")
    ends = [table["epoch"].min(), table["epoch"].max()]

    def change(column: str) -> "pd.Series[float]":
        if table[column].isna().all():
            raise MissingError("overlaps with other networks need two seeds")
        wide = by_seed(table, column, "epoch", need=ends)
        return pd.Series(wide[ends[1]] - wide[ends[0]])

    return [
        Check("change of the overlap of m with its start", change("to_start"), below=-BROKEN),
        Check("change of the overlap of m with other networks", change("to_others"), above=BROKEN),
    ]


@claim(
    10,
    "Stochastic plasticity helps: weights redrawn at every time step beat weights drawn once.",
    "In both tasks networks of weights redrawn at every time step are more accurate than networks "
    f"of weights drawn once, paired by seed, {TWICE}: stricter than claim 8.",
)
def _plasticity(tables: Tables) -> list[Check]:
    return [replace(check, errors=2.0) for check in _redrawn(tables)]


@claim(
    11,
    "Training lowers the entropy per recurrent connection.",
    "In both tasks the mean entropy per recurrent connection by the paper's estimator is lower "
    f"after the last epoch than before training, {TWICE}.",
)
@both
def _entropy(tables: Tables, task: str, model: str) -> list[Check]:
    table = tables.rows("entropy_epochs", model=model, layer=RECURRENT, estimator="paper")
    start = table[table["epoch"] == 0].set_index("seed")["mean"]
    if start.empty:
        raise MissingError(f"{model} has no weights from before training")
    end = runs.last_epochs(table).set_index("seed")["mean"]
    return [Check(f"change of the entropy, {task}, nats", (end - start).dropna(), below=0)]


@claim(
    12,
    "Networks of digits perform like the mean field also with weights drawn once.",
    f"They lose at most {LOST['digits']:g} points of its accuracy within 2 SE, and less than "
    f"twice as much {TWICE}: stricter than published. At least {ENOUGH} seeds.",
)
def _drawn_once(tables: Tables) -> list[Check]:
    return sampled(tables, "digits", models(tables)["digits"], "once")
