"""The status of a job, from its manifest, its lock, and SLURM."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sascli import runs
from sascli.errors import UserError

ACTIVE = ("running", "waiting")


@dataclass(frozen=True)
class Status:
    """A job's name, its status (finished, failed, running, waiting, missing ...), its error."""

    name: str
    status: str
    error: str | None = None


def status_of(directory: Path, manifest: Mapping[str, object], queued: Mapping[str, str]) -> str:
    """The status in a manifest; `killed` where it is `running` but no process has its lock.

    `queued` holds the states of SLURM jobs, for runs on machines whose locks are not visible here.
    """
    status = str(manifest.get("status"))
    if status != "running" or manifest.get("slurm_job") in queued:
        return status
    locked = any(map(runs.busy, [directory, *directory.glob("runs/*")]))
    shared = runs.busy(directory, runs.WORKERS, shared=True)
    return "running" if locked or shared else "killed"


def read(directory: Path, queued: Mapping[str, str]) -> tuple[Status, dict[str, Any]]:
    """The status of the job in a directory, and its manifest, empty if it is not readable."""
    try:
        manifest = runs.manifest_of(directory)
        status = status_of(directory, manifest, queued)
        return Status(directory.name, status, manifest.get("error")), manifest
    except UserError as error:
        if (directory / runs.MANIFEST).exists():
            return Status(directory.name, "damaged", str(error)), {}
        return Status(directory.name, "missing"), {}
