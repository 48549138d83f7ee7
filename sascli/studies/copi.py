"""COPI beside BP and gBP: rates tried, every rule trained, the trained networks analysed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pandas as pd

from sascli import runs
from sascli.analysis.decorrelation import correlations
from sascli.analysis.logistic import logistic
from sascli.config import (
    Compress,
    Decorrelation,
    Features,
    ReproduceCopi,
    Train,
    check,
    plain,
    seed_list,
    training_of,
)
from sascli.errors import UserError
from sascli.measure import copi as measures
from sascli.measure.record import write
from sascli.studies.base import Reproduction
from sascli.studies.pieces import once
from sascli.studies.search import Plan, best
from sascli.training import checkpoint, sweep
from sascli.training.sweep import Point


@dataclass(frozen=True)
class Arm:
    """A rule of the comparison, called by its key in ARMS."""

    rule: Mapping[str, object]  # what differs from the settings of COPI
    lr: float | None = None  # the unit of its rates, the published one; None: COPI's rate
    decorrelates: bool = True
    published: bool = True  # trained at that rate; else only at the best on held-out images


ARMS = {
    "copi-bp": Arm({"name": "copi"}),
    "copi-fa": Arm({"name": "copi", "credit": "fa"}),
    "copi-local": Arm({"name": "copi", "decorrelation": "local"}),
    "bp-decor": Arm({"name": "bp_decor"}),
    # torch's Adam, whose steady step is 1 / 0.316 of the published one's (constants 1 - beta)
    "bp-adam": Arm({"name": "bp_decor", "adam": True}, lr=1e-4, decorrelates=False),
    "bp-plain": Arm({"name": "bp_decor"}, decorrelates=False, published=False),
    "gbp": Arm({"name": "gbp"}, lr=1e-2, decorrelates=False, published=False),
}
COMPARED = ("copi-bp", "bp-plain")
"""The rules whose largest rates are compared: tried by every preset, with rate_seeds seeds."""
WEIGHTS = (checkpoint.WEIGHTS, checkpoint.INDEX, checkpoint.STATE.format(epoch="*"))
"""The files that a trial of a rate discards: its accuracy is in its tables."""


def best_name(arm: str) -> str:
    """The name of an arm at its best rate on held-out images."""
    return f"{arm}-best" if ARMS[arm].published else arm


@dataclass(frozen=True)
class Comparison(Plan):
    """The points of a preset for a data set of `available` training images.

    Every seed has its run directory, since one may diverge and another not. Raises UserError for
    invalid settings.
    """

    config: ReproduceCopi

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reference < 5:
            raise UserError("train_size must be at least 5: a fifth chooses a penalty")
        check(self.model)

    @property
    def reference(self) -> int:
        """T, no larger than the preset allows."""
        return least(super().reference, self.config.preset.train_size)

    @cached_property
    def model(self) -> Train:
        """The model's settings, its network no larger than the preset allows."""
        config, preset, width = self.config, self.config.preset, self.config.width
        return replace(
            training_of(config),
            train_size=self.reference,
            depth=least(config.depth, preset.depth),
            width=width if isinstance(width, list) else least(width, preset.width),
            eval=replace(config.eval, samples=0),  # COPI's networks have no distribution
            resume=False,
        )

    @property
    def seeds(self) -> list[int]:
        """The seeds of every arm."""
        return seed_list(self.config.seeds)

    @property
    def gain_epochs(self) -> int:
        """Epochs of the comparison of gains."""
        return least(self.config.epochs, self.config.preset.gain_epochs)

    def settings(self, arm: str, factor: float, gain: float = 1.0) -> Train:
        """An arm at a rate of W, in units of the arm's, and a factor of the gain.

        R's rate and the decay are COPI's.
        """
        copi_lr, rule, decay = self.config.lr, {**ARMS[arm].rule}, self.config.decay
        unit = ARMS[arm].lr or copi_lr["default"]
        lr: dict[str, Any] = {"default": float(f"{factor * unit:.3g}"), "r": 0.0}
        if rule["name"] == "gbp":
            decay = {"default": 1e-4}  # the published one
        else:
            rule = plain(self.config.rule) | rule
            rule["gain"] = gain * self.config.rule.gain
        if ARMS[arm].decorrelates:
            lr["r"] = copi_lr["default"] if copi_lr.get("r") is None else copi_lr["r"]
        elif rule["name"] != "gbp":
            rule["decorrelation_epochs"] = 0
        return replace(self.model, rule=rule, lr=lr, decay=decay)

    def points(self, name: str, settings: Train, seeds: Iterable[int]) -> list[Point]:
        """A point for each seed."""
        return [
            Point(run, replace(settings, name=run, seeds=[seed]), name)
            for seed in seeds
            for run in [f"{name}-s{seed}"]
        ]

    def arms(self, factors: Mapping[str, float]) -> dict[str, Train]:
        """Settings by name: arms at their published rates, and at the best rate if it differs.

        `factors` are the best rates of the arms that were searched.
        """
        arms = {name: self.settings(name, 1.0) for name, arm in ARMS.items() if arm.published}
        for name, factor in factors.items():
            if factor != 1 or not ARMS[name].published:
                arms[best_name(name)] = self.settings(name, factor)
        return arms

    def gains(self) -> dict[str, Train]:
        """Settings by name: COPI-BP at every gain and BP with Adam at every rate."""
        preset, gains = self.config.preset, dict[str, Train]()
        for factor in preset.gains:
            settings = self.settings("copi-bp", 1.0, factor)
            gains[f"copi-bp-gain{settings.rule.gain:g}"] = settings
        for factor in preset.gain_rates:
            settings = self.settings("bp-adam", factor)
            gains[f"bp-adam-lr{settings.lr['default']:g}"] = settings
        return {name: replace(value, epochs=self.gain_epochs) for name, value in gains.items()}

    def compared(self, arms: Mapping[str, Train]) -> list[Point]:
        """The points of the comparison of gains; an arm of the same settings replaces one."""
        points = list[Point]()
        for name, settings in self.gains().items():
            same = (a for a in arms if replace(arms[a], epochs=settings.epochs) == settings)
            arm = next(same, name)
            seeds = self.seeds[: self.config.preset.gain_seeds]
            points += self.points(arm, arms.get(arm, settings), seeds)
        return points

    def trials(self) -> Iterator[tuple[dict[str, object], Point]]:
        """Every arm at every rate, led by the key columns of rates.csv.

        They are tested on held-out training images, never on the test set.
        """
        preset = self.config.preset
        size = self.searched_size(min(preset.rate_size, self.reference))
        for arm in (arm for arm in ARMS if arm in (*COMPARED, *preset.searched)):
            seeds = range(preset.rate_seeds if arm in COMPARED else preset.search_seeds)
            for factor in preset.rates:
                settings = replace(
                    self.settings(arm, factor),
                    epochs=preset.rate_epochs,
                    train_size=size,
                    test_size=self.held_out,
                    data=replace(self.model.data, split="validation"),
                )
                for point in self.points(f"{arm}-x{factor:g}", settings, seeds):
                    (seed,) = seed_list(point.config.seeds)
                    key = {"point": arm, "factor": factor, "lr": settings.lr["default"]}
                    yield key | {"seed": seed}, point


def least(number: int, limit: int | None) -> int:
    """The number, or the limit if that is smaller."""
    return number if limit is None else min(number, limit)


class Copi(Reproduction):
    """The trial of learning rates, then every arm, then what the COPI networks have learnt."""

    name = "copi"
    config: ReproduceCopi

    def __init__(self, config: ReproduceCopi) -> None:
        """Raises UserError for invalid settings, before any work."""
        super().__init__(config)
        self.comparison = Comparison(config, len(self.data.train_y))

    @property
    def reference(self) -> Mapping[str, object]:
        """Depth, width and T of the networks."""
        model = self.comparison.model
        return {key: getattr(model, key) for key in ("depth", "width", "train_size")}

    def planned(self) -> list[Point]:
        """The trials, and every arm, also at another rate than the published one."""
        comparison, preset = self.comparison, self.config.preset
        other = next((factor for factor in preset.rates if factor != 1), 1.0)
        arms = comparison.arms(dict.fromkeys(preset.searched, other))
        points = [point for _, point in comparison.trials()]
        for arm, settings in arms.items():
            points += comparison.points(arm, settings, comparison.seeds)
        return list(
            {point.name: point for point in (*points, *comparison.compared(arms))}.values()
        )

    def train(self, directory: Path) -> Mapping[str, object]:
        """Every arm at its published rate, and at the best of the trials if that differs.

        Returns the rates, and the runs that diverged, which have no rows in the tables. Raises
        UserError where COPI-BP diverged with every seed.
        """
        comparison, parent = self.comparison, directory / "runs"
        trials = list(comparison.trials())
        sweep.train_points([point for _, point in trials], parent, discard, tolerant=True)
        rates = runs.rows([key | outcome(parent / point.name) for key, point in trials])
        rates = rates.rename(columns={"test_accuracy": "validation_accuracy"})
        runs.write_table(directory / "rates.csv", rates)
        searched = self.config.preset.searched
        factors = {arm: best(rates[rates["point"] == arm], "factor") for arm in searched}
        arms = comparison.arms(factors)
        points = [p for arm in arms for p in comparison.points(arm, arms[arm], comparison.seeds)]
        compared = comparison.compared(arms)
        every = list({point.name: point for point in [*points, *compared]}.values())
        sweep.train_points(every, parent, tolerant=True)
        diverged = [point.name for point in every if sweep.diverged(parent / point.name)]
        learnt = [point for point in points if point.name not in diverged]
        if not any(point.group == "copi-bp" for point in learnt):
            raise UserError("copi-bp diverged, the network to be analysed: lower lr")
        metrics = sweep.gather("metrics", [p for p in learnt if p.config.lr["r"]], parent)
        shown = [point for point in compared if point.name not in diverged]
        write(directory, {
            "arms": runs.rows([settings_of(p) | outcome(parent / p.name) for p in every]),
            "history": sweep.gather("history", learnt, parent),
            "gains": gains(shown, parent, comparison.gain_epochs),
            "decorrelation": correlations(metrics),
        })  # fmt: skip
        return {"rates": {name: arms[name].lr["default"] for name in arms}, "diverged": diverged}

    def measure(self, directory: Path) -> None:
        """Analyse the COPI-BP networks that did not diverge; existing tables are kept."""
        preset, comparison = self.config.preset, self.comparison
        points = comparison.points("copi-bp", comparison.model, comparison.seeds)
        trained = self.trained(directory, points)
        networks = [run for run in trained if not sweep.diverged(run.directory)]
        first, maps = networks[0], Compress(images=preset.maps)
        last_hidden = first.layers.w[max(len(first.layers.w) - 1, 1) - 1]
        units = list(range(min(last_hidden.shape[1], preset.units)))
        for run in networks:
            once(run.directory, "compression", partial(measures.compress, run, maps))
        tables = [runs.read_table(run.directory / "compression.csv") for run in networks]
        shown = Decorrelation(images=preset.images)
        fields = Features(images=preset.maps, unit=units)
        once(
            directory, "decorrelated",
            lambda: {"decorrelated": measures.decorrelation(first, shown)["decorrelated"]}
        )  # fmt: skip
        once(directory, "features", lambda: measures.features(first, fields))
        once(directory, "compression", lambda: pd.concat(tables, ignore_index=True))
        once(directory, "linear", lambda: logistic(first.data))


def discard(point: Point, directory: Path) -> None:
    """Remove the weights and the state of a trial, hundreds of megabytes in large networks."""
    for path in (path for name in WEIGHTS for path in directory.glob(name)):
        path.unlink(missing_ok=True)


def outcome(run: Path) -> dict[str, object]:
    """Test accuracy after the last epoch; none, and the epoch of divergence."""
    diverged = runs.manifest_of(run)["diverged"]
    if diverged is not None:
        return {"diverged": diverged, "test_accuracy": None}
    history = runs.read_table(run / "history.csv")
    return {"diverged": None, "test_accuracy": history["test_accuracy"].iloc[-1]}


def settings_of(point: Point) -> dict[str, object]:
    """The key columns of a network in arms.csv and gains.csv."""
    config = point.config
    return {
        "rule": config.rule.name,
        "point": point.group,
        "gain": getattr(config.rule, "gain", None),
        "lr": config.lr["default"],
        "seed": seed_list(config.seeds)[0],
    }


def gains(points: Sequence[Point], parent: Path, epochs: int) -> pd.DataFrame:
    """gains.csv: loss and accuracy over the first epochs of COPI-BP and of BP with Adam."""
    columns = ["point", "seed", "epoch", "train_loss", "test_accuracy"]
    history = sweep.gather("history", points, parent)[columns]
    table = runs.rows([settings_of(point) for point in points]).merge(history, how="left")
    return table[table["epoch"] <= epochs]
