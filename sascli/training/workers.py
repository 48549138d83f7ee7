"""Workers: processes of the same settings, on any machines, that share one directory's work."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from sascli import runs

PATIENCE = 60.0
"""Seconds for which a worker waits while another claims the directory."""


def share(
    parent: Path,
    same: Callable[[Path, Mapping[str, object]], bool],
    start: Callable[[Path], None],
    train: Callable[[Path], object],
    finish: Callable[[Path], None],
    checksum: str | None = None,
) -> Path:
    """Train what no other worker trains; the first worker that is done finishes the directory.

    The first worker also claims and starts it. Workers share a directory of the `same`
    settings and, if given, the same `checksum` of images. Raises BusyError if another
    worker holds `parent` for a minute.
    """
    runs.make(parent)
    with ExitStack() as working:
        with runs.lock(parent, patience=PATIENCE):
            directory = runs.of_settings(parent, same, checksum) or runs.claim(parent)
            if not runs.begun(directory):
                start(directory)
            # between two points no lock of a run shows that this process is there
            working.enter_context(runs.lock(directory, name=runs.WORKERS, shared=True))
        before = runs.manifest_of(directory)["status"]
        train(directory)
        if before != "finished" and runs.manifest_of(directory)["status"] == "finished":
            print(f"another worker has finished {directory}")
            return directory
        try:
            finish(directory)
        except runs.BusyError:
            print(f"another worker is finishing {directory}")
        return directory
