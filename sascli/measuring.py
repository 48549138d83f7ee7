"""Measurements of a trained run, each in a versioned directory of its own."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from omegaconf import OmegaConf

from sascli import checkpoint, experiment, runs
from sascli.config import FromRun, Perturb, Train, config_hash, plain, typed
from sascli.core.network import FeedForward
from sascli.data import Data


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
    def network(self) -> FeedForward:
        """The trained network."""
        return checkpoint.load_network(self.directory, device=self.device)

    @cached_property
    def data(self) -> Data:
        """The images that it was trained and tested on."""
        where = replace(self.config.data, root=self.root or self.config.data.root)
        return experiment.load_data(replace(self.config, data=where), self.device)


def measure(
    config: FromRun,
    command: str,
    table: str,
    work: Callable[[Trained], pd.DataFrame],
    directory: Path | None = None,
) -> Path:
    """Write one table of measurements of `config.run` into `directory`, or a new version.

    Raises UserError for a run that is not there or cannot be read.
    """
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    outputs = Path(config.outputs)
    device = experiment.pick_device(config.device)
    root = config.data.root if isinstance(config, Perturb) else None
    run = Trained(runs.locate(config.run, outputs), device, root)
    start, result = runs.now(), work(run)
    own = run.directory.resolve()  # run=. has no name
    name = config.name or (own.parent.name if own.name.startswith("v") else own.name)
    directory = directory or runs.claim(outputs / command / name)
    runs.write_table(directory / f"{table}.csv", result)
    runs.write_json(directory / runs.CONFIG, plain(config))
    runs.describe(
        directory,
        **runs.provenance(),
        kind=command,
        run=str(run.directory),
        model=run.manifest["model"],
        rule=run.manifest["rule"],
        seeds=run.seeds,
        data=run.manifest["data"],
        config_hash=config_hash(config),
        device=str(run.device),
        start=start,
        end=runs.now(),
        status="finished",
    )
    return directory
