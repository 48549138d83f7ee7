"""A measurement: its tables, files and manifest in a versioned directory."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from sascli import runs
from sascli.config import FromRun, OnImages, config_hash, plain, varied
from sascli.measure.run import TrainedRun
from sascli.training import run as training_run

Results = Mapping[str, pd.DataFrame | bytes]
"""Tables by their names without .csv; contents of other files by their paths."""


def measure(
    command: str, work: Callable[..., Results], config: Any, directory: Path | None = None
) -> Path:
    """Write what `work` measures into `directory`, or a new version of the command's outputs.

    `work` is called with the run of `config.run` and the settings, or with the settings alone
    where they name no run. Raises UserError for a run that does not exist or cannot be read.
    """
    training_run.set_threads(config.threads)
    start = runs.now()
    if not isinstance(config, FromRun):
        seeds = list(range(config.seeds))
        return record(command, config.name, work(config), config, directory, start, seeds=seeds)
    root = config.data.root if isinstance(config, OnImages) else None
    location = runs.locate(config.run, Path(config.outputs))
    run = TrainedRun(location, training_run.pick_device(config.device), root)
    results, rates = dict(work(run, config)), varied(run.config)
    for name, result in results.items():
        if isinstance(result, pd.DataFrame) and "replica" in result:
            results[name] = runs.add_replica_columns(result, rates)
    path = location.resolve()  # "." has no name
    name = config.name or (path.parent.name if path.name.startswith("v") else path.name)
    about = {key: run.manifest[key] for key in ("model", "rule", "data")}
    about |= {"run": str(location), "seeds": run.seeds, "device": str(run.device)}
    return record(command, name, results, config, directory, start, **about)


def record(
    command: str,
    name: str,
    results: Results,
    config: Any,
    directory: Path | None,
    start: str,
    **about: Any,
) -> Path:
    """Write results with their settings and manifest into `directory`, or a new version.

    The manifest comes last: a directory that has one is complete. Raises UserError where nothing
    can be written.
    """
    directory = directory or runs.claim(Path(config.outputs) / command / name)
    write(directory, results)
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


def write(directory: Path, results: Results) -> None:
    """Write tables and other files into a directory. Raises UserError where that fails."""
    for path, result in results.items():
        if isinstance(result, pd.DataFrame):
            runs.write_table(directory / f"{path}.csv", result)
        else:
            runs.make((directory / path).parent)
            with runs.replacing(directory / path) as file:
                file.write(result)
