"""Locks of directories by flock, which is never stale: one writer at a time."""

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
WORKERS = ".workers"
"""The lock that all workers of a directory share as long as they work."""
PATIENCE = 0.5  # seconds to wait for a lock: `busy` holds it for a moment


class BusyError(UserError):
    """Another process writes to the directory."""


@contextlib.contextmanager
def lock(
    directory: Path, patience: float = PATIENCE, *, name: str = LOCK, shared: bool = False
) -> Iterator[None]:
    """Keep a second writer out of a run directory; a `shared` lock admits other shared ones.

    Raises BusyError if another process still holds the lock after `patience` seconds.
    """
    try:
        descriptor = os.open(directory / name, os.O_CREAT | os.O_RDWR)
    except OSError as error:
        raise cannot_write(directory, error) from error
    try:
        end = time.monotonic() + patience
        while not _locked(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX):
            if time.monotonic() > end:
                raise BusyError(f"another process is writing to {directory}")
            time.sleep(PATIENCE / 20)
        yield
    finally:
        os.close(descriptor)


def busy(directory: Path, name: str = LOCK, *, shared: bool = False) -> bool:
    """Whether a process is writing to a run directory, or has a `shared` lock; False without."""
    # NFS gives an exclusive lock, which a shared one excludes, to writers alone
    for mode in (os.O_RDWR, os.O_RDONLY) if shared else (os.O_RDONLY,):
        with contextlib.suppress(OSError):
            descriptor = os.open(directory / name, mode)
            break
    else:
        return False
    try:
        return not _locked(descriptor, fcntl.LOCK_EX if shared else fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _locked(descriptor: int, kind: int) -> bool:
    """Try to lock; whether it succeeded. It always does where the file system has no locks."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        _warn_of_no_locks(error.strerror)
    return True


@functools.cache
def _warn_of_no_locks(reason: str) -> None:
    """Print the warning once per reason."""
    print(
        f"warning: this file system has no locks ({reason}): a second process could write to the "
        "same run",
        file=sys.stderr,
    )
