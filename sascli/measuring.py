"""Measurements of a trained run, each in a versioned directory of its own."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from omegaconf import OmegaConf
from torch import Tensor

from sascli import checkpoint, experiment, figures, rules, runs
from sascli.config import (
    FromRun,
    Kernel,
    OnImages,
    OrderParameters,
    Train,
    config_hash,
    plain,
    typed,
    varied,
)
from sascli.core.copi import Decorrelated
from sascli.core.network import FeedForward
from sascli.data import Data
from sascli.errors import UserError
from sascli.networks import make_network

Tables = Mapping[str, pd.DataFrame]
"""Tables by their names without .csv."""


@dataclass(frozen=True)
class Trained:
    """A finished run: its settings, and on demand its network and images."""

    directory: Path
    device: torch.device
    root: str | None = None  # where the images are now, if not where they were

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What the run says of itself."""
        return runs.manifest_of(self.directory)

    @cached_property
    def config(self) -> Train:
        """The settings that it was trained with."""
        return typed(OmegaConf.create(runs.read_json(self.directory / runs.CONFIG)), Train)

    @cached_property
    def seeds(self) -> list[int]:
        """The replicas' seeds."""
        return list(self.manifest["seeds"])

    @cached_property
    def epochs(self) -> list[int]:
        """The last epoch of each replica."""
        history = runs.last_epochs(runs.read_table(self.directory / "history.csv"))
        return list(history.sort_values("replica")["epoch"])

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, as the manifest has them or else the images."""
        own = self.manifest["data"].get("classes")
        return tuple(own or self.data.classes)

    @cached_property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of its images."""
        channels, height, width = self.manifest["data"].get("image_shape") or self.data.image_shape
        return channels, height, width

    @cached_property
    def network(self) -> FeedForward:
        """The trained network."""
        return checkpoint.load_network(self.directory, device=self.device)

    @cached_property
    def snapshots(self) -> dict[int, FeedForward]:
        """The networks of the epochs of which the run kept copies, 0 being before training."""
        return {
            int(number[1]): checkpoint.load_weights(path, device=self.device)
            for path in sorted(self.directory.glob("weights-*.safetensors"))
            if (number := re.search(r"-(\d+)\.", path.name))
        }

    @property
    def paths(self) -> list[dict[int, FeedForward]]:
        """By replica and epoch, the networks on its way: its snapshots, and its last epoch."""
        return [
            {epoch: network for epoch, network in self.snapshots.items() if epoch < end}
            | {end: self.network}
            for end in self.epochs
        ]

    @cached_property
    def untrained(self) -> FeedForward:
        """The network before training: its snapshot, else drawn by the seeds once more."""
        path = self.directory / checkpoint.SNAPSHOT.format(epoch=0)
        if path.exists():
            return checkpoint.load_weights(path, device=self.device)
        kind, settings = rules.find(self.config.rule)
        setup = experiment.setup(self.config, self.data)
        network = make_network(self.config, self.data, len(setup.seeds), self.device)
        kind(network, settings, setup).initialise()
        return network

    @cached_property
    def layers(self) -> Decorrelated:
        """The layers of a network that decorrelates. Raises UserError where it does not."""
        if not self.network.r:
            raise UserError(
                f"{self.directory} was trained by rule={self.manifest['rule']}, which does not "
                "decorrelate: `sas train experiment=copi_digits` makes a run that does"
            )
        return Decorrelated(self.network, self.network.slope)

    def checked(self, name: str, number: int, count: int, first: int = 0) -> int:
        """A number that a setting gave, if it is one of `count`. Raises UserError."""
        if type(number) is not int or not first <= number < first + count:
            raise UserError(f"{name} must be {first} to {first + count - 1}, not {number!r}")
        return number

    @cached_property
    def data(self) -> Data:
        """The images that it was trained and tested on. Raises UserError where they are others."""
        where = replace(self.config.data, root=self.root or self.config.data.root)
        recorded = experiment.recorded_data(self.directory)
        data = experiment.load_data(replace(self.config, data=where), self.device, recorded)
        experiment.same_data(self.directory, data)
        return data

    def training_images(self, count: Any) -> Tensor:
        """The first so many training images, all of them where there are fewer."""
        if count != "all" and (type(count) is not int or count < 1):
            raise UserError(f"images must be a whole number >= 1 or 'all', not {count!r}")
        return self.data.train_x if count == "all" else self.data.train_x[:count]


def measure(
    config: FromRun,
    command: str,
    work: Callable[[Trained], Tables],
    directory: Path | None = None,
    also: Callable[[Path], object] | None = None,
) -> Path:
    """Write tables of measurements of `config.run` into `directory`, or a new version.

    `also` writes what else there is. Raises UserError for a run that is not there or cannot be
    read.
    """
    experiment.set_threads(config.threads)
    outputs = Path(config.outputs)
    device = experiment.pick_device(config.device)
    root = config.data.root if isinstance(config, OnImages) else None
    run = Trained(runs.locate(config.run, outputs), device, root)
    start, tables = runs.now(), work(run)
    rates = varied(run.config)
    tables = {n: runs.told_apart(t, rates) if "replica" in t else t for n, t in tables.items()}
    own = run.directory.resolve()  # run=. has no name
    name = config.name or (own.parent.name if own.name.startswith("v") else own.name)
    about = {key: run.manifest[key] for key in ("model", "rule", "data")}
    about |= {"run": str(run.directory), "seeds": run.seeds, "device": str(run.device)}
    return record(config, command, name, tables, start, directory, also, **about)


def experiment_of(
    config: Kernel | OrderParameters,
    command: str,
    work: Callable[[Any], Tables],
    directory: Path | None = None,
) -> Path:
    """Write the tables of an experiment that needs no trained run, as `measure` those of one."""
    experiment.set_threads(config.threads)
    start, tables, seeds = runs.now(), work(config), list(range(config.seeds))
    return record(config, command, config.name, tables, start, directory, seeds=seeds)


def record(
    config: Any,
    command: str,
    name: str,
    tables: Tables,
    start: str,
    directory: Path | None = None,
    also: Callable[[Path], object] | None = None,
    **about: Any,
) -> Path:
    """Write tables with their settings and manifest into `directory`, or a new version.

    The manifest comes last: it says that everything is there.
    """
    directory = directory or runs.claim(Path(config.outputs) / command / name)
    for table, rows in tables.items():
        runs.write_table(directory / f"{table}.csv", rows)
    if also is not None:
        also(directory)
    runs.write_json(directory / runs.CONFIG, plain(config))
    runs.describe(
        directory,
        **runs.provenance(),
        **about,
        kind=command,
        config_hash=config_hash(config),
        start=start,
        end=runs.now(),
        status="finished",
    )
    return directory


def show(directory: Path, pictures: Sequence[str], told: pd.DataFrame | None = None) -> None:
    """Draw what was measured beside its tables, say what there is, and print a table."""
    drawn = figures.plot(pictures, directory, directory, reference={})
    for path in [*sorted(directory.glob("*.csv")), *drawn]:
        print(path)
    if told is not None:
        print(told.round(4).to_string(na_rep=""))
