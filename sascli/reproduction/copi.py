"""COPI beside BP and gBP: rates tried, every rule trained, the trained network looked into."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from sascli import experiment, runs, sweeps
from sascli.analysis.decorrelation import correlations, decorrelated
from sascli.analysis.linear import compression, features
from sascli.analysis.logistic import logistic
from sascli.config import (
    Compress,
    Decorrelation,
    FiguresCopi,
    Train,
    check,
    seed_list,
    training_of,
)
from sascli.errors import UserError
from sascli.measuring import Trained
from sascli.reproduction import Reproduction
from sascli.sweeps import Point


@dataclass(frozen=True)
class Arm:
    """A rule of the comparison, called by its key in ARMS."""

    rule: Mapping[str, Any]  # what differs from the settings of COPI
    lr: float | None = None  # the unit of its rates; None: COPI's own rate
    decorrelates: bool = True
    tried: bool = True  # at the preset's rates, on held-out images
    searched: bool = True  # trained at the best of them; else at its unit


ARMS = {
    "copi-bp": Arm({"name": "copi"}, searched=False),
    "copi-fa": Arm({"name": "copi", "credit": "fa"}),
    "copi-local": Arm({"name": "copi", "decorrelation": "local"}, tried=False, searched=False),
    "bp-decor": Arm({"name": "bp_decor"}),
    "bp-plain": Arm({"name": "bp_decor"}, decorrelates=False),
    "bp-adam": Arm({"name": "bp_decor", "adam": True}, lr=1e-3, decorrelates=False),
    "gbp": Arm({"name": "gbp"}, lr=1e-2, decorrelates=False),
}


@dataclass(frozen=True)
class Comparison:
    """The points of a preset for a data set of `available` training images."""

    config: FiguresCopi
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
            seeds=seed_list(own.seeds),
            resume=False,
        )

    def rate(self, arm: str, factor: float) -> float:
        """The learning rate that a factor stands for."""
        unit = ARMS[arm].lr
        return float(f"{factor * (self.config.lr['default'] if unit is None else unit):.3g}")

    def point(self, arm: str, factor: float, name: str, **changes: Any) -> Point:
        """An arm at a rate of W; that of R, and the decay, are COPI's own."""
        own, given = ARMS[arm], self.config.lr
        lr: dict[str, Any] = {"default": self.rate(arm, factor), "r": 0.0}
        rule, decay = {**own.rule}, self.config.decay
        if rule["name"] == "gbp":
            decay = {"default": 1e-4}  # the published one
        else:
            rule = self.config.rule | rule
        if own.decorrelates:
            lr["r"] = given["default"] if given.get("r") is None else given["r"]
        elif rule["name"] != "gbp":
            rule["decorrelation_epochs"] = 0
        changed = replace(self.base, name=name, rule=rule, lr=lr, decay=decay, **changes)
        return Point(name, changed)

    def points(self, factors: Mapping[str, float]) -> list[Point]:
        """Every arm at its rate."""
        return [self.point(arm, factors[arm], arm) for arm in ARMS]

    def trials(self) -> Iterator[tuple[dict[str, Any], Point]]:
        """Every arm at every rate, each seed alone, since one may diverge and another not.

        Led by the columns that tell them apart in rates.csv. They are tested on training images
        held out, never on the test set.
        """
        preset, base = self.config.preset, self.base
        held_out = max(1, min(10_000, self.available // 5))
        size = min(preset.rate_size, base.train_size, self.available - held_out)
        for arm in (name for name, own in ARMS.items() if own.tried):
            for factor in preset.rates:
                for seed in range(preset.rate_seeds):
                    own = self.point(
                        arm,
                        factor,
                        f"{arm}-x{factor:g}-s{seed}",
                        epochs=preset.rate_epochs,
                        train_size=size,
                        test_size=held_out,
                        seeds=[seed],
                        data=replace(base.data, split="validation"),
                    )
                    rate = self.rate(arm, factor)
                    yield {"point": arm, "factor": factor, "lr": rate, "seed": seed}, own


def least(number: int, limit: int | None) -> int:
    """The number, or the limit where it is less."""
    return number if limit is None else min(number, limit)


class Copi(Reproduction):
    """The trial of learning rates, then every arm, then what the COPI network has learnt."""

    study = "copi"
    config: FiguresCopi

    def __init__(self, config: FiguresCopi) -> None:
        """Raises UserError for what cannot be, before any work."""
        whole = replace(config, train_size="all", test_size="all")
        super().__init__(config, experiment.load_data(whole, experiment.pick_device("cpu")))
        self.comparison = Comparison(config, len(self.data.train_y))
        base = self.comparison.base
        if base.train_size > self.comparison.available:
            raise sweeps.too_many(base.train_size, self.comparison.available)
        if base.train_size < 5:
            raise UserError("train_size must be at least 5: a fifth chooses a penalty")
        check(base)

    @property
    def reference(self) -> dict[str, Any]:
        """Depth, width and T of the networks."""
        base = self.comparison.base
        return {"depth": base.depth, "width": base.width, "train_size": base.train_size}

    def train(self, directory: Path) -> dict[str, Any]:
        """COPI-BP keeps the published rate, the others take their best. Returns each one's rate.

        What diverges is left out of the tables and told. Raises UserError where COPI-BP does.
        """
        parent, trials = directory / "runs", list(self.comparison.trials())
        sweeps.train_points([own for _, own in trials], parent, tolerant=True)
        rates = runs.rows([key | outcome(parent / own.name) for key, own in trials])
        runs.write_table(directory / "rates.csv", rates)
        factors = {arm: best(rates, arm) if own.searched else 1.0 for arm, own in ARMS.items()}
        points = self.comparison.points(factors)
        sweeps.train_points(points, parent, tolerant=True)
        diverged = [own.name for own in points if sweeps.diverged(parent / own.name)]
        if "copi-bp" in diverged:
            raise UserError("copi-bp diverged, the network that is looked into: lower lr")
        points = [own for own in points if own.name not in diverged]
        runs.write_table(directory / "history.csv", sweeps.gather("history", points, parent))
        measured = [own for own in points if ARMS[own.name].decorrelates]
        table = correlations(sweeps.gather("metrics", measured, parent))
        runs.write_table(directory / "decorrelation.csv", table)
        chosen = {arm: self.comparison.rate(arm, factor) for arm, factor in factors.items()}
        return {"rates": chosen, "diverged": diverged}

    def measure(self, directory: Path) -> None:
        """Look into COPI-BP's network; what is there is kept."""
        device, preset = experiment.pick_device(self.config.device), self.config.preset
        run = Trained(directory / "runs" / "copi-bp", device, self.config.data.root)
        epsilon, read = Decorrelation().epsilon, Compress().images  # as of the commands

        def fields() -> pd.DataFrame:
            layer = max(len(run.layers.w) - 1, 1)
            units = range(min(run.layers.w[layer - 1].shape[1], preset.units))
            x = run.training_images(read)
            return features(run.layers, x, run.data, layer=layer, units=units, replica=0)

        work: dict[str, Callable[[], pd.DataFrame]] = {
            "decorrelated": lambda: decorrelated(
                run.layers, run.data, images=preset.images, replica=0, epsilon=epsilon
            ),
            "features": fields,
            "compression": lambda: compression(
                run.layers, run.seeds, run.training_images(read), run.data
            ),
            "linear": lambda: logistic(run.data),
        }
        for name, table in work.items():
            if not (directory / f"{name}.csv").exists():
                print(f"{name} of copi-bp", flush=True)
                runs.write_table(directory / f"{name}.csv", table())


def outcome(run: Path) -> dict[str, Any]:
    """Accuracy on the held-out images after the last epoch; none, and the epoch of divergence."""
    diverged = runs.manifest_of(run)["diverged"]
    if diverged is not None:
        return {"diverged": diverged, "validation_accuracy": None}
    history = runs.read_table(run / "history.csv")
    return {"diverged": None, "validation_accuracy": history["test_accuracy"].iloc[-1]}


def best(rates: pd.DataFrame, arm: str) -> float:
    """The factor of the highest mean accuracy over seeds; one that diverged counts as 0."""
    own = rates[rates["point"] == arm].fillna({"validation_accuracy": 0.0})
    mean = own.groupby("factor")["validation_accuracy"].mean()
    return float(mean.sort_values().index[-1])
