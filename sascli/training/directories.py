"""Directories of training: claimed or resumed, and begun."""

from collections.abc import Mapping
from pathlib import Path

from sascli import runs
from sascli.config import Train, config_hash, plain

RESUME = "the same command and resume=true"
"""How a directory of many runs is resumed."""


def resume_or_claim(parent: Path, config: Train) -> Path:
    """With `resume=true` the newest directory of these settings, else a new version."""
    resumed = runs.of_settings(parent, config_hash(config)) if config.resume else None
    return resumed or runs.claim(parent)


def begin(directory: Path, config: Train, entries: Mapping[str, object], **status: object) -> None:
    """Write settings and manifest: `entries` for a new directory, `status` each time.

    A kill between the two files leaves neither a run without settings, nor one that has more
    epochs to train and counts as finished.
    """
    status |= {"config_hash": config_hash(config), **runs.at_work()}
    resumes = runs.begun(directory)
    if resumes:
        runs.describe(directory, **status)
    runs.write_json(directory / runs.CONFIG, plain(config))
    if not resumes:
        runs.describe(directory, **runs.provenance(), **entries, **status, start=runs.now())
