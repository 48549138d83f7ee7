"""Time and disk that runs will take, measured by a few real steps of a population like theirs."""

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from sascli import runs
from sascli.config import Train, decisive, plain, replica_count
from sascli.core.streams import streams
from sascli.data import Data
from sascli.training import checkpoint, loop, sweep
from sascli.training import run as training_run
from sascli.training.capture import step_of

SECONDS, MOST = 0.3, 20
"""How long steps are measured, and how many of them at most."""
TABLES, ROW = 35_000, 55
"""Bytes of the tables of a replica besides history.csv, and of a row of that, both measured."""


@dataclass(frozen=True)
class Costs:
    """Seconds of a step, an epoch's end, a test and a checkpoint; bytes of weights and state."""

    step: float
    measurements: float
    test: float
    checkpoint: float
    weights: int
    state: int


@dataclass(frozen=True)
class Estimate:
    """What a run will take."""

    steps: int
    seconds: float
    bytes: int


class Estimator:
    """Estimates runs; data sets and networks of the same shape are loaded and measured once."""

    def __init__(self) -> None:
        self._data: dict[str, Data] = {}
        self._costs: dict[str, Costs] = {}

    def estimate(self, config: Train, part: bool = True) -> Estimate:
        """The estimate of a run, `part` of a sweep or study, or by itself.

        Raises UserError as the run would before training.
        """
        training_run.check_network(config)
        data = self.data(config, part)
        batch, _ = training_run.batch_size(config, len(data.train_y))
        steps = training_run.steps(config, len(data.train_y))
        costs = self.costs(config, data, batch)
        epochs, tests = config.epochs, 1 + 1 / config.eval.mean_every
        saved = -(-epochs // (config.checkpoint_every or epochs))
        seconds = steps * costs.step + epochs * (tests * costs.test + costs.measurements)
        seconds += saved * costs.checkpoint + config.eval.samples * costs.test
        snapshots = epochs // config.snapshot_every + 1 if config.snapshot_every else 0
        size = costs.state + costs.weights * (1 + snapshots)
        size += (TABLES + ROW * epochs) * replica_count(config)
        return Estimate(steps, seconds, size)

    def data(self, config: Train, part: bool) -> Data:
        """The run's data, of `part` of a sweep or study the first of all training images.

        Raises UserError where there are fewer.
        """
        complete = config
        if part:
            complete = replace(config, train_size="all")
        if part and type(config.train_size) is int:  # held-out images are like the test images
            data = replace(config.data, split="test")
            complete = replace(complete, test_size="all", data=data)
        key = json.dumps(plain(replace(complete, rule=None))["model"] | plain(complete.data))
        key += f"{complete.precision} {complete.train_size} {complete.test_size}"
        if key not in self._data:
            device = training_run.pick_device(config.device)
            self._data[key] = training_run.load_data(complete, device)
        images, size = self._data[key], config.train_size
        if size == complete.train_size:
            return images
        if size > len(images.train_y):
            raise sweep.too_many(size, len(images.train_y))
        return replace(images, train_x=images.train_x[:size], train_y=images.train_y[:size])

    def costs(self, config: Train, data: Data, batch: int) -> Costs:
        """The costs of a population of these settings, by real steps from its initial state."""
        settings = decisive(plain(config)) | {"batch_size": batch, "lr": replica_count(config)}
        for name in ("name", "epochs", "train_size", "seed", "seeds", "replicas", "decay"):
            settings.pop(name)
        key = json.dumps([settings, len(data.test_y)])
        if key not in self._costs:
            self._costs[key] = measure(config, data)
        return self._costs[key]


def measure(config: Train, data: Data) -> Costs:
    """Make the population, train a few steps, test it, and save it to a temporary folder."""
    device = data.train_x.device
    setup = training_run.setup(config, data)
    rule = training_run.rule_maker(config, data)(setup, device)
    rule.initialise()
    # of COPI's first epochs, in which W is frozen, the steps are shorter
    rule.start_epoch(getattr(config.rule, "decorrelation_epochs", 0) + 1)
    train = step_of(rule, config.capture)
    x, y = next(data.batches(setup.seeds, 1, setup.batch_size))
    noise = streams(setup.seeds, "evaluation", 1, device=device)

    def seconds(work: Callable[[], object], most: int = 1) -> float:
        count, start = 0, time.perf_counter()
        while count < most and (count < 1 or time.perf_counter() - start < SECONDS):
            work()
            count += 1
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return (time.perf_counter() - start) / count

    for _ in range(2):  # the first steps are slower, on a GPU the second is captured
        train(x, y)
    step = seconds(lambda: train(x, y), MOST)
    test = seconds(lambda: data.accuracy(lambda images: rule.logits(images, noise)), 2)
    measurements = seconds(lambda: rule.measure(data.train_x[: loop.MEASURED]))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        state = {"rule": rule.state()}
        save = seconds(lambda: checkpoint.save_state(folder, 1, state))
        size = sum(path.stat().st_size for path in folder.iterdir())
        checkpoint.save_weights(folder / runs.WEIGHTS, rule.network, setup.seeds)
        weights = (folder / runs.WEIGHTS).stat().st_size
    return Costs(step, measurements, test, save, weights, size)
