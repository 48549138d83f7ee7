"""Credit of a convolutional network: gBP and BP, the credit study's claims, filters, pruning."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pandas as pd

from sascli import runs
from sascli.analysis.filters import filters
from sascli.claims.convolution import BARS
from sascli.config import ReproduceConvolution, check
from sascli.core.convolutional import Convolutional
from sascli.measure import prune
from sascli.measure.run import TrainedRun
from sascli.studies.base import Reproduction
from sascli.studies.credit import perturbations
from sascli.studies.pieces import once
from sascli.studies.search import Plan, train_search
from sascli.studies.use import pruning
from sascli.training import run as training_run
from sascli.training import sweep
from sascli.training.sweep import Point, point

RULES = ("gbp", "bp")


class Convolution(Reproduction):
    """The search of both rules' rates alike, a run of each at its best, then its credit."""

    name = "convolution"
    config: ReproduceConvolution

    def __init__(self, config: ReproduceConvolution) -> None:
        """Raises UserError for invalid settings, before any work."""
        super().__init__(config)
        self.plan = Plan(config, len(self.data.train_y))
        check(self.plan.base("gbp"))

    @property
    def reference(self) -> Mapping[str, object]:
        """Depth, T and steps; the depth of claims about layers; what is expected of the model."""
        depth, size = self.config.depth, self.plan.reference
        expected = BARS.get(self.config.model.name, {})
        count = training_run.steps(self.config, size)
        return {"depth": depth, "train_size": size, "deep": depth, "steps": count, **expected}

    def points(self, rates: Mapping[str, float]) -> list[Point]:
        """A run of each rule at its rate."""
        size = self.plan.reference
        return [point(self.plan.base(rule, rates[rule]), train_size=size) for rule in RULES]

    def searches(self) -> list[Point]:
        """The same rates for both rules."""
        return [self.plan.search(rule, self.plan.reference) for rule in RULES]

    def planned(self) -> list[Point]:
        """The search, and both rules at any rate."""
        rate = self.plan.base("gbp").lr["default"]
        return [*self.searches(), *self.points(dict.fromkeys(RULES, rate))]

    def best(self, search: pd.DataFrame) -> dict[str, float]:
        """The best rate of each rule on the held-out images."""
        return {rule: self.plan.best(search, rule, self.plan.reference) for rule in RULES}

    def train(self, directory: Path) -> Mapping[str, object]:
        """Returns the rate of each rule."""
        rates = self.best(train_search(self.searches(), directory))
        points, parent = self.points(rates), directory / "runs"
        sweep.train_points(points, parent)
        sweep.write_gathered(points, parent, directory)
        return {"rates": rates}

    def measure(self, directory: Path) -> None:
        """Perturbations of every layer, filters and pruning; existing tables are kept."""
        points = self.points(self.best(runs.read_table(directory / "search.csv")))
        trained = self.trained(directory, points)
        gbp, preset = trained[0], self.config.preset
        once(gbp.directory, "perturbation", perturbations(gbp, preset))
        once(gbp.directory, "filters", partial(first_filters, gbp))
        for run in trained:
            once(run.directory, "pruning", prune.pieces(run, pruning(preset.prune, run)))
        self.gather({"perturbation": points[:1]}, directory)
        tables = [runs.read_table(run.directory / "pruning.csv") for run in trained]
        runs.write_table(directory / "pruning.csv", pd.concat(tables))
        runs.write_table(directory / "filters.csv", runs.read_table(gbp.directory / "filters.csv"))


def first_filters(run: TrainedRun) -> pd.DataFrame:
    """filters.csv of a convolutional run."""
    assert isinstance(run.network, Convolutional)
    return filters(run.network, run.seeds)
