"""Populations larger than a GPU's memory: trained in two halves, one after the other, and joined.

While they are trained the halves keep checkpoints of their own, in the folder `parts` of the run
directory, so that a run that is stopped goes on where it was.
"""

import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from sascli import runs
from sascli.analysis.ensemble import ensemble
from sascli.analysis.layers import entropies
from sascli.config import Train
from sascli.core.network import FeedForward
from sascli.data import Data
from sascli.errors import UserError
from sascli.rules.base import Rule, Setup
from sascli.training import checkpoint, loop
from sascli.training.memory import free
from sascli.training.progress import Part, Progress
from sascli.training.replicas import hand_over, joined, some

PARTS, LEFT_OVER = "parts", ".parts"
CPU = torch.device("cpu")
Rows = list[list[Any]]


@dataclass(frozen=True)
class Trained:
    """What the tables of a trained population are made of, on the CPU."""

    network: FeedForward
    entropy: list[Tensor]  # of every connection, (replicas, n_out, n_in) per layer
    ensemble: pd.DataFrame
    together: int  # replicas trained side by side at most
    ends: loop.Ends


@dataclass(frozen=True)
class Population:
    """Some replicas of a run, `first` being the number of the first, and where they are kept.

    `make` gives the rule of the replicas of a setup, on a device.
    """

    config: Train
    data: Data
    make: Callable[[Setup, torch.device], Rule]
    setup: Setup
    run: Path
    directory: Path
    first: int = 0

    def train(self, progress: Progress | Part) -> Trained:
        """Train from the last checkpoint on, by halves where memory does not hold all together.

        Raises UserError where it does not hold a single replica.
        """
        if not (self.directory / PARTS).exists():
            device, before = self.data.train_x.device, progress.done
            try:
                return self._together(progress)
            except torch.OutOfMemoryError as error:
                if len(self.setup.seeds) == 1:
                    raise UserError(
                        f"a single replica does not fit into the memory of {device}: lower "
                        "batch_size, width or depth, or train with device=cpu"
                    ) from error
            free(device)  # only here: the error held the frames whose tensors filled the memory
            progress.skip(before - progress.done)
            self._warn(f"{self.name} do not fit into the memory of {device}: trained by halves")
        return self._by_halves(progress)

    @property
    def name(self) -> str:
        """The replicas, by number."""
        last = self.first + len(self.setup.seeds) - 1
        return f"replica {last}" if last == self.first else f"replicas {self.first} to {last}"

    def _warn(self, text: str) -> None:
        """Say it on the screen and in the manifest."""
        print(f"warning: {text}", flush=True)
        warnings = runs.manifest_of(self.run).get("warnings", [])
        runs.describe(self.run, warnings=[*warnings, text])

    def _together(self, progress: Progress | Part) -> Trained:
        """Train all side by side, and measure what is measured on the device."""
        data, seeds = self.data, self.setup.seeds
        rule = self.make(self.setup, data.train_x.device)
        ends = loop.train(self.config, self.directory, data, rule, progress, self.first)
        network = rule.network
        own = self.config.eval
        drawn = ensemble(network, seeds, data.accuracy, own.samples, own.redraw)
        drawn["replica"] += self.first
        entropy = [layer.cpu() for layer in entropies(network, seeds, "paper")]
        return Trained(joined([network]), entropy, drawn, len(seeds), ends)

    def _by_halves(self, progress: Progress | Part) -> Trained:
        """Train the first half, then the second; leave what training together leaves."""
        count = len(self.setup.seeds)
        which = [slice(*ends) for ends in pairwise((0, count // 2, count))]
        halves = [self._half(own) for own in which]
        trained = [
            half.train(Part(progress, half.name, len(half.setup.seeds) / count)) for half in halves
        ]
        self._join(which, halves)
        drawn = pd.concat([own.ensemble for own in trained])
        return Trained(
            joined([own.network for own in trained]),
            [torch.cat(parts) for parts in zip(*(own.entropy for own in trained), strict=True)],
            drawn.sort_values(["sample", "replica"], ignore_index=True),
            max(own.together for own in trained),
            [end for half in trained for end in half.ends],
        )

    def _half(self, which: slice) -> "Population":
        """Some of the replicas, their checkpoint begun with their share of this one."""
        first = self.first + which.start
        directory = self.directory / PARTS / str(first)
        half = replace(self, setup=some(self.setup, which), directory=directory, first=first)
        directory.mkdir(parents=True, exist_ok=True)
        state = checkpoint.load_state(self.directory, CPU)
        if state is not None and not (directory / checkpoint.INDEX).exists():
            whole, part = self.make(self.setup, CPU), self.make(half.setup, CPU)
            whole.load(state["rule"])
            hand_over(whole, part, which, slice(None))
            begun = {"rule": part.state(), "history": [], "metrics": []}
            begun["ends"] = state.get("ends", [None] * len(self.setup.seeds))[which]
            checkpoint.save_state(directory, state["epoch"], begun)
        return half

    def _join(self, which: Sequence[slice], halves: Sequence["Population"]) -> None:
        """Make the halves' checkpoints, tables and snapshots one, and remove them."""
        whole, states, last = self.make(self.setup, CPU), [], []
        for own, half in zip(which, halves, strict=True):
            state = checkpoint.load_state(half.directory, CPU)
            assert state is not None  # it has been trained
            part = self.make(half.setup, CPU)
            part.load(state["rule"])
            hand_over(part, whole, slice(None), own)
            states.append(state)
            last.append(part.network)
        before = checkpoint.load_state(self.directory, CPU) or {"history": [], "metrics": []}
        history = history_of(before["history"], [state["history"] for state in states])
        metrics = metrics_of(before["metrics"], [state["metrics"] for state in states])
        for name in {path.name for half in halves for path in half.directory.glob("weights-*")}:
            paths = [half.directory / name for half in halves]  # none where all had stopped before
            parts = [
                checkpoint.load_weights(path) if path.exists() else network
                for path, network in zip(paths, last, strict=True)
            ]
            checkpoint.save_weights(self.directory / name, joined(parts), self.setup.seeds)
        epoch = max(state["epoch"] for state in states)
        ends = list(chain(*(state["ends"] for state in states)))
        loop.keep(self.config, self.directory, whole, epoch, history, metrics, ends)
        shutil.rmtree(self.directory / LEFT_OVER, ignore_errors=True)
        os.replace(self.directory / PARTS, self.directory / LEFT_OVER)  # at once, or not at all
        shutil.rmtree(self.directory / LEFT_OVER, ignore_errors=True)


def history_of(before: Rows, halves: Sequence[Rows]) -> Rows:
    """The rows of history.csv before the split, then those of both halves.

    They are ordered as in a whole population; an epoch took as long as both halves' one.
    """
    epoch, seconds = loop.HISTORY.index("epoch"), loop.HISTORY.index("seconds")
    took: dict[int, float] = defaultdict(float)
    for rows in halves:
        for number, own in {row[epoch]: row[seconds] for row in rows}.items():
            took[number] += own
    both = sorted(chain(*halves), key=lambda row: (row[epoch], row[0]))
    timed = [[*row[:seconds], took[row[epoch]], *row[seconds + 1 :]] for row in both]
    return earlier(before, took, epoch) + timed


def metrics_of(before: Rows, halves: Sequence[Rows]) -> Rows:
    """The rows of metrics.csv before the split, then those of both halves, sorted."""
    both, epoch = loop.in_order(chain(*halves)), loop.METRICS.index("epoch")
    return earlier(before, {row[epoch] for row in both}, epoch) + both


def earlier(rows: Rows, epochs: Container[int], place: int) -> Rows:
    """The rows of other epochs; those of these are there where halves are joined once more."""
    return [row for row in rows if row[place] not in epochs]
