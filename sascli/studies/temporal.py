"""The recurrent network: digits in sequence and the multisensory task, measured; the theory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from sascli import runs
from sascli.analysis import perturbation as removal
from sascli.analysis import psychometric as curves
from sascli.analysis.ensemble import effective
from sascli.analysis.entropy import entropy_epochs
from sascli.analysis.trials import CONDITIONS, correct
from sascli.claims.temporal import RECURRENT
from sascli.config import OtherModel, ReproduceTemporal, Train, check, seed_list, training_of
from sascli.core.network import FeedForward
from sascli.core.recurrent import Recurrent
from sascli.core.streams import streams
from sascli.data import multisensory
from sascli.measure import task as task_tests
from sascli.measure import theory
from sascli.measure.record import Results
from sascli.measure.run import TrainedRun
from sascli.studies.base import Reproduction
from sascli.studies.pieces import Pieces, measured, once
from sascli.training import run as training_run
from sascli.training import sweep
from sascli.training.population import alone
from sascli.training.sweep import Point

RULES = ("gbp", "bp")
OURS = ("vip_off", "random_off", "other_off", *removal.PAIRED)
PUBLISHED = ("vip_off", "random_off", *removal.PAIRED)
"""The connections that are switched off, by our thresholds and by the published ones."""
MODES = {"once": "sampled", "step": "redrawn"}
"""Prediction modes by how often weights are drawn."""


class Temporal(Reproduction):
    """The models by both rules, then what gBP's networks have learnt, then the theory."""

    name = "temporal"
    config: ReproduceTemporal

    def __init__(self, config: ReproduceTemporal) -> None:
        """Raises UserError for invalid settings, before any work."""
        digits, cpu = training_of(config), training_run.pick_device("cpu")
        super().__init__(config, training_run.load_data(digits, cpu))
        models = [digits, self.part(config.task)]
        if config.pixels.epochs:  # 0: without
            models.append(self.part(config.pixels))
        self.models = []
        for model in models:
            data = self.data if model is digits else training_run.load_data(model, cpu)
            size, seeds = len(data.train_y), seed_list(model.seeds)
            self.models.append(replace(model, seeds=seeds, train_size=size, resume=False))
        for model in self.models:
            check(model)
        for dt in (config.psychometric.dt, config.selectivity.dt, config.trajectories.dt):
            task_tests.timing_of(config.task, dt)
        self.timing = task_tests.timing_of(config.task, config.psychometric.dt)
        multisensory.trials(self.conditions, self.timing)

    def part(self, part: OtherModel) -> Train:
        """The settings of a model trained beside the first."""
        keys = ["device", "threads", "outputs", "data"]
        if part.seeds is None:
            keys.append("seeds")
        return replace(training_of(part), **{key: getattr(self.config, key) for key in keys})

    @property
    def conditions(self) -> list[tuple[str, float]]:
        """Modalities and frequencies of the psychometric curves."""
        config = self.config.psychometric
        return list(product(config.modality, config.frequencies))

    @property
    def reference(self) -> Mapping[str, object]:
        """The model of images in sequence, and that of pixels if there is one."""
        images = [model.model.name for model in self.models
                  if model.model.source != "multisensory"]  # fmt: skip
        return dict(zip(("digits", "pixels"), images, strict=False))

    def points(self, rules: Sequence[str] = RULES) -> list[Point]:
        """Each model by each rule, in its directory below runs/; pixels only by gBP."""
        pairs = [(model, rule) for model in self.models[:2] for rule in rules]
        pairs += [(model, "gbp") for model in self.models[2:] if "gbp" in rules]
        return [
            Point(name, replace(model, name=name, rule={"name": rule}))
            for model, rule in pairs
            for name in [f"{model.model.name}-{rule}"]
        ]

    def planned(self) -> list[Point]:
        """All models."""
        return self.points()

    def train(self, directory: Path) -> Mapping[str, object]:
        """All models."""
        points = self.points()
        sweep.train_points(points, directory / "runs")
        gather(sweep.GATHERED, points, directory)
        return {}

    def measure(self, directory: Path) -> None:
        """Measure gBP's networks, then the theory; existing tables are kept."""
        config, points = self.config, self.points(["gbp"])[:2]
        trained = self.trained(directory, points)
        for run in trained:
            once(run.directory, "entropy_epochs", partial(entropies, run))
            once(run.directory, "perturbation", self.removals(run))
            once(run.directory, "redraw", self.redrawn(run))
        gather(("perturbation", "redraw", "entropy_epochs"), points, directory)
        task, root = trained[1], config.data.root
        once(directory, "psychometric", lambda: self.curves(task, directory))
        once(directory, "selectivity", lambda: task_tests.selectivity(task, config.selectivity))
        once(directory, "trajectories", lambda: task_tests.trajectories(task, config.trajectories))
        device = training_run.pick_device(config.device)
        once(directory, "kernel", lambda: theory.kernel_tables(config.kernel, device))
        if config.kernel.lazy.width:
            once(directory, "lazy", theory.lazy_pieces(config.kernel, root, device))
        once(directory, "order_parameters", lambda: theory.neuron_tables(config.neuron, device))

    def removals(self, run: TrainedRun) -> Pieces:
        """Pieces of perturbation.csv: the recurrent connections of every seed and sample.

        By our thresholds in effective networks, as trained, and by the published ones in the mean
        field, in the task at the time step of the tests.
        """
        preset = self.config.preset
        ours = removal.Thresholds(preset.tolerance, preset.xi_max, preset.m_min)

        def by_ours(replica: int, seed: int, sample: int) -> pd.DataFrame:
            table = removal.perturbation(
                alone(run.network, replica), [seed], run.data.accuracy, layer=RECURRENT,
                kinds=OURS, fractions=preset.fractions, samples=1, thresholds=ours, draw=sample,
            )  # fmt: skip
            return table.assign(replica=replica, sample=sample, criterion="ours")

        def by_published(replica: int, seed: int, sample: int) -> pd.DataFrame:
            table = removal.field_perturbation(
                alone(run.network, replica), [seed], self.field_test(run, seed), layer=RECURRENT,
                kinds=PUBLISHED, fractions=preset.fractions, samples=[sample],
                thresholds=removal.PUBLISHED,
            )  # fmt: skip
            return table.assign(replica=replica, criterion="published")

        return {
            f"{name}-seed{seed}-sample{sample}": partial(measure, replica, seed, sample)
            for sample in range(preset.samples)
            for replica, seed in enumerate(run.seeds)
            for name, measure in (("ours", by_ours), ("published", by_published))
        }

    def field_test(self, run: TrainedRun, seed: int) -> removal.Test:
        """The test of one replica's mean field."""
        batch = self.batch(run)

        def test(network: FeedForward, sample: int) -> Tensor:
            if batch is not None:
                return correct(recurrent(network), [seed], batch, "field", sample)
            noise = streams([seed], "perturbed field", sample, device=run.device)
            outputs = network.gbp().predictor()
            return run.data.accuracy(lambda x: outputs(x, network.draw_noise(x.shape[-2], noise)))

        return test

    def batch(self, run: TrainedRun) -> multisensory.Trials | None:
        """Test trials of the task at the time step of the tests; None for images."""
        if run.config.model.source != "multisensory":
            return None
        return multisensory.trials(CONDITIONS * self.config.preset.trials, self.timing)

    def redrawn(self, run: TrainedRun) -> Pieces:
        """Pieces of redraw.csv: weights drawn once, and at every time step, of every seed."""
        batch = self.batch(run)
        history = runs.last_epochs(runs.read_table(run.directory / "history.csv"))
        trained_accuracy = history.set_index("replica")["test_accuracy"]

        def rows(replica: int, seed: int, sample: int) -> pd.DataFrame:
            network = recurrent(alone(run.network, replica))
            if batch is None:
                dt, field = None, trained_accuracy[replica]
                networks = [effective(network, [seed], sample, redraw) for redraw in MODES]
                accuracies = [run.data.accuracy(logits).item() for logits in networks]
            else:
                dt, modes = batch.timing.dt, ("field", *MODES.values())
                field, *accuracies = (
                    correct(network, [seed], batch, mode, sample).item() for mode in modes
                )
            return runs.rows(
                [{"replica": replica, "seed": seed, "sample": sample, "test_accuracy": value,
                  "test_error": 1 - value, "redraw": redraw, "dt": dt, "field_accuracy": field}
                 for redraw, value in zip(MODES, accuracies, strict=True)]
            )  # fmt: skip

        return {
            f"seed{seed}-sample{sample}": partial(rows, replica, seed, sample)
            for sample in range(self.config.preset.samples)
            for replica, seed in enumerate(run.seeds)
        }

    def curves(self, run: TrainedRun, directory: Path) -> Results:
        """psychometric.csv, measured network by network, and sigmoids.csv."""
        config, network = self.config.psychometric, task_tests.network_of(run)

        def choices(way: str, sample: int, replica: int, seed: int) -> pd.DataFrame:
            table = curves.choices_of(
                recurrent(alone(network, replica)), [seed], way, sample,
                self.conditions, config.trials, self.timing,
            )  # fmt: skip
            return table.assign(replica=replica)

        pieces = {
            f"{way}-sample{sample}-seed{seed}": partial(choices, way, sample, replica, seed)
            for way, sample in curves.networks(config.way, config.samples)
            for replica, seed in enumerate(run.seeds)
        }
        table = measured(directory, "psychometric", pieces)
        return {"psychometric": table, "sigmoids": curves.sigmoids(table)}


def recurrent(network: FeedForward) -> Recurrent:
    """The network, which is recurrent in this study."""
    assert isinstance(network, Recurrent)
    return network


def gather(names: Sequence[str], points: Sequence[Point], directory: Path) -> None:
    """Write tables of runs together, led by their model and the other key columns."""
    models = {point.name: point.config.model.name for point in points}
    for name in names:
        table = sweep.gather(name, points, directory / "runs")
        table.insert(0, "model", table["point"].map(models))
        runs.write_table(directory / f"{name}.csv", table)


def entropies(run: TrainedRun) -> pd.DataFrame:
    """entropy_epochs.csv of a run."""
    with torch.no_grad():
        return entropy_epochs(run.paths, run.seeds, ("paper", "mixed"))
