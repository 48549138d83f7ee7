"""Figs. 2-4 of "Learning credit assignment": search of rates, grid, measurements."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pandas as pd

from sascli import checkpoint, experiment, runs, sweeps
from sascli.analysis.entropy import entropy_table
from sascli.analysis.perturbation import perturbation
from sascli.config import (
    Figures,
    Searched,
    Study,
    Train,
    check,
    population,
    scaled,
    seed_list,
    training_of,
)
from sascli.reproduction import Reproduction
from sascli.sweeps import Point, point

RULES = ("gbp", "bp")
LAST = 5
"""Epochs at the end of a run whose accuracies are averaged in the search."""


@dataclass(frozen=True)
class Runs:
    """The runs of a study whose data set has `available` training images."""

    config: Study
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

    def search(self, rule: str) -> Point:
        """All rates side by side, tested on training images held out, never on the test set."""
        preset = cast(Searched, self.config.preset)
        held_out = min(10_000, self.available // 5)
        base = self.base(rule, scaled(self.config.lr, preset.rates))
        return point(
            base,
            train_size=min(self.reference, self.available - held_out),
            test_size=held_out,
            seeds=list(range(preset.search_seeds)),
            data=replace(base.data, split="validation"),
        )


@dataclass(frozen=True)
class Grid(Runs):
    """The points of a preset."""

    config: Figures

    def sizes(self, factors: Sequence[float]) -> list[int]:
        """Training sizes, scaled down in proportion where the data are too few."""
        largest = max([*self.config.preset.sizes, *self.config.preset.deep_sizes])
        unit = min(self.reference, self.available / largest)
        return sorted({round(unit * factor) for factor in factors})

    def points(self, rule: str, lr: Any = None) -> list[Point]:
        """Every depth and T that a figure needs, each once."""
        preset, depth = self.config.preset, self.config.depth
        pairs = {(depth, self.reference)}
        pairs |= {(depth, size) for size in self.sizes(preset.sizes)}
        pairs |= {(other, self.reference) for other in preset.depths}
        pairs |= {(preset.deep, size) for size in self.sizes(preset.deep_sizes)}
        base = self.base(rule, lr)
        return [point(base, depth=d, train_size=size) for d, size in sorted(pairs)]


class Credit(Reproduction):
    """The search of learning rates, then every point of the grid."""

    kind = "figures"
    config: Figures

    def __init__(self, config: Figures) -> None:
        """Raises UserError for a grid that cannot be, before any work."""
        whole = replace(config, train_size="all", test_size="all")
        super().__init__(config, experiment.load_data(whole, experiment.pick_device("cpu")))
        self.grid = Grid(config, len(self.data.train_y))
        if self.grid.reference > self.grid.available:
            raise sweeps.too_many(self.grid.reference, self.grid.available)
        for own in self.grid.points("gbp"):  # a list of widths has one depth
            check(own.config)

    @property
    def reference(self) -> dict[str, Any]:
        """Depth and T of Figs. 2a, 3a, 3b and 4a; the depth of 3c and 4b."""
        config = self.config
        deep = config.preset.deep
        return {"depth": config.depth, "train_size": self.grid.reference, "deep": deep}

    def train(self, directory: Path) -> dict[str, Any]:
        """gBP keeps the published rate, at which the paper's figures are drawn; BP takes its best.

        Returns the rate of each rule.
        """
        parent = directory / "runs"
        searched = [self.grid.search(rule) for rule in RULES]
        sweeps.train_points(searched, parent)
        search = found(searched, parent)
        runs.write_table(directory / "search.csv", search)
        rate = best(search, "bp")
        points = [*self.grid.points("gbp"), *self.grid.points("bp", rate)]
        sweeps.train_points(points, parent)
        sweeps.write_gathered(points, parent, directory)
        return {"rates": {"gbp": self.config.lr, "bp": rate}}

    def measure(self, directory: Path) -> None:
        """Entropy and perturbation of the trained networks; what is there is kept."""
        gbp, reference = self.grid.points("gbp"), (self.config.depth, self.grid.reference)
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
            gathered = sweeps.gather(name, chosen, directory / "runs")
            runs.write_table(directory / f"{name}.csv", gathered)


def found(points: Sequence[Point], parent: Path) -> pd.DataFrame:
    """search.csv: accuracy on the held-out images, the mean of the last epochs, by rate."""
    history = sweeps.gather("history", points, parent)
    lr = {own.name: [member.lr["m"] for member in population(own.config)] for own in points}
    told = zip(history["point"], history["replica"], strict=True)
    history["lr"] = [lr[name][replica] for name, replica in told]
    last = runs.last_epochs(history, LAST)
    keys = ["rule", "depth", "train_size", "lr", "seed"]
    mean = last.groupby(keys)["test_accuracy"].mean()
    return pd.DataFrame(mean.rename("validation_accuracy").reset_index())


def best(search: pd.DataFrame, rule: str) -> float:
    """The learning rate of the highest mean accuracy over seeds."""
    own = search[search["rule"] == rule]
    mean = own.groupby("lr")["validation_accuracy"].mean()
    return float(mean.sort_values().index[-1])


def entropy_of(grid: Grid, own: Point, run: Path) -> pd.DataFrame:
    """entropy.csv of one run by both estimators."""
    device = experiment.pick_device(grid.config.device)
    network = checkpoint.load_network(run, device=device)
    return entropy_table(network, own.config.seeds or [], ("paper", "mixed"))


def perturbation_of(grid: Grid, own: Point, run: Path) -> pd.DataFrame:
    """perturbation.csv of one run, all kinds and all layers."""
    device, preset = experiment.pick_device(grid.config.device), grid.config.preset
    network = checkpoint.load_network(run, device=device)
    data = experiment.load_data(own.config, device)
    tables = [
        perturbation(
            network,
            own.config.seeds or [],
            data.accuracy,
            layer=layer,
            fractions=preset.fractions,
            samples=preset.samples,
        )
        for layer in range(1, own.config.depth)
    ]
    return pd.concat(tables, ignore_index=True)
