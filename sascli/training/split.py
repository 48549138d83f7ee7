"""Populations larger than a GPU's memory: trained in halves, one after the other, and joined.

Each half has its own checkpoint below `parts` in the run directory, so that a stopped run resumes
where it was. This module is entered only after an out-of-memory error.
"""

import os
import shutil
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from operator import itemgetter

import pandas as pd
import torch

from sascli import runs
from sascli.core.network import FeedForward
from sascli.errors import UserError
from sascli.training import checkpoint, loop
from sascli.training.memory import free, is_out_of_memory
from sascli.training.population import Log, Population, Row, Trained
from sascli.training.progress import Part, Progress

PARTS, OBSOLETE = "parts", ".parts"
EPOCH = loop.KEY.index("epoch")
CPU = torch.device("cpu")


def is_split(population: Population) -> bool:
    """Whether the halves of a population have begun to train."""
    return (population.directory / PARTS).exists()


def train(population: Population, progress: Progress | Part) -> Trained:
    """Train all replicas together or, where memory does not permit that, by halves."""
    try:
        if not is_split(population):
            return loop.train(population, progress)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    return train_halves(population, progress)  # outside of `except`: the error holds memory


def train_halves(population: Population, progress: Progress | Part) -> Trained:
    """Train the first half, then the second, and leave the files of an undivided population.

    Raises UserError where a single replica does not fit into memory.
    """
    count = len(population.setup.seeds)
    if count == 1:
        raise UserError(
            f"a single replica does not fit into the memory of {population.device}: lower "
            "batch_size, width or depth, or train with device=cpu"
        )
    free(population.device)
    progress.skip(-progress.done)  # the attempt to train all replicas together
    if not is_split(population):
        warn(population)
    halves = [
        begin_half(population, part) for part in (slice(count // 2), slice(count // 2, count))
    ]
    parts = [Part(progress, half.name, len(half.setup.seeds) / count) for half in halves]
    trained = [train(half, part) for half, part in zip(halves, parts, strict=True)]
    join(population, halves)
    table = pd.concat([half.ensemble for half in trained])
    return Trained(
        FeedForward.concat([half.network for half in trained], CPU),
        [torch.cat(layers) for layers in zip(*(half.entropy for half in trained), strict=True)],
        table.sort_values(["sample", "replica"], ignore_index=True),
        max(half.together for half in trained),
        [*chain(*(half.ends for half in trained))],
    )


def warn(population: Population) -> None:
    """Report the split on the screen and in the manifest."""
    text = f"{population.name} do not fit into the memory of {population.device}"
    text += ": trained by halves"
    print(f"warning: {text}", flush=True)
    warnings = runs.manifest_of(population.run).get("warnings", [])
    runs.describe(population.run, warnings=[*warnings, text])


def begin_half(population: Population, replicas: slice) -> Population:
    """The population of the given replicas, which continues from the common checkpoint."""
    first = population.first + (replicas.start or 0)
    directory = population.directory / PARTS / str(first)
    setup = population.setup.select(replicas)
    half = replace(population, setup=setup, directory=directory, first=first)
    directory.mkdir(parents=True, exist_ok=True)
    saved = loop.load(population, CPU)
    if saved is not None and not (directory / checkpoint.INDEX).exists():
        rule, log = saved
        loop.save_checkpoint(half, rule.select(replicas), Log(log.ends[replicas], log.epoch))
    return half


def join(population: Population, halves: Sequence[Population]) -> None:
    """Join the checkpoints, tables and snapshots of the halves, and remove them."""
    saved = filter(None, (loop.load(half, CPU) for half in halves))
    rules, logs = zip(*saved, strict=True)
    for name in {path.name for half in halves for path in half.directory.glob("weights-*")}:
        paths = [half.directory / name for half in halves]
        for path, half, rule in zip(paths, halves, rules, strict=True):
            if not path.exists():  # all replicas of this half had stopped
                checkpoint.save_weights(path, rule.network, half.setup.seeds)
        joined = FeedForward.concat([checkpoint.load_weights(path) for path in paths], CPU)
        checkpoint.save_weights(population.directory / name, joined, population.setup.seeds)
    common = loop.load(population, CPU)
    loop.save(population, type(rules[0]).concat(rules), join_logs(common and common[1], logs))
    shutil.rmtree(population.directory / OBSOLETE, ignore_errors=True)
    os.replace(population.directory / PARTS, population.directory / OBSOLETE)  # atomic
    shutil.rmtree(population.directory / OBSOLETE, ignore_errors=True)


def join_logs(common: Log | None, halves: Sequence[Log]) -> Log:
    """The log before the split and those of both halves, in the order of an undivided population.

    An epoch took as long as in both halves together.
    """
    durations: dict[int, float] = defaultdict(float)
    for half in halves:
        for epoch, seconds in {row[EPOCH]: row[-1] for row in half.history}.items():
            durations[epoch] += seconds
    history = sorted(chain(*(half.history for half in halves)), key=itemgetter(EPOCH, 0))
    history = [[*row[:-1], durations[row[EPOCH]]] for row in history]
    metrics = loop.in_order(chain(*(half.metrics for half in halves)))
    if common is not None:
        history = earlier(common.history, history) + history
        metrics = earlier(common.metrics, metrics) + metrics
    ends = [*chain(*(half.ends for half in halves))]
    return Log(ends, max(half.epoch for half in halves), history, metrics)


def earlier(common: Sequence[Row], rows: Sequence[Row]) -> list[Row]:
    """The common rows of other epochs; the halves may be joined a second time, after a kill."""
    epochs = {row[EPOCH] for row in rows}
    return [row for row in common if row[EPOCH] not in epochs]
