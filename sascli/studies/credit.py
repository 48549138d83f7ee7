"""Figs. 2-4 of "Learning credit assignment": search of rates, grid, measurements."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from shutil import rmtree
from typing import Any, cast

import pandas as pd

from sascli import runs
from sascli.analysis.entropy import entropy_table
from sascli.analysis.perturbation import perturbation
from sascli.config import (
    Reproduce,
    ReproduceCredit,
    SearchPreset,
    Train,
    check,
    population,
    scaled,
    seed_list,
    training_of,
)
from sascli.studies.base import Reproduction, reproduce
from sascli.training import checkpoint, sweep
from sascli.training import run as training_run
from sascli.training.sweep import Point, point

RULES = ("gbp", "bp")
PUBLISHED_STEPS = {"mnist": 2_000, "cifar10": 25_000}
"""Optimiser steps of the published networks, by model: 100 epochs of batches of 500 and 200."""
LAST = 5
"""Epochs at the end of a run whose accuracies are averaged in the search."""


@dataclass(frozen=True)
class Runs:
    """The runs of a study whose data set has `available` training images."""

    config: Reproduce
    available: int

    @property
    def reference(self) -> int:
        """T of Figs. 2a, 3 and 4a: the model's own."""
        own = self.config.train_size
        return self.available if own == "all" else int(own)

    def base(self, rule: str, lr: Any = None) -> Train:
        """The settings of a training run by `rule`."""
        own, seeds = training_of(self.config), seed_list(self.config.seeds)
        rate = own.lr if lr is None else {"default": lr}
        return replace(own, rule={"name": rule}, seeds=seeds, lr=rate)

    @property
    def held_out(self) -> int:
        """Training images on which rates are searched."""
        return min(10_000, self.available // 5)

    def searched_size(self, size: int) -> int:
        """T of the search for networks trained on `size` images."""
        return min(size, self.available - self.held_out)

    def search(self, rule: str, size: int) -> Point:
        """All rates side by side, tested on training images held out, never on the test set."""
        preset = cast(SearchPreset, self.config.preset)
        base = self.base(rule, scaled(self.config.lr, preset.rates))
        return point(
            base,
            train_size=self.searched_size(size),
            test_size=self.held_out,
            seeds=list(range(preset.search_seeds)),
            data=replace(base.data, split="validation"),
        )


@dataclass(frozen=True)
class Grid(Runs):
    """The points of a preset."""

    config: ReproduceCredit

    def sizes(self, factors: Sequence[float]) -> list[int]:
        """Training sizes, scaled down in proportion where the data are too few."""
        largest = max([*self.config.preset.sizes, *self.config.preset.deep_sizes])
        unit = min(self.reference, self.available / largest)
        return sorted({round(unit * factor) for factor in factors})

    @property
    def compared(self) -> list[int]:
        """Every T at which gBP and BP are compared: at the depth of Fig. 2a alone."""
        return sorted({self.reference, *self.sizes(self.config.preset.sizes)})

    def gbp(self) -> list[Point]:
        """Every depth and T that a figure needs, each once, at the published rate."""
        preset = self.config.preset
        pairs = {(self.config.depth, size) for size in self.compared}
        pairs |= {(depth, self.reference) for depth in preset.depths}
        pairs |= {(preset.deep, size) for size in self.sizes(preset.deep_sizes)}
        return [self.point("gbp", depth, size) for depth, size in sorted(pairs)]

    def bp(self, rate: Callable[[int], float]) -> list[Point]:
        """Every T at the depth of Fig. 2a, at the rate that `rate` gives for it."""
        return [self.point("bp", self.config.depth, size, rate(size)) for size in self.compared]

    def point(self, rule: str, depth: int, size: int, lr: float | None = None) -> Point:
        """One depth and T; all seeds at the reference point, `other_seeds` elsewhere."""
        base = self.base(rule, lr)
        here = (depth, size) == (self.config.depth, self.reference)
        seeds = (base.seeds or [])[: None if here else self.config.preset.other_seeds]
        return point(base, depth=depth, train_size=size, seeds=seeds)

    def searches(self) -> list[Point]:
        """The search of gBP's rate at the reference T, and of BP's at every T compared."""
        sizes = {self.searched_size(size): size for size in self.compared}
        bp = [self.search("bp", size) for size in sizes.values()]
        return [self.search("gbp", self.reference), *bp]


class Credit(Reproduction):
    """The search of learning rates, then every point of the grid."""

    study = "credit"
    config: ReproduceCredit

    def __init__(self, config: ReproduceCredit) -> None:
        """Raises UserError for a grid that cannot be, before any work."""
        whole = replace(config, train_size="all", test_size="all")
        super().__init__(config, training_run.load_data(whole, training_run.pick_device("cpu")))
        self.grid = Grid(config, len(self.data.train_y))
        if self.grid.reference > self.grid.available:
            raise sweep.too_many(self.grid.reference, self.grid.available)
        for own in self.grid.gbp():  # a list of widths has one depth
            check(own.config)

    @property
    def reference(self) -> dict[str, Any]:
        """Depth, T and steps of Figs. 2a, 3a, 3b and 4a; the depth of 3c and 4b."""
        config, size = self.config, self.grid.reference
        reference = {"depth": config.depth, "train_size": size, "deep": config.preset.deep}
        reference["steps"] = steps(config, size)
        if config.model.name in PUBLISHED_STEPS:
            reference["published_steps"] = PUBLISHED_STEPS[config.model.name]
        return reference

    def train(self, directory: Path) -> dict[str, Any]:
        """gBP keeps the published rate, at which the paper's figures are drawn; BP takes its best.

        Returns the rate of each rule at the reference point.
        """
        parent, searches = directory / "runs", self.grid.searches()
        sweep.train_points(searches, parent)
        search = found(searches, parent)
        runs.write_table(directory / "search.csv", search)

        def rate(size: int) -> float:
            return best(search, "bp", self.grid.searched_size(size))

        points = [*self.grid.gbp(), *self.grid.bp(rate)]
        sweep.train_points(points, parent)
        sweep.write_gathered(points, parent, directory)
        return {"rates": {"gbp": self.config.lr, "bp": rate(self.grid.reference)}}

    def measure(self, directory: Path) -> None:
        """Entropy and perturbation of the trained networks; what is there is kept."""
        gbp, reference = self.grid.gbp(), (self.config.depth, self.grid.reference)
        shallow = [own for own in gbp if (own.config.depth, own.config.train_size) == reference]
        for name, chosen, table in (
            ("entropy", gbp, entropy_of),
            ("perturbation", shallow, perturbation_of),
        ):
            for own in chosen:
                path = directory / "runs" / own.name / f"{name}.csv"
                if not path.exists():
                    print(f"{name} of {own.name}", flush=True)
                    runs.write_table(path, table(self.grid, own, path.parent))
                rmtree(path.with_suffix(""), ignore_errors=True)  # its pieces
            gathered = sweep.gather(name, chosen, directory / "runs")
            runs.write_table(directory / f"{name}.csv", gathered)


def found(points: Sequence[Point], parent: Path) -> pd.DataFrame:
    """search.csv: accuracy on the held-out images, the mean of the last epochs, by rate."""
    history = sweep.gather("history", points, parent)
    lr = {own.name: [member.lr["m"] for member in population(own.config)] for own in points}
    told = zip(history["point"], history["replica"], strict=True)
    history["lr"] = [lr[name][replica] for name, replica in told]
    last = runs.last_epochs(history, LAST)
    keys = ["rule", "depth", "train_size", "lr", "seed"]
    mean = last.groupby(keys)["test_accuracy"].mean()
    return pd.DataFrame(mean.rename("validation_accuracy").reset_index())


def steps(config: Train, size: int) -> int:
    """Optimiser steps of a training run on `size` images."""
    batches = -(-size // min(config.batch_size, size))
    return config.epochs * min(batches, config.batches or batches)


def best(search: pd.DataFrame, rule: str, size: int) -> float:
    """The learning rate of the highest mean accuracy over seeds at T = `size`."""
    own = search[(search["rule"] == rule) & (search["train_size"] == size)]
    mean = own.groupby("lr")["validation_accuracy"].mean()
    return float(mean.sort_values().index[-1])


def entropy_of(grid: Grid, own: Point, run: Path) -> pd.DataFrame:
    """entropy.csv of one run by both estimators."""
    device = training_run.pick_device(grid.config.device)
    network = checkpoint.load_network(run, device=device)
    return entropy_table(network, own.config.seeds or [], ("paper", "mixed"))


def perturbation_of(grid: Grid, own: Point, run: Path) -> pd.DataFrame:
    """perturbation.csv of one run, all kinds and all layers.

    Every layer and sample is written to run/perturbation first, and not measured again: of a large
    network one takes a minute.
    """
    device, preset = training_run.pick_device(grid.config.device), grid.config.preset
    network = checkpoint.load_network(run, device=device)
    data = training_run.load_data(own.config, device)
    pieces = run / "perturbation"
    runs.make(pieces)
    tables = []
    for layer, sample in product(range(1, own.config.depth), range(preset.samples)):
        path = pieces / f"layer{layer}-sample{sample}.csv"
        if not path.exists():
            table = perturbation(
                network,
                own.config.seeds or [],
                data.accuracy,
                layer=layer,
                fractions=preset.fractions,
                samples=1,
                draw=sample,
            )
            runs.write_table(path, table.assign(sample=sample))
        tables.append(runs.read_table(path))
    return pd.concat(tables, ignore_index=True)


def run(config: ReproduceCredit, _job: Path | None = None) -> Path:
    """`sas reproduce credit`; the study's directory."""
    return reproduce(Credit(config))
