"""COPI beside BP and gBP: rates tried, every rule trained, the trained network looked into."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pandas as pd

from sascli import runs
from sascli.analysis.decorrelation import correlations, decorrelated
from sascli.analysis.linear import compression, features
from sascli.analysis.logistic import logistic
from sascli.config import (
    Decorrelation,
    ReproduceCopi,
    Train,
    check,
    plain,
    seed_list,
    training_of,
)
from sascli.errors import UserError
from sascli.measure.run import TrainedRun
from sascli.studies.base import Reproduction, reproduce
from sascli.training import checkpoint, sweep
from sascli.training import run as training_run
from sascli.training.sweep import Point


@dataclass(frozen=True)
class Arm:
    """A rule of the comparison, called by its key in ARMS."""

    rule: Mapping[str, Any]  # what differs from the settings of COPI
    lr: float | None = None  # the unit of its rates, the published one; None: COPI's rate
    decorrelates: bool = True
    published: bool = True  # trained at that rate; else at the best on held-out images alone


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
LEFT = (checkpoint.WEIGHTS, checkpoint.INDEX, checkpoint.STATE.format(epoch="*"))
"""What a trial of a rate need not leave: its accuracy is in its tables."""


def best_name(arm: str) -> str:
    """The name of an arm at its best rate on held-out images."""
    return f"{arm}-best" if ARMS[arm].published else arm


@dataclass(frozen=True)
class Comparison:
    """The points of a preset for a data set of `available` training images.

    Every seed has its run directory, since one may diverge and another not.
    """

    config: ReproduceCopi
    available: int

    @cached_property
    def base(self) -> Train:
        """The model's settings, the network and the images no larger than the preset allows."""
        own, preset = self.config, self.config.preset
        size = self.available if own.train_size == "all" else own.train_size
        width = own.width if isinstance(own.width, list) else least(own.width, preset.width)
        return replace(
            training_of(own),
            train_size=least(size, preset.train_size),
            depth=least(own.depth, preset.depth),
            width=width,
            eval=replace(own.eval, samples=0),  # COPI's networks have no distribution
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

    def rate(self, arm: str, factor: float) -> float:
        """The learning rate that a factor stands for."""
        unit = ARMS[arm].lr
        return float(f"{factor * (self.config.lr['default'] if unit is None else unit):.3g}")

    def settings(self, arm: str, factor: float, gain: float = 1.0) -> Train:
        """An arm at a rate of W and a factor of the gain; R's rate and the decay are COPI's."""
        own, given = ARMS[arm], self.config.lr
        lr: dict[str, Any] = {"default": self.rate(arm, factor), "r": 0.0}
        rule, decay = {**own.rule}, self.config.decay
        if rule["name"] == "gbp":
            decay = {"default": 1e-4}  # the published one
        else:
            rule = plain(self.config.rule) | rule
            rule["gain"] *= gain
        if own.decorrelates:
            lr["r"] = given["default"] if given.get("r") is None else given["r"]
        elif rule["name"] != "gbp":
            rule["decorrelation_epochs"] = 0
        return replace(self.base, rule=rule, lr=lr, decay=decay)

    def points(self, name: str, settings: Train, seeds: Iterable[int]) -> list[Point]:
        """A point for each seed."""
        return [
            Point(run, replace(settings, name=run, seeds=[seed]), name)
            for seed in seeds
            for run in [f"{name}-s{seed}"]
        ]

    def arms(self, factors: Mapping[str, float]) -> dict[str, Train]:
        """Settings by name: arms at their published rates, and at the best where it is another.

        `factors` are the best rates of the arms that were searched.
        """
        arms = {arm: self.settings(arm, 1.0) for arm, own in ARMS.items() if own.published}
        for arm, factor in factors.items():
            if factor != 1 or not ARMS[arm].published:
                arms[best_name(arm)] = self.settings(arm, factor)
        return arms

    def gains(self) -> dict[str, Train]:
        """Settings by name: COPI-BP at every gain and BP with Adam at every rate."""
        preset, gains = self.config.preset, dict[str, Train]()
        for factor in preset.gains:
            own = self.settings("copi-bp", 1.0, factor)
            gains[f"copi-bp-gain{own.rule['gain']:g}"] = own
        for factor in preset.gain_rates:
            own = self.settings("bp-adam", factor)
            gains[f"bp-adam-lr{own.lr['default']:g}"] = own
        return {name: replace(own, epochs=self.gain_epochs) for name, own in gains.items()}

    def compared(self, arms: Mapping[str, Train]) -> list[Point]:
        """The points of the comparison of gains; an arm of the same settings is taken for them."""
        points = list[Point]()
        for name, own in self.gains().items():
            same = [arm for arm in arms if replace(arms[arm], epochs=own.epochs) == own]
            which = (same[0], arms[same[0]]) if same else (name, own)
            points += self.points(*which, self.seeds[: self.config.preset.gain_seeds])
        return points

    def trials(self) -> Iterator[tuple[dict[str, Any], Point]]:
        """Every arm at every rate, led by the key columns of rates.csv.

        They are tested on training images held out, never on the test set.
        """
        preset, base = self.config.preset, self.base
        held_out = max(1, min(10_000, self.available // 5))
        size = min(preset.rate_size, base.train_size, self.available - held_out)
        for arm in (arm for arm in ARMS if arm in (*COMPARED, *preset.searched)):
            seeds = range(preset.rate_seeds if arm in COMPARED else preset.search_seeds)
            for factor in preset.rates:
                settings = replace(
                    self.settings(arm, factor),
                    epochs=preset.rate_epochs,
                    train_size=size,
                    test_size=held_out,
                    data=replace(base.data, split="validation"),
                )
                for own in self.points(f"{arm}-x{factor:g}", settings, seeds):
                    key = {"point": arm, "factor": factor, "lr": self.rate(arm, factor)}
                    yield key | seed_of(own), own


def least(number: int, limit: int | None) -> int:
    """The number, or the limit where it is less."""
    return number if limit is None else min(number, limit)


def seed_of(own: Point) -> dict[str, int]:
    """The column of a point's only seed."""
    return {"seed": seed_list(own.config.seeds)[0]}


class Copi(Reproduction):
    """The trial of learning rates, then every arm, then what the COPI networks have learnt."""

    study = "copi"
    config: ReproduceCopi

    def __init__(self, config: ReproduceCopi) -> None:
        """Raises UserError for invalid settings, before any work."""
        whole = replace(config, train_size="all", test_size="all")
        super().__init__(config, training_run.load_data(whole, training_run.pick_device("cpu")))
        self.comparison = Comparison(config, len(self.data.train_y))
        base = self.comparison.base
        if base.train_size > self.comparison.available:
            raise sweep.too_many(base.train_size, self.comparison.available)
        if base.train_size < 5:
            raise UserError("train_size must be at least 5: a fifth chooses a penalty")
        check(base)

    @property
    def reference(self) -> dict[str, Any]:
        """Depth, width and T of the networks."""
        base = self.comparison.base
        return {"depth": base.depth, "width": base.width, "train_size": base.train_size}

    def train(self, directory: Path) -> dict[str, Any]:
        """Every arm at its published rate, and at the best of the trials where that is another.

        Returns the rates, and the runs that diverged, which have no rows in the tables. Raises
        UserError where COPI-BP diverged with every seed.
        """
        comparison, parent = self.comparison, directory / "runs"
        trials = list(comparison.trials())
        sweep.train_points([own for _, own in trials], parent, discard, tolerant=True)
        rates = runs.rows(
            [
                key | {"diverged": end["diverged"], "validation_accuracy": end["test_accuracy"]}
                for key, own in trials
                for end in [outcome(parent / own.name)]
            ]
        )
        runs.write_table(directory / "rates.csv", rates)
        arms = comparison.arms({arm: best(rates, arm) for arm in self.config.preset.searched})
        points = [
            own for name in arms for own in comparison.points(name, arms[name], comparison.seeds)
        ]
        compared = comparison.compared(arms)
        every = list({own.name: own for own in [*points, *compared]}.values())
        sweep.train_points(every, parent, tolerant=True)
        diverged = [own.name for own in every if sweep.diverged(parent / own.name)]
        learnt = [own for own in points if own.name not in diverged]
        if not any(own.group == "copi-bp" for own in learnt):
            raise UserError("copi-bp diverged, the network that is looked into: lower lr")
        metrics = sweep.gather("metrics", [own for own in learnt if own.config.lr["r"]], parent)
        for name, table in {
            "arms": runs.rows([settings_of(own) | outcome(parent / own.name) for own in every]),
            "history": sweep.gather("history", learnt, parent),
            "gains": gains([own for own in compared if own.name not in diverged], parent,
                           comparison.gain_epochs),
            "decorrelation": correlations(metrics),
        }.items():  # fmt: skip
            runs.write_table(directory / f"{name}.csv", table)
        return {"rates": {name: arms[name].lr["default"] for name in arms}, "diverged": diverged}

    def measure(self, directory: Path) -> None:
        """Look into COPI-BP's networks; tables that are there are kept, seed by seed."""
        preset, epsilon = self.config.preset, Decorrelation().epsilon  # as of the command
        networks = self.networks(directory)
        first = networks[0]

        def receptive_fields() -> pd.DataFrame:
            layer = max(len(first.layers.w) - 1, 1)
            units = range(min(first.layers.w[layer - 1].shape[1], preset.units))
            x = first.training_images(preset.maps)
            return features(first.layers, x, first.data, layer=layer, units=units, replica=0)

        def compressed(run: TrainedRun) -> pd.DataFrame:
            return compression(run.layers, run.seeds, run.training_images(preset.maps), run.data)

        for run in networks:
            once(run.directory / "compression.csv", partial(compressed, run))
        for name, table in {
            "decorrelated": lambda: decorrelated(
                first.layers, first.data, images=preset.images, replica=0, epsilon=epsilon
            ),
            "features": receptive_fields,
            "compression": lambda: pd.concat(
                [runs.read_table(run.directory / "compression.csv") for run in networks],
                ignore_index=True,
            ),
            "linear": lambda: logistic(first.data),
        }.items():
            once(directory / f"{name}.csv", table)

    def networks(self, directory: Path) -> list[TrainedRun]:
        """COPI-BP's runs that did not diverge."""
        device, comparison = training_run.pick_device(self.config.device), self.comparison
        points = comparison.points("copi-bp", comparison.base, comparison.seeds)
        paths = [directory / "runs" / own.name for own in points]
        return [
            TrainedRun(path, device, self.config.data.root)
            for path in paths
            if not sweep.diverged(path)
        ]


def once(path: Path, table: Callable[[], pd.DataFrame]) -> None:
    """Write a table that is not there yet."""
    if not path.exists():
        print(path.relative_to(path.parents[2]), flush=True)
        runs.write_table(path, table())


def discard(own: Point, directory: Path) -> None:
    """Remove the weights and the state of a trial, hundreds of megabytes in large networks."""
    for path in (path for name in LEFT for path in directory.glob(name)):
        path.unlink(missing_ok=True)


def outcome(run: Path) -> dict[str, Any]:
    """Test accuracy after the last epoch; none, and the epoch of divergence."""
    diverged = runs.manifest_of(run)["diverged"]
    if diverged is not None:
        return {"diverged": diverged, "test_accuracy": None}
    history = runs.read_table(run / "history.csv")
    return {"diverged": None, "test_accuracy": history["test_accuracy"].iloc[-1]}


def settings_of(own: Point) -> dict[str, Any]:
    """The key columns of a network in arms.csv and gains.csv."""
    config = own.config
    return {
        "rule": config.rule.name,
        "point": own.group,
        "gain": config.rule.get("gain"),
        "lr": config.lr["default"],
    } | seed_of(own)


def gains(points: Iterable[Point], parent: Path, epochs: int) -> pd.DataFrame:
    """gains.csv: loss and accuracy over the first epochs of COPI-BP and of BP with Adam."""
    tables = []
    for own in points:
        history = runs.read_table(parent / own.name / "history.csv")
        table = history.loc[history["epoch"] <= epochs, ["epoch", "train_loss", "test_accuracy"]]
        for place, (key, value) in enumerate(settings_of(own).items()):
            table.insert(place, key, value)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def best(rates: pd.DataFrame, arm: str) -> float:
    """The factor of the highest mean accuracy over seeds; one that diverged counts as 0."""
    own = rates[rates["point"] == arm].fillna({"validation_accuracy": 0.0})
    mean = own.groupby("factor")["validation_accuracy"].mean()
    return float(mean.sort_values().index[-1])


def run(config: ReproduceCopi, _job: Path | None = None) -> Path:
    """`sas reproduce copi`; the study's directory."""
    return reproduce(Copi(config))
