"""Arrays cached on disk, so that images are decoded once."""

import contextlib
import os
from collections.abc import Callable
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sascli import runs
from sascli.errors import UserError

FOLDER = ".sas-cache"
SIZE = sha256().digest_size


def cached(
    key: str, make: Callable[[], NDArray[np.uint8]], data: Path | None = None
) -> NDArray[np.uint8]:
    """The array of a key: read from the cache, or made and written to it.

    A file is NumPy's and the SHA-256 of that; one that is damaged is made again.

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
        with contextlib.suppress(OSError):  # absent
            content = memoryview(path.read_bytes())
            if sha256(content[:-SIZE]).digest() == content[-SIZE:]:
                return np.asarray(np.load(BytesIO(content[:-SIZE])), dtype=np.uint8)
    array, buffer = make(), BytesIO()
    np.save(buffer, array)
    for path in files:
        with contextlib.suppress(UserError):  # read-only, or a full disk
            runs.make(path.parent)
            with runs.replacing(path) as file:
                file.write(buffer.getbuffer())
                file.write(sha256(buffer.getbuffer()).digest())
            break
    return array
