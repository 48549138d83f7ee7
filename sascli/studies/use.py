"""What the credit is good for: gBP and BP trained, evaluated, pruned, and tasks in sequence."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from sascli import runs
from sascli.config import Prune, ReproduceUse, check
from sascli.continual import continual
from sascli.continual.sequence import sequence
from sascli.measure.evaluate import evaluate
from sascli.measure.prune import prune
from sascli.measure.record import write
from sascli.measure.run import TrainedRun
from sascli.studies.base import Reproduction, reproduce
from sascli.studies.credit import Runs, best, found
from sascli.training import run as training_run
from sascli.training import sweep
from sascli.training.sweep import Point, point

EVALUATION = ("evaluation", "classes", "confusion", "reliability", "uncertainty")


class Use(Reproduction):
    """BP's search of rates, a run of each rule, then what is done with them."""

    study = "use"
    config: ReproduceUse

    def __init__(self, config: ReproduceUse) -> None:
        """Raises UserError for a study that cannot be, before any work."""
        whole = replace(config, train_size="all", test_size="all")
        super().__init__(config, training_run.load_data(whole, training_run.pick_device("cpu")))
        self.runs = Runs(config, len(self.data.train_y))
        if self.runs.reference > self.runs.available:
            raise sweep.too_many(self.runs.reference, self.runs.available)
        check(self.runs.base("gbp"))
        for protocol in config.continual:
            sequence(protocol.task, self.data, protocol.tasks, [0])

    @property
    def reference(self) -> dict[str, Any]:
        """Depth and T of the networks."""
        return {"depth": self.config.depth, "train_size": self.runs.reference}

    def points(self, rate: float) -> list[Point]:
        """gBP at the published rate, BP at its best."""
        lrs = {"gbp": None, "bp": rate}
        size = self.runs.reference
        return [point(self.runs.base(rule, lr), train_size=size) for rule, lr in lrs.items()]

    def rate(self, search: pd.DataFrame) -> float:
        """BP's best."""
        return best(search, "bp", self.runs.searched_size(self.runs.reference))

    def train(self, directory: Path) -> dict[str, Any]:
        """Returns the rate of each rule."""
        parent, searched = directory / "runs", [self.runs.search("bp", self.runs.reference)]
        sweep.train_points(searched, parent)
        search = found(searched, parent)
        runs.write_table(directory / "search.csv", search)
        rate = self.rate(search)
        points = self.points(rate)
        sweep.train_points(points, parent)
        for name in ("history", "layers"):
            runs.write_table(directory / f"{name}.csv", sweep.gather(name, points, parent))
        return {"rates": {"gbp": self.config.lr, "bp": rate}}

    def measure(self, directory: Path) -> None:
        """Evaluate and prune both, learn tasks in sequence; what is there is kept."""
        device = training_run.pick_device(self.config.device)
        points = self.points(self.rate(runs.read_table(directory / "search.csv")))
        trained = [
            TrainedRun(directory / "runs" / own.name, device, self.config.data.root)
            for own in points
        ]
        for run in trained:
            if missing(run, EVALUATION):
                print(f"evaluation of {run.directory.name}", flush=True)
                write(run.directory, evaluate(run, self.config.evaluate))
            if missing(run, ["pruning"]):
                print(f"pruning of {run.directory.name}", flush=True)
                write(run.directory, prune(run, pruning(self.config.prune, run)))
        for name in (*EVALUATION, "pruning"):
            tables = [runs.read_table(run.directory / f"{name}.csv") for run in trained]
            runs.write_table(directory / f"{name}.csv", pd.concat(tables))
        for protocol in self.config.continual:
            continual(protocol, directory)


def pruning(config: Prune, run: TrainedRun) -> Prune:
    """The same, where there is no credit by magnitude alone."""
    credit = run.config.rule.name == "gbp"
    return config if credit else replace(config, criterion=["magnitude"], threshold=[])


def missing(run: TrainedRun, names: Sequence[str]) -> bool:
    """Whether a run lacks one of these tables."""
    return not all((run.directory / f"{name}.csv").exists() for name in names)


def run(config: ReproduceUse, _job: Path | None = None) -> Path:
    """`sas reproduce use`; the study's directory."""
    return reproduce(Use(config))
