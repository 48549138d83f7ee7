"""Workers: processes of the same settings, on any machines, that share one directory's work."""

from collections.abc import Callable
from pathlib import Path

from sascli import runs

PATIENCE = 60.0
"""Seconds for which a worker waits while another claims the directory."""


def share(
    parent: Path,
    config_hash: str,
    begin: Callable[[Path], None],
    train: Callable[[Path], object],
    finish: Callable[[Path], None],
    checksum: str | None = None,
) -> Path:
    """Train what no other worker trains; the one that is done first finishes the directory.

    The first of all claims and begins it; with a `checksum` all have the same images. Raises
    BusyError where claiming takes a minute.
    """
    runs.make(parent)
    with runs.lock(parent, patience=PATIENCE):
        directory = runs.of_settings(parent, config_hash, checksum) or runs.claim(parent)
        if not runs.begun(directory):
            begin(directory)
    before = runs.manifest_of(directory)["status"]
    train(directory)
    if before != "finished" and runs.manifest_of(directory)["status"] == "finished":
        print(f"another worker has finished {directory}")
        return directory
    try:
        finish(directory)
    except runs.BusyError:
        print(f"another worker finishes {directory}")
    return directory
