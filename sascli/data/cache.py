"""Arrays kept on disk, so that images are decoded once."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sascli import runs
from sascli.errors import UserError

FOLDER = ".sas-cache"


def cached(
    key: str, make: Callable[[], NDArray[np.uint8]], beside: Path | None = None
) -> NDArray[np.uint8]:
    """The array of a key: read, or made and written for the next time.

    Args:
        key: Names the file; it must change whenever the array would.
        make: Makes the array.
        beside: The data's folder, whose subfolder .sas-cache holds the file. Where that cannot be
            written, or `beside` is None, the user's cache folder does: $XDG_CACHE_HOME/sas, by
            default ~/.cache/sas. Where neither can, nothing is kept.
    """
    files = [folder / f"{key}.npy" for folder in _folders(beside)]
    for path in files:
        with contextlib.suppress(OSError, ValueError, EOFError):  # absent, or damaged
            return np.asarray(np.load(path, allow_pickle=False), dtype=np.uint8)
    array = make()
    for path in files:
        with contextlib.suppress(UserError):  # read-only, or a full disk
            runs.make(path.parent)
            with runs.replacing(path) as file:
                np.save(file, array, allow_pickle=False)
            break
    return array


def _folders(beside: Path | None) -> Iterator[Path]:
    """Where files may be, the first choice first."""
    if beside is not None:
        yield beside / FOLDER
    with contextlib.suppress(RuntimeError):  # no home
        root = os.environ.get("XDG_CACHE_HOME")
        yield (Path(root) if root else Path.home() / ".cache") / "sas"
