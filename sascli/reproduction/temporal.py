"""The recurrent network: digits in sequence and the multisensory task, measured; the theory."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from sascli import behaviour, experiment, runs, sweeps, theory
from sascli.analysis.ensemble import ensemble
from sascli.analysis.perturbation import Thresholds, perturbation
from sascli.config import FiguresTemporal, check, seed_list, training_of
from sascli.data import multisensory
from sascli.measuring import Tables, Trained
from sascli.reproduction import Reproduction
from sascli.sweeps import Point

RULES = ("gbp", "bp")
RECURRENT = 2
"""The layer whose connections are perturbed."""
KINDS = ("vip_off", "random_off", "other_off")


class Temporal(Reproduction):
    """Both models by both rules, then what gBP's networks have learnt, then the theory."""

    study = "temporal"
    config: FiguresTemporal

    def __init__(self, config: FiguresTemporal) -> None:
        """Raises UserError for what cannot be, before any work."""
        digits, seeds = training_of(config), seed_list(config.seeds)
        shared = {key: getattr(config, key) for key in ("device", "threads", "outputs", "data")}
        cpu = experiment.pick_device("cpu")
        super().__init__(config, experiment.load_data(digits, cpu))
        task = replace(config.task, **shared, seeds=seeds)
        sizes = (len(self.data.train_y), len(experiment.load_data(task, cpu).train_y))
        self.models = [
            replace(own, seeds=seeds, train_size=size, resume=False)
            for own, size in zip((digits, task), sizes, strict=True)
        ]
        for own in self.models:
            check(own)
        for measured in (config.psychometric, config.selectivity, config.trajectories):
            timing = behaviour.timing_of(config.task, measured.dt)
        conditions = product(config.psychometric.modality, config.psychometric.frequencies)
        multisensory.trials(list(conditions), timing)

    @property
    def reference(self) -> dict[str, Any]:
        """The model of images in sequence, beside the task."""
        return {"digits": self.config.model.name}

    def points(self, rules: Sequence[str] = RULES) -> list[Point]:
        """Each model by each rule, in its directory below runs/."""
        named = [(f"{own.model.name}-{rule}", own, rule) for own in self.models for rule in rules]
        return [
            Point(name, replace(own, name=name, rule={"name": rule})) for name, own, rule in named
        ]

    def train(self, directory: Path) -> dict[str, Any]:
        """Both models by both rules."""
        sweeps.train_points(self.points(), directory / "runs")
        for name in sweeps.GATHERED:
            table = self.gather(name, self.points(), directory)
            runs.write_table(directory / f"{name}.csv", table)
        return {}

    def gather(self, name: str, points: Sequence[Point], directory: Path) -> pd.DataFrame:
        """A table of these runs together, led by their model and the other key columns."""
        table = sweeps.gather(name, points, directory / "runs")
        model = {own.name: own.config.model.name for own in points}
        table.insert(0, "model", table["point"].map(model))
        return table

    def measure(self, directory: Path) -> None:
        """Measure gBP's networks, then what needs none; what is there is kept."""
        config, points = self.config, self.points(["gbp"])
        device = experiment.pick_device(config.device)
        trained = [Trained(directory / "runs" / own.name, device) for own in points]
        for run in trained:
            done(run.directory, "perturbation", partial(self.perturbed, run))
            done(run.directory, "redraw", partial(self.redrawn, run))
        for name in ("perturbation", "redraw"):
            table = self.gather(name, points, directory)
            runs.write_table(directory / f"{name}.csv", table)
        task, root = trained[1], config.data.root
        done(directory, "psychometric", lambda: behaviour.psychometric(config.psychometric, task))
        done(directory, "selectivity", lambda: behaviour.selectivity(config.selectivity, task))
        done(directory, "trajectories", lambda: behaviour.trajectories(config.trajectories, task))
        done(directory, "kernel", lambda: theory.kernel_tables(config.kernel, root))
        done(directory, "order_parameters", lambda: theory.order_tables(config.neuron))

    def perturbed(self, run: Trained) -> Tables:
        """perturbation.csv of the recurrent connections of a run."""
        preset = self.config.preset
        table = perturbation(
            run.network,
            run.seeds,
            run.data.accuracy,
            layer=RECURRENT,
            kinds=KINDS,
            fractions=preset.fractions,
            samples=preset.samples,
            thresholds=Thresholds(preset.tolerance, preset.xi_max, preset.m_min),
        )
        return {"perturbation": table}

    def redrawn(self, run: Trained) -> Tables:
        """redraw.csv: effective networks with weights drawn once, and at every time step."""
        score, samples = run.data.accuracy, self.config.preset.samples
        tables = [
            ensemble(run.network, run.seeds, score, samples, redraw).assign(redraw=redraw)
            for redraw in ("once", "step")
        ]
        return {"redraw": pd.concat(tables, ignore_index=True)}


def done(directory: Path, name: str, work: Callable[[], Tables]) -> None:
    """Write the tables of a measurement, that of its own name last, unless that is there."""
    if (directory / f"{name}.csv").exists():
        return
    print(f"{name} in {directory}", flush=True)
    for table, rows in sorted(work().items(), key=lambda pair: pair[0] == name):
        runs.write_table(directory / f"{table}.csv", rows)
