"""The tables and the reference point of a directory, and the command that makes them."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from sascli import runs
from sascli.errors import UserError


def read_tables(directory: Path, names: Iterable[str] | None = None) -> dict[str, pd.DataFrame]:
    """The named tables of a directory, by default every table in it.

    Raises UserError when one is missing or damaged, with the command that makes it.
    """
    if names is None:
        names = sorted(path.stem for path in directory.glob("*.csv"))
    try:
        return {name: runs.read_table(directory / f"{name}.csv") for name in names}
    except UserError as error:
        raise with_maker(error, runs.manifest_of(directory)) from error


def reference_of(directory: Path) -> dict[str, int]:
    """The point at which the figures of a directory are drawn.

    Raises UserError for a directory that has none, for example that of a single run.
    """
    manifest = runs.manifest_of(directory)
    if "reference" not in manifest:
        raise UserError(
            f"{directory} was made by `sas {manifest['kind']}`: figures and claims need one of "
            "`sas reproduce` or `sas sweep-datasize`"
        )
    return dict(manifest["reference"])


def with_maker(error: UserError, manifest: Mapping[str, Any]) -> UserError:
    """The error with the command that makes the missing tables of a directory."""
    command = str(manifest["command"])
    if manifest.get("kind") == "sweep-datasize":
        command = f"sas reproduce credit model={manifest['model']}"
    elif study := runs.study_name(manifest):
        command = f"sas reproduce {study} model={manifest['model']} preset={manifest['preset']}"
    return UserError(f"{error}; `{command}` makes it")
