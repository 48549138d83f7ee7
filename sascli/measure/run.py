"""A trained run, as measurements read it: settings, networks and images, each on demand."""

import re
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import Tensor

from sascli import runs
from sascli.config import Train, typed
from sascli.core.copi import Decorrelated
from sascli.core.network import FeedForward
from sascli.data import Data
from sascli.errors import UserError
from sascli.rules import rule_class
from sascli.training import checkpoint
from sascli.training import run as training_run
from sascli.training.networks import make_network


@dataclass(frozen=True)
class TrainedRun:
    """A finished run: its settings, and on demand its network and images."""

    directory: Path
    device: torch.device
    root: str | None = None  # where the images are now, if not where they were

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The run's manifest."""
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
        return tuple(self.manifest["data"].get("classes") or self.data.classes)

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
        """The networks at the epochs of the run's snapshots, 0 being before training."""
        return {
            int(number[1]): checkpoint.load_weights(path, device=self.device)
            for path in sorted(self.directory.glob("weights-*.safetensors"))
            if (number := re.search(r"-(\d+)\.", path.name))
        }

    @property
    def paths(self) -> list[dict[int, FeedForward]]:
        """For each replica, the networks at its snapshots and at its last epoch, by epoch."""
        return [
            {epoch: network for epoch, network in self.snapshots.items() if epoch < end}
            | {end: self.network}
            for end in self.epochs
        ]

    @cached_property
    def untrained(self) -> FeedForward:
        """The network before training: its snapshot, else drawn again from the seeds."""
        path = self.directory / checkpoint.SNAPSHOT.format(epoch=0)
        if path.exists():
            return checkpoint.load_weights(path, device=self.device)
        setup = training_run.setup(self.config, self.data)
        network = make_network(self.config, self.data, len(setup.seeds), self.device)
        rule_class(self.config.rule)(network, self.config.rule, setup).initialise()
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
        """The number of a setting, if it is one of `count` from `first`. Raises UserError."""
        if type(number) is not int or not first <= number < first + count:
            raise UserError(f"{name} must be {first} to {first + count - 1}, not {number!r}")
        return number

    @cached_property
    def data(self) -> Data:
        """The images of training and test. Raises UserError where they changed since."""
        where = replace(self.config.data, root=self.root or self.config.data.root)
        recorded = training_run.recorded_data(self.directory)
        data = training_run.load_data(replace(self.config, data=where), self.device, recorded)
        training_run.same_data(self.directory, data)
        return data

    def training_images(self, count: Any) -> Tensor:
        """The first `count` training images, all of them for `all` or where there are fewer."""
        return self.data.train_x if count == "all" else self.data.train_x[:count]
