"""Figs. 2-4 of "Learning credit assignment": search of rates, grid, measurements."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import pandas as pd

from sascli.analysis.entropy import entropy_table
from sascli.analysis.perturbation import perturbation
from sascli.config import ConvolutionPreset, CreditPreset, ReproduceCredit, check
from sascli.measure.run import TrainedRun
from sascli.studies.base import Reproduction
from sascli.studies.pieces import Pieces, once
from sascli.studies.search import Plan, train_search
from sascli.training import run as training_run
from sascli.training import sweep
from sascli.training.sweep import Point, point

PUBLISHED_STEPS = {"mnist": 2_000, "cifar10": 25_000}
"""Optimiser steps of the published networks, by model: 100 epochs of batches of 500 and 200."""


@dataclass(frozen=True)
class Grid(Plan):
    """The points of a preset."""

    config: ReproduceCredit

    def sizes(self, factors: Sequence[float]) -> list[int]:
        """Training sizes, scaled down in proportion where the data are too few."""
        largest = max([*self.config.preset.sizes, *self.config.preset.deep_sizes])
        unit = min(self.reference, self.available / largest)
        return sorted({round(unit * factor) for factor in factors})

    @property
    def compared(self) -> list[int]:
        """Every T at which gBP and BP are compared, only at the depth of Fig. 2a."""
        return sorted({self.reference, *self.sizes(self.config.preset.sizes)})

    def gbp(self) -> list[Point]:
        """Every depth and T that a figure needs, without repetition, at the published rate."""
        preset = self.config.preset
        pairs = {(self.config.depth, size) for size in self.compared}
        pairs |= {(depth, self.reference) for depth in preset.depths}
        pairs |= {(preset.deep, size) for size in self.sizes(preset.deep_sizes)}
        return [self.point("gbp", depth, size) for depth, size in sorted(pairs)]

    def bp(self, rate: Callable[[int], float]) -> list[Point]:
        """Every T at the depth of Fig. 2a, at the learning rate `rate(T)`."""
        return [self.point("bp", self.config.depth, size, rate(size)) for size in self.compared]

    def point(self, rule: str, depth: int, size: int, lr: float | None = None) -> Point:
        """One depth and T; all seeds at the reference point, `other_seeds` elsewhere."""
        base = self.base(rule, lr)
        at_reference = (depth, size) == (self.config.depth, self.reference)
        seeds = (base.seeds or [])[: None if at_reference else self.config.preset.other_seeds]
        return point(base, depth=depth, train_size=size, seeds=seeds)

    def searches(self) -> list[Point]:
        """The search of gBP's rate at the reference T, and of BP's at every compared T."""
        sizes = {self.searched_size(size): size for size in self.compared}
        bp = [self.search("bp", size) for size in sizes.values()]
        return [self.search("gbp", self.reference), *bp]


class Credit(Reproduction):
    """The search of learning rates, then every point of the grid."""

    name = "credit"
    config: ReproduceCredit

    def __init__(self, config: ReproduceCredit) -> None:
        """Raises UserError for an invalid grid, before any work."""
        super().__init__(config)
        self.grid = Grid(config, len(self.data.train_y))
        for p in self.grid.gbp():  # a list of widths has one depth
            check(p.config)

    @property
    def reference(self) -> Mapping[str, object]:
        """Depth, T and steps of Figs. 2a, 3a, 3b and 4a; the depth of 3c and 4b."""
        config, size = self.config, self.grid.reference
        reference = {"depth": config.depth, "train_size": size, "deep": config.preset.deep}
        reference["steps"] = training_run.steps(config, size)
        if config.model.name in PUBLISHED_STEPS:
            reference["published_steps"] = PUBLISHED_STEPS[config.model.name]
        return reference

    def planned(self) -> list[Point]:
        """The search, and the grid at any rate."""
        rate = self.grid.base("bp").lr["default"]
        return [*self.grid.searches(), *self.grid.gbp(), *self.grid.bp(lambda size: rate)]

    def train(self, directory: Path) -> Mapping[str, object]:
        """gBP keeps the published rate, at which the paper's figures are drawn; BP has its best.

        Returns the rate of each rule at the reference point.
        """
        search = train_search(self.grid.searches(), directory)
        rate = partial(self.grid.best, search, "bp")
        points, parent = [*self.grid.gbp(), *self.grid.bp(rate)], directory / "runs"
        sweep.train_points(points, parent)
        sweep.write_gathered(points, parent, directory)
        return {"rates": {"gbp": self.config.lr, "bp": rate(self.grid.reference)}}

    def measure(self, directory: Path) -> None:
        """Entropy and perturbation of the trained networks; existing tables are kept."""
        gbp, reference = self.grid.gbp(), (self.config.depth, self.grid.reference)
        shallow = [p for p in gbp if (p.config.depth, p.config.train_size) == reference]
        for run in self.trained(directory, gbp):
            once(run.directory, "entropy", partial(entropy, run))
        for run in self.trained(directory, shallow):
            once(run.directory, "perturbation", perturbations(run, self.config.preset))
        self.gather({"entropy": gbp, "perturbation": shallow}, directory)


def entropy(run: TrainedRun) -> pd.DataFrame:
    """entropy.csv of a run by both estimators."""
    return entropy_table(run.network, run.seeds, ("paper", "mixed"))


def perturbations(run: TrainedRun, preset: CreditPreset | ConvolutionPreset) -> Pieces:
    """Pieces of perturbation.csv of a run, all kinds: every layer and sample.

    A piece of a large network takes a minute.
    """

    def piece(layer: int, sample: int) -> pd.DataFrame:
        table = perturbation(
            run.network, run.seeds, run.data.accuracy,
            layer=layer, fractions=preset.fractions, samples=1, draw=sample,
        )  # fmt: skip
        return table.assign(sample=sample)

    return {
        f"layer{layer}-sample{sample}": partial(piece, layer, sample)
        for layer, sample in product(range(1, run.config.depth), range(preset.samples))
    }
