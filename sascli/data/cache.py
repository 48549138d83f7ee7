"""Arrays cached on disk, so that images are decoded once."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sascli import runs
from sascli.errors import UserError

FOLDER = ".sas-cache"


def cached(
    key: str, make: Callable[[], NDArray[np.uint8]], data: Path | None = None
) -> NDArray[np.uint8]:
    """The array of a key: read from the cache, or made and written to it.

    Args:
        key: The name of the file, which has to change whenever the array does.
        data: The data's folder; the file is written to its subfolder .sas-cache. If that cannot
            be written, or `data` is None, the user's cache folder is used: $XDG_CACHE_HOME/sas,
            by default ~/.cache/sas. If neither can be written, nothing is cached.
    """
    folders = [] if data is None else [data / FOLDER]
    with contextlib.suppress(RuntimeError):  # no home
        root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folders.append(Path(root) / "sas")
    files = [folder / f"{key}.npy" for folder in folders]
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
