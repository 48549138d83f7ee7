"""Locks of directories: one writer at a time, as far as the file system tells."""

import contextlib
import fcntl
import functools
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from sascli.errors import UserError
from sascli.runs.files import cannot_write

LOCK = ".lock"
PATIENCE = 0.5
"""Seconds for which a lock is tried: `busy` holds it for a moment."""


class BusyError(UserError):
    """Another process writes to the directory."""


@contextlib.contextmanager
def lock(directory: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Keep a second writer out of a run directory.

    Raises BusyError if one is in it and stays there for so many seconds.
    """
    try:
        descriptor = os.open(directory / LOCK, os.O_CREAT | os.O_RDWR)
    except OSError as error:
        raise cannot_write(directory, error) from error
    try:
        until = time.monotonic() + patience
        while not _locked(descriptor, fcntl.LOCK_EX):
            if time.monotonic() > until:
                raise BusyError(f"another process is writing to {directory}")
            time.sleep(PATIENCE / 20)
        yield
    finally:
        os.close(descriptor)


def busy(directory: Path) -> bool:
    """Whether a process is writing to a run directory, as far as its file system tells."""
    try:
        descriptor = os.open(directory / LOCK, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _locked(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _locked(descriptor: int, kind: int) -> bool:
    """Whether a lock was to be had; where the file system has none, it always is."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        _warn_of_no_locks(error.strerror)
    return True


@functools.cache
def _warn_of_no_locks(why: str) -> None:
    """Say it, once."""
    print(
        f"warning: this file system has no locks ({why}): nothing keeps a second process from "
        "writing to a run",
        file=sys.stderr,
    )
