"""Tasks in sequence by every method: search, accuracies after each task, forgetting."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from sascli import runs
from sascli.analysis.forgetting import KEYS, summary
from sascli.config import METHODS, Continual, alternatives, seed_list, strengths, training_of
from sascli.continual.learner import Learner
from sascli.continual.sequence import sequence
from sascli.data import Data
from sascli.training import run as training_run
from sascli.training.devices import describe
from sascli.training.directories import RESUME, begin, resumed
from sascli.training.progress import Progress
from sascli.training.sweep import Point

SEARCH, MATRIX, SUMMARY = (f"continual{end}.csv" for end in ("_search", "", "_summary"))


def run(config: Continual, directory: Path | None = None) -> Path:
    """Compare all methods in `directory`, or a versioned one that `resume=true` continues.

    Raises UserError for settings that do not fit the data.
    """
    images, held_out = images_of(config)
    name = config.name or f"{config.model.name}-{config.task}"
    parent = Path(config.outputs) / "continual" / name
    directory = directory or resumed(parent, config, lambda: images) or runs.claim(parent)
    entries = {
        "kind": "continual",
        "model": config.model.name,
        "seeds": seed_list(config.seeds),
        "reference": {"depth": config.depth, "train_size": len(images.train_y)},
        "data": images.description,
    }
    with runs.lock(directory):
        begin(directory, config, entries, **describe(images.train_x.device, config.precision))
        with runs.recorded(directory, RESUME):
            compare(config, images, held_out, directory)
    return directory


def continual(config: Continual, directory: Path) -> None:
    """Add the methods that the tables of a directory lack for `config.task`.

    The caller holds the directory's lock. Raises UserError.
    """
    compare(config, *images_of(config), directory)


def images_of(config: Continual) -> tuple[Data, Data]:
    """The images that methods are compared on, and those of the search, if there is one.

    The latter's test images are the last training images. Raises UserError for too few images.
    """
    device = training_run.pick_device(config.device)
    images = held_out = training_run.load_data(config, device)
    if any(len(choices(config, method)) > 1 for method in config.methods):
        validation = replace(config, data=replace(config.data, split="validation"))
        held_out = training_run.load_data(validation, device)
    for data in (images, held_out):
        sequence(config.task, data, config.tasks, [0])
    return images, held_out


def choices(config: Continual, method: str) -> list[tuple[Any, float]]:
    """The pairs of rate and strength from which the best is chosen."""
    return [(lr, s) for lr in alternatives(config.lr) for s in strengths(config, method)]


def compare(config: Continual, images: Data, held_out: Data, directory: Path) -> None:
    """Search rate and strength where there is a choice, then learn; one method after another."""
    training_run.set_threads(config.threads)
    torch.set_flush_denormal(True)  # as in training_run.run
    for method in config.methods:
        pairs = choices(config, method)
        lr, strength = pairs[0]
        if len(pairs) > 1:
            results = search(config, held_out, method, directory / SEARCH)
            lr, strength = pairs[best(results, config.search_seeds)]
        learn = partial(matrix, replace(config, lr=lr), images, method, [strength])
        complete(directory / MATRIX, config.task, method, learn)
        runs.write_table(directory / SUMMARY, summary(runs.read_table(directory / MATRIX)))


def populations(config: Continual, images: Data) -> list[Point]:
    """What `compare` trains, each population as if its tasks were one, for an estimate."""
    tasks = len(images.train_y) // (len(images.classes) // 2 if config.task == "split" else 1)
    base = replace(training_of(config), train_size=tasks, epochs=config.epochs * config.tasks)
    points = []
    for method in config.methods:
        rates = alternatives(config.lr)
        trained = {"": (rates[0], seed_list(config.seeds))}
        if len(choices(config, method)) > 1:
            seeds = [*range(len(strengths(config, method)) * config.search_seeds)]
            trained |= {f" search {number}": (lr, seeds) for number, lr in enumerate(rates)}
        for label, (lr, seeds) in trained.items():
            settings = replace(base, rule={"name": METHODS[method]}, lr=lr, seeds=seeds)
            name = f"{config.task} {method}{label}"
            points.append(Point(name, settings, name.rstrip(" 0123456789"), saved=False))
    return points


def complete(
    path: Path,
    protocol: str,
    method: str,
    make: Callable[[], pd.DataFrame],
    replicas: range | None = None,
) -> pd.DataFrame:
    """The rows of a table for a protocol, method and range of replicas (None: all).

    `make()` gives them, and they are added to the table, if it has none.
    """
    tables = [runs.read_table(path)] if path.exists() else []
    for table in tables:
        rows = table[(table["protocol"] == protocol) & (table["method"] == method)]
        rows = rows if replicas is None else rows[rows["replica"].isin(replicas)]
        if len(rows):
            return rows
    rows = make()
    runs.write_table(path, pd.concat([*tables, rows], ignore_index=True))
    return rows


def search(config: Continual, data: Data, method: str, path: Path) -> pd.DataFrame:
    """Average accuracy after the last task for every rate, strength and seed.

    One rate after another is added to the table at `path`; replicas are counted over all rates.
    """
    tables = []
    count = len(strengths(config, method)) * config.search_seeds
    for number, lr in enumerate(alternatives(config.lr)):
        replicas = range(number * count, (number + 1) * count)
        settings = replace(config, seeds=config.search_seeds, lr=lr)
        make = partial(trials, settings, data, method, replicas.start)
        tables.append(complete(path, config.task, method, make, replicas))
    return pd.concat(tables, ignore_index=True)


def trials(config: Continual, data: Data, method: str, first: int) -> pd.DataFrame:
    """The rows of one rate, whose replicas are counted from `first`."""
    table = matrix(config, data, method, strengths(config, method), only_last=True)
    table["replica"] += first
    mean = table.groupby(KEYS, sort=False)["test_accuracy"].mean()
    return mean.rename("validation_accuracy").reset_index()


def best(results: pd.DataFrame, seeds: int) -> int:
    """The index in `choices` of the highest mean over seeds, the first of equals."""
    index = results["replica"] // seeds  # as Learner orders its replicas
    return int(results.groupby(index)["validation_accuracy"].mean().argmax())


def matrix(
    config: Continual, data: Data, method: str, strengths: list[float], *, only_last: bool = False
) -> pd.DataFrame:
    """Accuracies on all tasks learned so far, after each task or only after the last."""
    learner, rows = Learner(config, data, method, strengths), []
    label = f"{config.task} {method}{' search' if only_last else ''}"
    with Progress(config.tasks * config.epochs, label) as progress:
        for done in range(1, config.tasks + 1):
            for _ in learner.learn(done - 1):
                progress.update(f"task {done} of {config.tasks}")
            for task in range(done if done == config.tasks or not only_last else 0):
                columns = (learner.lr, learner.strength, learner.seeds, learner.test(task))
                for r, (lr, strength, seed, accuracy) in enumerate(zip(*columns, strict=True)):
                    key = (config.task, method, lr, strength, r, seed)
                    rows.append((*key, done, task + 1, accuracy))
    return pd.DataFrame(rows, columns=[*KEYS, "after_task", "task", "test_accuracy"])


def overview(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Average accuracy and forgetting of each method, mean over seeds."""
    by_method = tables["continual_summary"].groupby("method", sort=False)
    return by_method[["average_accuracy", "forgetting"]].mean()
