"""A trained run as measurements read it: settings, networks and images, loaded on demand."""

import re
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from sascli import runs
from sascli.config import Train
from sascli.core.copi import Decorrelated
from sascli.core.network import FeedForward
from sascli.data import Data
from sascli.errors import UserError
from sascli.training import checkpoint
from sascli.training import run as training_run
from sascli.training.directories import settings_of


@dataclass(frozen=True)
class TrainedRun:
    """A finished run. Its properties raise UserError for files that are missing or damaged."""

    directory: Path
    device: torch.device
    root: str | None = None  # folder of the data sets, None for the run's

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The run's manifest."""
        return runs.manifest_of(self.directory)

    @cached_property
    def config(self) -> Train:
        """The settings that it was trained with."""
        return settings_of(self.directory, Train)

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
        """Names of the classes: the manifest's, or the images' where it has none."""
        return tuple(self.manifest["data"].get("classes") or self.data.classes)

    @cached_property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the images."""
        channels, height, width = self.manifest["data"].get("image_shape") or self.data.image_shape
        return channels, height, width

    @cached_property
    def network(self) -> FeedForward:
        """The trained network."""
        return checkpoint.load_network(self.directory, device=self.device)

    @cached_property
    def snapshots(self) -> dict[int, FeedForward]:
        """The networks of the snapshots by epoch, 0 being before training."""
        return {
            int(number[1]): checkpoint.load_weights(path, device=self.device)
            for path in sorted(self.directory.glob("weights-*.safetensors"))
            if (number := re.search(r"-(\d+)\.", path.name))
        }

    @property
    def paths(self) -> list[dict[int, FeedForward]]:
        """For each replica, the networks of the snapshots and of its last epoch, by epoch."""
        return [
            {epoch: network for epoch, network in self.snapshots.items() if epoch < end}
            | {end: self.network}
            for end in self.epochs
        ]

    @cached_property
    def untrained(self) -> FeedForward:
        """The network before training: the snapshot, or drawn from the same seeds."""
        path = self.directory / checkpoint.SNAPSHOT.format(epoch=0)
        if path.exists():
            return checkpoint.load_weights(path, device=self.device)
        setup = training_run.setup(self.config, self.data)
        rule = training_run.rule_maker(self.config, self.data)(setup, self.device)
        rule.initialise()
        return rule.network

    @cached_property
    def layers(self) -> Decorrelated:
        """The layers of a network that decorrelates. Raises UserError for another network."""
        if not self.network.r:
            raise UserError(
                f"{self.directory} was trained by rule={self.manifest['rule']}, which does not "
                "decorrelate: `sas train experiment=copi_digits` makes a run that does"
            )
        return Decorrelated(self.network, self.network.slope)

    def checked(self, name: str, number: int, count: int, first: int = 0) -> int:
        """The number of the setting `name`, one of `count` from `first`. Raises UserError."""
        if type(number) is not int or not first <= number < first + count:
            raise UserError(f"{name} must be {first} to {first + count - 1}, not {number!r}")
        return number

    @cached_property
    def data(self) -> Data:
        """Training and test images. Raises UserError if they have changed since the training."""
        folder = replace(self.config.data, root=self.root or self.config.data.root)
        config = replace(self.config, data=folder)
        return training_run.load_data(config, self.device, self.directory)

    def training_images(self, count: int | Literal["all"]) -> Tensor:
        """The first `count` training images; all of them for `all`, or if there are fewer."""
        return self.data.train_x[: None if count == "all" else count]
