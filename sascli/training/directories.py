"""Directories of training: resumed, or begun."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import OmegaConf

from sascli import runs
from sascli.config import Train, config_hash, decisive, plain, typed
from sascli.config.describe import leaves
from sascli.config.settings import shown
from sascli.data import Data
from sascli.errors import UserError

Schema = TypeVar("Schema")
RESUME = "the same command and resume=true"
"""How a directory of many runs is resumed."""


def resumed(parent: Path, config: Train, images: Callable[[], Data]) -> Path | None:
    """The directory that `resume` means, None for a new one. Raises UserError if it is missing.

    `images` loads those of the settings.
    """
    if isinstance(config.resume, str):
        return runs.locate(config.resume, Path(config.outputs), unfinished=True)
    return runs.of_settings(parent, same_settings(config, images)) if config.resume else None


def settings_of(directory: Path, schema: type[Schema]) -> Schema:
    """The settings of a run; those that its version of sas lacked are the schema's defaults."""
    return typed(OmegaConf.create(runs.read_json(directory / runs.CONFIG)), schema)


def changes(before: Train, after: Train) -> dict[str, str]:
    """The settings that decide numbers and differ, each as `key old → new`, by key.

    A larger `epochs` is none of them.
    """
    old, new = (dict(leaves(decisive(plain(config)))) for config in (before, after))
    grown = after.epochs > before.epochs
    return {
        key: f"{key} {shown(old.get(key))} → {shown(new.get(key))}"
        for key in sorted(old | new)
        if old.get(key) != new.get(key) and not (key == "epochs" and grown)
    }


def different(directory: Path, changes: Mapping[str, str]) -> UserError:
    """The error for a run that cannot be resumed with the settings that were asked for."""
    return UserError(
        f"{directory} was run with different settings: {', '.join(changes.values())}; "
        "only epochs may grow"
    )


def same_settings(
    config: Train, images: Callable[[], Data] | None = None
) -> Callable[[Path, Mapping[str, Any]], bool]:
    """Whether a directory, perhaps of an earlier version, has the settings that decide numbers.

    With `images`, which loads those of the settings, it must have the same images, too.
    """
    wanted, before = config_hash(config), partial(settings_of, schema=type(config))

    @cache
    def checksum() -> str | None:
        return images().checksum if images else None

    def same(directory: Path, manifest: Mapping[str, Any]) -> bool:
        if manifest["config_hash"] != wanted and config_hash(before(directory)) != wanted:
            return False
        if images is None:
            return True
        if (recorded := manifest.get("data", {}).get("checksum")) is None:  # an earlier version
            return bool(before(directory).data.root == config.data.root)
        return bool(recorded == checksum())

    return same


def begin(directory: Path, config: Train, entries: Mapping[str, object], **status: object) -> None:
    """Write settings and manifest: `entries` for a new directory, `status` each time.

    A kill between the two files leaves neither a run without settings, nor one that has more
    epochs to train and counts as finished.
    """
    status |= {"config_hash": config_hash(config), **runs.running()}
    resumes = runs.begun(directory)
    if resumes:
        resumed_by = runs.continued_by(runs.manifest_of(directory))
        runs.describe(directory, **status, resumed_by=resumed_by)
    runs.write_json(directory / runs.CONFIG, plain(config))
    if not resumes:
        status |= {"start": runs.now(), "resumed_by": []}
        runs.describe(directory, **runs.provenance(), **entries, **status)
