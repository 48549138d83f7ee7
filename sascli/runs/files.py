"""Files that are written completely or not at all: JSON and tables."""

import contextlib
import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import pandas as pd

from sascli.errors import UserError

TEXTS = {"class": str, "predicted": str}
"""Columns of names that pandas may mistake for other values: a class may be called 01 or None."""
REPLICA = (
    "job", "run", "setting", "model", "rule", "depth", "train_size", "point", "lr", "decay",
    "replica", "seed",
)  # fmt: skip
"""The columns that distinguish replicas; a table has some of them."""


def make(directory: Path) -> None:
    """Make a directory unless it exists. Raises UserError."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(directory, error) from error


def cannot_write(path: Path, error: OSError) -> UserError:
    """The error for a full disk, a read-only folder and the like."""
    return UserError(f"cannot write to {path}: {error.strerror}")


@contextlib.contextmanager
def replacing(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a temporary file that replaces `path` once it is complete and on disk.

    A kill at any moment leaves the last good file. Raises UserError where it cannot be written.
    """
    try:
        with tempfile.NamedTemporaryFile(
            mode, dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                os.chmod(file.name, 0o644)
                os.replace(file.name, path)
            finally:
                Path(file.name).unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object, replacing `path` atomically."""
    with replacing(path, "w") as file:
        json.dump(content, file, indent=1)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises UserError when it is missing or damaged."""
    try:
        content = json.loads(path.read_text())
        if not isinstance(content, dict):
            raise ValueError("it is no JSON object")
        return content
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist") from error
    except (ValueError, OSError) as error:
        raise UserError(f"{path} is damaged: {error}") from error


def in_bytes(count: float) -> str:
    """A number of bytes in its largest unit."""
    units = ("B", "kB", "MB", "GB", "TB", "PB")
    power = min(int(math.log10(max(count, 1))) // 3, len(units) - 1)
    return f"{count / 1000**power:.3g} {units[power]}"


def write_table(
    path: Path, table: pd.DataFrame, by_replica: Mapping[str, Sequence[float]] | None = None
) -> None:
    """Write a tidy table as CSV, replacing `path` atomically; by_replica: further columns."""
    with replacing(path, "w") as file:
        add_replica_columns(table, by_replica or {}).to_csv(file, index=False)


def add_replica_columns(
    table: pd.DataFrame, by_replica: Mapping[str, Sequence[float]]
) -> pd.DataFrame:
    """The table with further columns, which have a value per replica."""
    for name, values in by_replica.items():
        table = table.assign(**{name: table["replica"].map(dict(enumerate(values)))})
    return table


def read_table(path: Path) -> pd.DataFrame:
    """Read a table. Raises UserError when it is missing, empty or cut off."""
    try:
        text = path.read_bytes()
        table = pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=TEXTS)
    except FileNotFoundError as error:
        raise UserError(f"there is no table {path}") from error
    except (ValueError, OSError) as error:
        raise UserError(f"{path} is damaged: {error}") from error
    if not text.endswith(b"\n"):
        raise UserError(f"{path} is cut off in its last line")
    return table


def rows(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """A table with a row per record."""
    return pd.DataFrame.from_records(list(records))


def select(tables: Mapping[str, pd.DataFrame], name: str, **keys: str | int) -> pd.DataFrame:
    """The rows of table `name` whose columns have these values.

    Raises UserError when there are none.
    """
    if name not in tables:
        raise UserError(f"there is no {name}.csv")
    table = tables[name]
    for column, value in keys.items():
        if column not in table:
            raise UserError(f"{name}.csv has no column {column}")
        table = table[table[column] == value]
    if table.empty:
        condition = ", ".join(f"{column}={value}" for column, value in keys.items())
        raise UserError(f"{name}.csv has no rows with {condition}")
    return table


def rate_names(table: pd.DataFrame) -> "pd.Series[str]":
    """For each row the rates that differ between replicas, as "lr 0.1, decay 0"; "" for none."""
    names = pd.Series("", table.index)
    for column in ("lr", "decay"):
        if column in table and table[column].nunique() > 1:
            texts = table[column].map(f", {column} {{:g}}".format)
            names += texts.where(table[column].notna(), "")
    return names.str.removeprefix(", ")


def replica_keys(history: pd.DataFrame) -> list[str]:
    """The columns of a table that distinguish its replicas."""
    return [name for name in REPLICA if name in history]


def last_epochs(history: pd.DataFrame, count: int = 1) -> pd.DataFrame:
    """The rows of the last `count` epochs of each replica."""
    groups = history.groupby(replica_keys(history), dropna=False)
    return history[history["epoch"] > groups["epoch"].transform("max") - count]
