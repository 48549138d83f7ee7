"""Tables made once: one that exists is kept, one that takes long is measured piece by piece."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from sascli import runs
from sascli.measure.record import Results, write

PIECES = "pieces"
Measurement = Callable[[], pd.DataFrame] | Callable[[], Results]
Pieces = Mapping[str, Measurement]
"""The function that measures each piece of a table, by the name of the piece's file."""


def once(directory: Path, name: str, work: Measurement | Pieces) -> None:
    """Write what `work` measures, NAME.csv last, unless that exists; remove its pieces."""
    if not (directory / f"{name}.csv").exists():
        print(f"{name} in {directory}", flush=True)
        if isinstance(work, Mapping):
            table = measured(directory, name, work)
        else:
            table = table_of(name, work(), directory)
        runs.write_table(directory / f"{name}.csv", table)
    shutil.rmtree(directory / PIECES / name, ignore_errors=True)
    if (directory / PIECES).is_dir() and not any((directory / PIECES).iterdir()):
        (directory / PIECES).rmdir()


def measured(directory: Path, name: str, pieces: Pieces) -> pd.DataFrame:
    """The table of all pieces in their order; those on disk are not measured again.

    A kill loses one piece. Every piece is read back from its file, also one that was just
    measured, so that a table does not depend on where it was interrupted.
    """
    folder = directory / PIECES / name
    runs.make(folder)
    tables = []
    for number, (piece, measure) in enumerate(pieces.items(), 1):
        path = folder / f"{piece}.csv"
        if not path.exists():
            print(f"{name}: {piece}, {number} of {len(pieces)}", flush=True)
            runs.write_table(path, table_of(name, measure(), directory))
        tables.append(runs.read_table(path))
    return pd.concat(tables, ignore_index=True)


def table_of(name: str, made: pd.DataFrame | Results, directory: Path) -> pd.DataFrame:
    """The table `name` of what was measured; other results are written into the directory."""
    if isinstance(made, pd.DataFrame):
        return made
    others = dict(made)
    table = others.pop(name)
    assert isinstance(table, pd.DataFrame)
    write(directory, others)
    return table
