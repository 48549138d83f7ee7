"""Directories of training: resumed, or begun."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from omegaconf import OmegaConf

from sascli import runs
from sascli.config import Train, config_hash, plain, typed

Schema = TypeVar("Schema")
RESUME = "the same command and resume=true"
"""How a directory of many runs is resumed."""


def resumed(parent: Path, config: Train) -> Path | None:
    """The directory that `resume` means, None for a new one. Raises UserError if it is missing."""
    if isinstance(config.resume, str):
        return runs.locate(config.resume, Path(config.outputs), unfinished=True)
    return runs.of_settings(parent, same_settings(config)) if config.resume else None


def settings_of(directory: Path, schema: type[Schema]) -> Schema:
    """The settings of a run; those that its version of sas lacked are the schema's defaults."""
    return typed(OmegaConf.create(runs.read_json(directory / runs.CONFIG)), schema)


def same_settings(config: Train) -> Callable[[Path, Mapping[str, object]], bool]:
    """Whether a directory, perhaps of an earlier version, has the settings that decide numbers."""
    wanted = config_hash(config)

    def same(directory: Path, manifest: Mapping[str, object]) -> bool:
        if manifest["config_hash"] == wanted:
            return True
        return config_hash(settings_of(directory, type(config))) == wanted

    return same


def begin(directory: Path, config: Train, entries: Mapping[str, object], **status: object) -> None:
    """Write settings and manifest: `entries` for a new directory, `status` each time.

    A kill between the two files leaves neither a run without settings, nor one that has more
    epochs to train and counts as finished.
    """
    status |= {"config_hash": config_hash(config), **runs.running()}
    resumes = runs.begun(directory)
    if resumes:
        runs.describe(directory, **status)
    runs.write_json(directory / runs.CONFIG, plain(config))
    if not resumes:
        runs.describe(directory, **runs.provenance(), **entries, **status, start=runs.now())
