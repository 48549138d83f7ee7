"""The search of learning rates on held-out training images, shared by studies of gBP and BP."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pandas as pd

from sascli import runs
from sascli.config import (
    Reproduce,
    SearchPreset,
    Train,
    population,
    scaled,
    seed_list,
    training_of,
)
from sascli.training import sweep
from sascli.training.sweep import Point, point

LAST = 5
"""Epochs at the end of a run whose accuracies are averaged in the search."""


@dataclass(frozen=True)
class Plan:
    """The training runs of a study whose data set has `available` training images.

    Raises UserError where the settings ask for more images.
    """

    config: Reproduce
    available: int

    def __post_init__(self) -> None:
        if self.reference > self.available:
            raise sweep.too_many(self.reference, self.available)

    @property
    def reference(self) -> int:
        """T of the model's settings, at which most figures are drawn."""
        size = self.config.train_size
        return self.available if size == "all" else int(size)

    def base(self, rule: str, lr: float | list[float] | None = None) -> Train:
        """The settings of a training run by `rule`, by default at the rate of the settings."""
        settings, seeds = training_of(self.config), seed_list(self.config.seeds)
        rate = settings.lr if lr is None else {"default": lr}
        return replace(settings, rule={"name": rule}, seeds=seeds, lr=rate)

    @property
    def held_out(self) -> int:
        """The number of training images on which rates are compared."""
        return held_out(self.available)

    def searched_size(self, size: int) -> int:
        """T of the search for networks trained on `size` images."""
        return min(size, self.available - self.held_out)

    def search(self, rule: str, size: int) -> Point:
        """All rates side by side, tested on held-out training images, never on the test set."""
        preset = cast(SearchPreset, self.config.preset)
        base = self.base(rule, scaled(self.config.lr, preset.rates))
        return point(on_held_out(base, size, self.available, preset.search_seeds))

    def best(self, search: pd.DataFrame, rule: str, size: int) -> float:
        """The best learning rate for networks trained on `size` images."""
        searched = search["train_size"] == self.searched_size(size)
        return best(search[searched & (search["rule"] == rule)], "lr")


def held_out(available: int) -> int:
    """The number of `available` training images on which rates are compared."""
    return min(10_000, available // 5)


def on_held_out(base: Train, size: int, available: int, seeds: int) -> Train:
    """The settings of the search for networks trained on `size` of `available` images."""
    test_size, data = held_out(available), replace(base.data, split="validation")
    train_size = min(size, available - test_size)
    return replace(
        base, train_size=train_size, test_size=test_size, seeds=list(range(seeds)), data=data
    )


def train_search(points: Sequence[Point], directory: Path) -> pd.DataFrame:
    """Train all rates and write search.csv: accuracy on the held-out images by rate and seed.

    The accuracy is the mean of the last epochs.
    """
    sweep.train_points(points, directory / "runs")
    table = validation(points, directory / "runs")
    runs.write_table(directory / "search.csv", table)
    return table


def validation(points: Sequence[Point], parent: Path) -> pd.DataFrame:
    """Accuracy on the held-out images by rate and seed, the mean of the last epochs."""
    history = sweep.gather("history", points, parent)
    rates = {p.name: [replica.lr["m"] for replica in population(p.config)] for p in points}
    pairs = zip(history["point"], history["replica"], strict=True)
    history["lr"] = [rates[name][replica] for name, replica in pairs]
    keys = ["rule", "depth", "train_size", "lr", "seed"]
    mean = runs.last_epochs(history, LAST).groupby(keys)["test_accuracy"].mean()
    return mean.rename("validation_accuracy").reset_index()


def best(trials: pd.DataFrame, column: str) -> float:
    """The value of a column with the highest mean of validation_accuracy, an empty one being 0."""
    accuracy = trials["validation_accuracy"].fillna(0.0)
    return float(accuracy.groupby(trials[column]).mean().sort_values().index[-1])
