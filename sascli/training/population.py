"""Replicas that train side by side: what the settings of a run become before training."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from sascli.config import Train
from sascli.core.network import FeedForward
from sascli.data import Data
from sascli.rules.base import Rule, Setup
from sascli.training.loggers import Show

Row = list[Any]
"""Cells of history.csv or metrics.csv."""


@dataclass(frozen=True)
class Population:
    """The replicas of a run, or a part of them, and the directory of their checkpoint."""

    data: Data
    setup: Setup
    make_rule: Callable[[Setup, torch.device], Rule]  # on a device
    config: Train  # when to evaluate, to save and to end
    rates: Mapping[str, Sequence[float]]  # lr and decay of each replica of the run, if they differ
    run: Path  # the run directory
    directory: Path
    first: int = 0  # number of the first replica in tables
    show: Show | None = None  # by a logger

    @property
    def device(self) -> torch.device:
        """The device of the training."""
        return self.data.train_x.device

    @property
    def name(self) -> str:
        """The replicas, by number."""
        last = self.first + len(self.setup.seeds) - 1
        return f"replica {last}" if last == self.first else f"replicas {self.first} to {last}"


@dataclass
class Log:
    """What is recorded of a training so far."""

    ends: list[int | None]
    """The epoch in which its loss stopped each replica, None for one that still learns."""
    epoch: int = 0
    history: list[Row] = field(default_factory=list)
    metrics: list[Row] = field(default_factory=list)

    @property
    def learning(self) -> list[int]:
        """The replicas that have not stopped."""
        return [r for r, end in enumerate(self.ends) if end is None]

    @property
    def stopped(self) -> list[int]:
        """The replicas that have stopped."""
        return [r for r, end in enumerate(self.ends) if end is not None]


@dataclass(frozen=True)
class Trained:
    """A trained population, on the CPU, and its measurements."""

    network: FeedForward
    entropy: list[Tensor]  # of every connection, (replicas, n_out, n_in) per layer
    ensemble: pd.DataFrame
    together: int  # replicas trained side by side at most
    ends: list[int | None]  # as in `Log`


def alone(network: FeedForward, replica: int) -> FeedForward:
    """A copy of one replica."""
    return network.select(slice(replica, replica + 1))
