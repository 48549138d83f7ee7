"""How a job of a multirun ends, written to its manifest."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from sascli import runs
from sascli.errors import UserError


@contextmanager
def recorded(directory: Path, command: str, version: Mapping[str, object]) -> Iterator[None]:
    """Record how a job ends, and whether the code is that of the submission.

    Nothing is written where another process has the job.
    """
    now = runs.code_version()
    entries: dict[str, object] = {"submitted": dict(version), "code_differs": now != version}
    start = runs.now()
    try:
        yield
    except runs.BusyError:
        raise
    except BaseException as error:
        _describe(directory, command, start, entries | runs.outcome(error))
        raise
    _describe(directory, command, start, entries | {"status": "finished", "error": None})


def _describe(directory: Path, command: str, start: str, entries: Mapping[str, object]) -> None:
    """Add entries to the manifest of a job, or create it."""
    with suppress(UserError), runs.lock(directory):
        exists = (directory / runs.MANIFEST).exists()
        first = {} if exists else {**runs.provenance(), "kind": command, "start": start}
        runs.describe(directory, **first, **entries, end=runs.now())
