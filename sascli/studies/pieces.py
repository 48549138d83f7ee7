"""Tables that take long to measure, kept piece by piece so that a kill loses one piece."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from sascli import runs

PIECES = "pieces"
Pieces = Mapping[str, Callable[[], pd.DataFrame]]
"""What measures each piece of a table, by names that can be names of files."""


def measured(directory: Path, name: str, pieces: Pieces) -> pd.DataFrame:
    """The table of all pieces in their order; those on disk are not measured again.

    Every piece is read back from its file, also one that was just measured, so that a table does
    not depend on where it was interrupted.
    """
    folder = directory / PIECES / name
    runs.make(folder)
    parts = []
    for number, (piece, measure) in enumerate(pieces.items(), 1):
        path = folder / f"{piece}.csv"
        if not path.exists():
            print(f"{name}: {piece}, {number} of {len(pieces)}", flush=True)
            runs.write_table(path, measure())
        parts.append(runs.read_table(path))
    return pd.concat(parts, ignore_index=True)


def remove(directory: Path, name: str) -> None:
    """Remove the pieces of a table that is written."""
    shutil.rmtree(directory / PIECES / name, ignore_errors=True)
    if (directory / PIECES).is_dir() and not any((directory / PIECES).iterdir()):
        (directory / PIECES).rmdir()
