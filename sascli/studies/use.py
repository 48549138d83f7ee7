"""What the credit is good for: gBP and BP trained, evaluated, pruned, and tasks in sequence."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd

from sascli import runs
from sascli.config import Prune, ReproduceUse, check
from sascli.continual import continual, images_of, populations
from sascli.measure import prune
from sascli.measure.evaluate import evaluate
from sascli.measure.run import TrainedRun
from sascli.studies.base import Reproduction
from sascli.studies.pieces import once
from sascli.studies.search import Plan, train_search
from sascli.training import sweep
from sascli.training.sweep import Point, point

MEASURED = ("evaluation", "classes", "confusion", "reliability", "uncertainty", "pruning")


class Use(Reproduction):
    """The search of BP's rate, a run of each rule, then their use."""

    name = "use"
    config: ReproduceUse

    def __init__(self, config: ReproduceUse) -> None:
        """Raises UserError for invalid settings, before any work."""
        super().__init__(config)
        self.plan = Plan(config, len(self.data.train_y))
        check(self.plan.base("gbp"))
        for protocol in config.continual:
            images_of(protocol)

    @property
    def reference(self) -> Mapping[str, object]:
        """Depth and T of the networks."""
        return {"depth": self.config.depth, "train_size": self.plan.reference}

    def points(self, search: pd.DataFrame) -> list[Point]:
        """gBP at the published rate, BP at its best."""
        size = self.plan.reference
        rates = {"gbp": None, "bp": self.plan.best(search, "bp", size)}
        return [point(self.plan.base(rule, lr), train_size=size) for rule, lr in rates.items()]

    def planned(self) -> list[Point]:
        """The search, both rules at any rate, and the tasks in sequence."""
        size = self.plan.reference
        rules = [point(self.plan.base(rule), train_size=size) for rule in ("gbp", "bp")]
        tasks = [p for protocol in self.config.continual for p in populations(protocol, self.data)]
        return [self.plan.search("bp", size), *rules, *tasks]

    def train(self, directory: Path) -> Mapping[str, object]:
        """Returns the rate of each rule."""
        search = train_search([self.plan.search("bp", self.plan.reference)], directory)
        points = self.points(search)
        sweep.train_points(points, directory / "runs")
        self.gather({"history": points, "layers": points}, directory)
        return {"rates": {"gbp": self.config.lr, "bp": points[1].config.lr["default"]}}

    def measure(self, directory: Path) -> None:
        """Evaluate and prune both networks, learn tasks in sequence; existing tables are kept."""
        points = self.points(runs.read_table(directory / "search.csv"))
        trained = self.trained(directory, points)
        for run in trained:
            once(run.directory, "evaluation", partial(evaluate, run, self.config.evaluate))
            once(run.directory, "pruning", prune.pieces(run, pruning(self.config.prune, run)))
        for name in MEASURED:
            tables = [runs.read_table(run.directory / f"{name}.csv") for run in trained]
            runs.write_table(directory / f"{name}.csv", pd.concat(tables))
        for protocol in self.config.continual:
            continual(protocol, directory)


def pruning(config: Prune, run: TrainedRun) -> Prune:
    """The settings of pruning; only magnitude for a network without credit."""
    credit = run.config.rule.name == "gbp"
    return config if credit else replace(config, criterion=["magnitude"], threshold=[])
