"""Tasks in sequence by every method: search, accuracies after each task, forgetting."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch

from sascli import runs
from sascli.analysis.forgetting import KEYS, summary
from sascli.config import (
    Continual,
    alternatives,
    config_hash,
    plain,
    seed_list,
    strengths,
)
from sascli.continual.learner import Learner
from sascli.continual.sequence import sequence
from sascli.data import Data
from sascli.training import run as training_run
from sascli.training.progress import Progress

SEARCH, MATRIX, SUMMARY = (f"continual{end}.csv" for end in ("_search", "", "_summary"))


class Images(NamedTuple):
    """What the methods are compared on, and what rates and strengths are searched on."""

    whole: Data
    held_out: Data  # its test images are the last training images, if anything is searched


def run(config: Continual, directory: Path | None = None) -> Path:
    """Every method in a versioned directory of its own, which `resume=true` continues.

    With a `directory`, that one is used, and continued if it was begun. Raises UserError.
    """
    images = images_of(config)
    parent = Path(config.outputs) / "continual"
    parent /= config.name or f"{config.model.name}-{config.task}"
    wanted = config_hash(config)
    directory = directory or (runs.of_settings(parent, wanted) if config.resume else None)
    directory = directory or runs.claim(parent)
    with runs.lock(directory):
        if not runs.begun(directory):
            whole = images.whole
            runs.write_json(directory / runs.CONFIG, plain(config))
            runs.describe(
                directory,
                **runs.provenance(),
                kind="continual",
                model=config.model.name,
                seeds=seed_list(config.seeds),
                config_hash=wanted,
                reference={"depth": config.depth, "train_size": len(whole.train_y)},
                device=str(whole.train_x.device),
                data=whole.description,
                start=runs.now(),
            )
        runs.describe(directory, **runs.running())
        with runs.recorded(directory, "the same command and resume=true"):
            compare(config, images, directory)
    return directory


def continual(config: Continual, directory: Path) -> None:
    """Add every method, under this protocol, to the tables of a directory that lack it.

    The caller holds the directory's lock. Raises UserError.
    """
    compare(config, images_of(config), directory)


def images_of(config: Continual) -> Images:
    """Load the images. Raises UserError where they do not make the tasks."""
    device = training_run.pick_device(config.device)
    searched = any(len(choices(config, method)) > 1 for method in config.methods)
    whole = held_out = training_run.load_data(config, device)
    if searched:
        part = replace(config, data=replace(config.data, split="validation"))
        held_out = training_run.load_data(part, device)
    images = Images(whole, held_out)
    for data in images:
        sequence(config.task, data, config.tasks, [0])
    return images


def choices(config: Continual, method: str) -> list[tuple[Any, float]]:
    """The rates with the strengths from which the best is chosen."""
    return [(lr, s) for lr in alternatives(config.lr) for s in strengths(config, method)]


def compare(config: Continual, images: Images, directory: Path) -> None:
    """Search, where there is a choice, and learn; the tables grow by a method at a time."""
    training_run.set_threads(config.threads)
    torch.set_flush_denormal(True)  # as in training_run.run
    for method in config.methods:
        tried = choices(config, method)
        lr, strength = tried[0]
        if len(tried) > 1:
            found = search(config, images.held_out, method, directory / SEARCH)
            lr, strength = tried[best(found, config.search_seeds)]
        learning = partial(matrix, replace(config, lr=lr), images.whole, method, [strength])
        kept(directory / MATRIX, config.task, method, learning)
        runs.write_table(directory / SUMMARY, summary(runs.read_table(directory / MATRIX)))


def kept(
    path: Path,
    protocol: str,
    method: str,
    make: Callable[[], pd.DataFrame],
    replicas: range | None = None,
) -> pd.DataFrame:
    """The rows of a table for a protocol and method, of all or some replicas.

    They are made, and added to the table, where it has none.
    """
    tables = [runs.read_table(path)] if path.exists() else []
    for table in tables:
        rows = table[(table["protocol"] == protocol) & (table["method"] == method)]
        rows = rows if replicas is None else rows[rows["replica"].isin(replicas)]
        if len(rows):
            return rows
    made = make()
    runs.write_table(path, pd.concat([*tables, made], ignore_index=True))
    return made


def search(config: Continual, data: Data, method: str, path: Path) -> pd.DataFrame:
    """Average accuracy after the last task of every rate with every strength and seed.

    The table at `path` grows by a rate at a time; replicas are counted through all rates.
    """
    tables = list[pd.DataFrame]()
    count = len(strengths(config, method)) * len(seed_list(config.search_seeds))
    for place, lr in enumerate(alternatives(config.lr)):
        one = replace(config, seeds=config.search_seeds, lr=lr)
        replicas = range(place * count, (place + 1) * count)
        trying = partial(trial, one, data, method, replicas.start)
        tables.append(kept(path, config.task, method, trying, replicas))
    return pd.concat(tables, ignore_index=True)


def trial(config: Continual, data: Data, method: str, first: int) -> pd.DataFrame:
    """The rows of one rate, whose replicas are counted from `first`."""
    table = matrix(config, data, method, strengths(config, method), only_last=True)
    mean = table.groupby(KEYS, sort=False)["test_accuracy"].mean()
    found = mean.rename("validation_accuracy").reset_index()
    return found.assign(replica=found["replica"] + first)


def best(found: pd.DataFrame, seeds: int) -> int:
    """The number of the trial with the highest mean over seeds, the first of equals."""
    trial = found["replica"] // seeds  # as Learner orders its replicas
    return int(found.groupby(trial)["validation_accuracy"].mean().argmax())


def matrix(
    config: Continual, data: Data, method: str, tried: list[float], *, only_last: bool = False
) -> pd.DataFrame:
    """Accuracies on the tasks so far after each of them, or only after the last."""
    learner, rows = Learner(config, data, method, tried), []
    label = f"{config.task} {method}{' search' if only_last else ''}"
    with Progress(config.tasks * config.epochs, label) as progress:
        for done in range(1, config.tasks + 1):
            for _ in learner.learn(done - 1):
                progress.update(f"task {done} of {config.tasks}")
            for task in range(done if done == config.tasks or not only_last else 0):
                told = (learner.lr, learner.strength, learner.seeds, learner.test(task))
                for replica, (lr, strength, seed, right) in enumerate(zip(*told, strict=True)):
                    key = (config.task, method, lr, strength, replica, seed)
                    rows.append((*key, done, task + 1, right))
    return pd.DataFrame(rows, columns=[*KEYS, "after_task", "task", "test_accuracy"])


def overview(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Average accuracy and forgetting of each method, the mean over seeds."""
    by_method = tables["continual_summary"].groupby("method", sort=False)
    return by_method[["average_accuracy", "forgetting"]].mean()
