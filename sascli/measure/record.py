"""A measurement: its tables, files and manifest in a versioned directory."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from sascli import runs
from sascli.config import (
    FromRun,
    Kernel,
    OnImages,
    OrderParameters,
    Prune,
    config_hash,
    plain,
    varied,
)
from sascli.errors import UserError
from sascli.measure.run import TrainedRun
from sascli.training import run as training_run
from sascli.training.devices import describe

Results = Mapping[str, pd.DataFrame | bytes]
"""Tables by their names without .csv; contents of other files by their paths."""


def measure(
    command: str,
    work: Callable[..., Results],
    config: FromRun | Kernel | OrderParameters,
    directory: Path | None = None,
) -> Path:
    """Write what `work` measures into `directory`, or a new version of the command's outputs.

    `work` is called with the run of `config.run` and the settings, or with the settings alone
    where they name no run. The manifest is written last: a directory that has one is complete.
    Raises UserError for a run that does not exist or cannot be read, and where writing fails.
    """
    training_run.set_threads(config.threads)
    start, name = runs.now(), config.name
    entries: dict[str, object]
    if isinstance(config, FromRun):
        run = trained_run(config)
        weights = runs.weights_checksum(run.directory)
        used = describe(run.device, run.config.precision)
        results = dict(work(run, config))
        if runs.weights_checksum(run.directory) != weights:
            raise UserError(f"{run.directory} has changed during the measurement: measure again")
        for table, result in results.items():
            if isinstance(result, pd.DataFrame) and "replica" in result:
                rates = varied(run.config)
                result = results[table] = runs.add_replica_columns(result, rates)
                if "rule" in result:  # a baseline has other replicas
                    result.loc[result["rule"] != run.manifest["rule"], [*rates]] = math.nan
        path = run.directory.resolve()  # "." has no name
        name = name or (path.parent.name if path.name.startswith("v") else path.name)
        entries = {key: run.manifest[key] for key in ("model", "rule", "data")}
        entries |= {"run": str(run.directory), "weights": weights, "epoch": max(run.epochs)}
        entries |= {"seeds": run.seeds}
        if isinstance(config, Prune):
            other, outputs = config.baseline, Path(config.outputs)
            entries["baseline"] = None if other is None else str(runs.locate(other, outputs))
    else:
        used = describe(training_run.pick_device(config.device), "float32")
        results, entries = dict(work(config)), {"seeds": list(range(config.seeds))}
    directory = directory or runs.claim(Path(config.outputs) / command / str(name))
    write(directory, results)
    runs.write_json(directory / runs.CONFIG, plain(config))
    runs.describe(
        directory,
        **runs.provenance(),
        **entries,
        **used,
        kind=command,
        config_hash=config_hash(config),
        start=start,
        end=runs.now(),
        status="finished",
    )
    return directory


def trained_run(config: FromRun) -> TrainedRun:
    """The run that `config.run` names. Raises UserError where there is none."""
    root = config.data.root if isinstance(config, OnImages) else None
    location = runs.locate(config.run, Path(config.outputs))
    return TrainedRun(location, training_run.pick_device(config.device), root)


def write(directory: Path, results: Results) -> None:
    """Write tables and other files into a directory. Raises UserError where that fails."""
    for path, result in results.items():
        if isinstance(result, pd.DataFrame):
            runs.write_table(directory / f"{path}.csv", result)
        else:
            runs.make((directory / path).parent)
            with runs.replacing(directory / path) as file:
                file.write(result)
