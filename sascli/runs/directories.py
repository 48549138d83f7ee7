"""Run directories: claim, describe, find."""

import contextlib
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import Any

from sascli.errors import UserError
from sascli.runs import slurm
from sascli.runs.code import code_version
from sascli.runs.files import cannot_write, make, read_json, write_json

FORMAT = 1
MANIFEST, CONFIG = "manifest.json", "config.json"
MULTIRUN = "multirun"  # the folder of the multiruns in the outputs of a command
OLD_KINDS = {  # `kind` in manifests of earlier versions -> the study
    "figures": "credit",
    "figures-use": "use",
    "figures-copi": "copi",
    "figures-temporal": "temporal",
}
Wanted = Callable[[Path, Mapping[str, Any]], bool]
"""Whether a directory, with its manifest, is one that is looked for."""
PACKAGES = ("torch", "torchvision", "numpy", "pandas", "hydra-core", "safetensors")


def claim(parent: Path) -> Path:
    """Make and return the next version directory v001, v002, ... of `parent`.

    mkdir is atomic, so two runs that start in the same instant never share one. Raises UserError
    where nothing can be written.
    """
    make(parent)
    taken = [int(path.name[1:]) for path in parent.glob("v*") if path.name[1:].isdigit()]
    number = max(taken, default=0)
    try:
        while True:
            number += 1
            directory = parent / f"v{number:03d}"
            with contextlib.suppress(FileExistsError):
                directory.mkdir()
                return directory
    except OSError as error:
        raise cannot_write(parent, error) from error


@contextlib.contextmanager
def recorded(directory: Path, resume: str | None = None) -> Iterator[dict[str, Any]]:
    """Write into the manifest how the work ends: finished, with these entries, or an `outcome`.

    If a signal stops it, `resume` is printed: how to resume.
    """
    entries: dict[str, Any] = {}
    try:
        yield entries
    except BaseException as error:
        result = outcome(error)
        with contextlib.suppress(UserError):  # a full disk must not hide the error itself
            describe(directory, **result, end=now())
        if result["status"] != "failed" and resume is not None:
            print(f"stopped; resume with {resume}", flush=True)
        raise
    describe(directory, **entries, status="finished", end=now(), error=None)


def outcome(error: BaseException) -> dict[str, Any]:
    """The status of work that an error stopped: failed (and why), interrupted or preempted."""
    if isinstance(error, Exception):
        message = str(error) if isinstance(error, UserError) else repr(error)
        return {"status": "failed", "error": message}
    return {"status": "preempted" if slurm.preempts(error) else "interrupted", "error": None}


def now() -> str:
    """The time, ISO 8601 with the zone."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def provenance() -> dict[str, Any]:
    """What made a result: command line, code version and package versions."""
    versions = {}
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return {
        "format": FORMAT,
        "command": shlex.join(["sas", *sys.argv[1:]]),
        **code_version(),
        "packages": versions,
        "cores": os.cpu_count(),
    }


def describe(directory: Path, **entries: Any) -> dict[str, Any]:
    """Add entries to the manifest of a directory and return the manifest."""
    path = directory / MANIFEST
    manifest = (read_json(path) if path.exists() else {}) | entries
    write_json(path, manifest)
    return manifest


def running() -> dict[str, Any]:
    """The manifest entries of a directory that this process begins or resumes."""
    return {"status": "running", "end": None, "error": None, "slurm_job": slurm.this_job()}


def begun(directory: Path) -> bool:
    """Whether there is a run; a job that failed before its run began leaves a manifest too."""
    return (directory / MANIFEST).exists() and "config_hash" in manifest_of(directory)


def manifest_of(directory: Path) -> dict[str, Any]:
    """The manifest of a run. Raises UserError when it is of another format version."""
    manifest = read_json(directory / MANIFEST)
    if manifest.get("format") != FORMAT:
        raise UserError(
            f"{directory} has format version {manifest.get('format')}, this sas reads {FORMAT}: "
            "use the sas that wrote it, or run again"
        )
    return manifest


def study_name(manifest: Mapping[str, Any]) -> str | None:
    """The study whose directory a manifest describes; None for another command's directory."""
    return OLD_KINDS.get(manifest.get("kind", ""), manifest.get("study"))


def find(parent: Path, wanted: Wanted, *patterns: str) -> Path | None:
    """The newest `wanted` directory below `parent`, by its start time."""
    matches = []
    globs = (parent.glob(f"{pattern}/{MANIFEST}") for pattern in patterns or ("*",))
    for path in chain.from_iterable(globs):
        with contextlib.suppress(UserError):
            manifest = manifest_of(path.parent)
            if "start" in manifest and wanted(path.parent, manifest):
                matches.append((manifest["start"], path.parent))
    return max(matches)[1] if matches else None


def finished(_: Path, manifest: Mapping[str, Any]) -> bool:
    """Whether the run of a manifest is finished."""
    return manifest.get("status") == "finished"


def of_settings(parent: Path, same: Wanted, checksum: str | None = None) -> Path | None:
    """The newest unfinished run of the `same` settings below `parent`, else the newest finished.

    With the `checksum` of images, none that was begun with others.
    """

    def matches(directory: Path, manifest: Mapping[str, Any]) -> bool:
        images = manifest.get("data", {}).get("checksum") or checksum
        begun = "config_hash" in manifest
        return begun and checksum in (None, images) and same(directory, manifest)

    unfinished = find(parent, lambda *run: not finished(*run) and matches(*run))
    return unfinished or find(parent, matches)


def locate(run: str, outputs: Path, unfinished: bool = False) -> Path:
    """The run directory that a path, a name or `latest` means: the newest finished train run.

    `latest` includes the jobs of multiruns, and a name may end with a version. With `unfinished`,
    a name means its newest unfinished run, if there is one. Raises UserError when there is none.
    """
    if not run:
        raise UserError("run is empty: give a path, a name or `latest`")
    path = Path(run)
    if (path / MANIFEST).exists():
        kind = manifest_of(path).get("kind", "train")
        if kind != "train":
            raise UserError(f"{path} is from `sas {kind}`: give a run of `sas train`")
        return path
    train, directory = outputs / "train", None
    if not path.is_absolute():
        names = ("*/*", f"{MULTIRUN}/*/*") if run == "latest" else (f"{run}/*", run)
        if unfinished:
            directory = find(train, lambda *run: not finished(*run), *names)
        directory = directory or find(train, finished, *names)
    if directory is None:
        raise UserError(
            f"there is no {'' if unfinished else 'finished '}run '{run}' in {train}: give "
            "a path, a run's name or `latest`; `sas train` makes one"
        )
    return directory
