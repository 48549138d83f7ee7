"""Run directories: claim, describe, find."""

import contextlib
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from sascli.errors import UserError
from sascli.runs import slurm
from sascli.runs.code import code_version
from sascli.runs.files import cannot_write, make, read_json, write_json

FORMAT = 1
MANIFEST, CONFIG = "manifest.json", "config.json"
MULTIRUN = "multirun"
"""The folder of a command's outputs in which the directories of its multiruns lie."""
PACKAGES = ("torch", "torchvision", "numpy", "pandas", "hydra-core", "safetensors")


def claim(parent: Path) -> Path:
    """Make and return the next version directory v001, v002, ... of `parent`.

    mkdir is atomic, so two runs that start in the same instant never share one. Raises UserError
    where nothing can be written.
    """
    make(parent)
    try:
        taken = [int(p.name[1:]) for p in parent.glob("v*") if p.name[1:].isdigit()]
        number = max(taken, default=0)
        while True:
            number += 1
            with contextlib.suppress(FileExistsError):
                (parent / f"v{number:03d}").mkdir()
                return parent / f"v{number:03d}"
    except OSError as error:
        raise cannot_write(parent, error) from error


@contextlib.contextmanager
def recorded(directory: Path, go_on: str | None = None) -> Iterator[dict[str, Any]]:
    """Write into the manifest how the work ends: finished, or an `outcome`.

    `go_on` tells how, where a signal stops it. What is put into the dictionary is written with
    a good end.
    """
    found: dict[str, Any] = {}
    try:
        yield found
    except BaseException as error:
        about = outcome(error)
        with contextlib.suppress(UserError):  # on a full disk, say: the error itself is told
            describe(directory, **about, end=now())
        if about["status"] != "failed" and go_on is not None:
            print(f"stopped; go on with {go_on}", flush=True)
        raise
    describe(directory, **found, status="finished", end=now(), error=None)


def outcome(error: BaseException) -> dict[str, Any]:
    """The status of work that was stopped by this: failed (and why), interrupted or preempted."""
    if isinstance(error, UserError):
        return {"status": "failed", "error": str(error)}
    if isinstance(error, Exception):
        return {"status": "failed", "error": repr(error)}
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
    """Add entries to the directory's manifest and return the whole."""
    path = directory / MANIFEST
    manifest = read_json(path) if path.exists() else {}
    manifest |= entries
    write_json(path, manifest)
    return dict(manifest)


def at_work() -> dict[str, Any]:
    """The entries of a directory that this process begins, or goes on with."""
    return {"status": "running", "end": None, "error": None, "slurm_job": slurm.this_job()}


def begun(directory: Path) -> bool:
    """Whether there is a run; a job that failed before its run began leaves a manifest too."""
    path = directory / MANIFEST
    return path.exists() and "config_hash" in manifest_of(directory)


def manifest_of(directory: Path) -> dict[str, Any]:
    """The manifest of a run. Raises UserError when it is of another format version."""
    manifest = read_json(directory / MANIFEST)
    if manifest.get("format") != FORMAT:
        raise UserError(
            f"{directory} has format version {manifest.get('format')}, this sas reads {FORMAT}: "
            "use the sas that wrote it, or run again"
        )
    return dict(manifest)


def find(parent: Path, wanted: Callable[[Mapping[str, Any]], bool], *patterns: str) -> Path | None:
    """The newest directory below `parent` whose manifest is as wanted, by its start time."""
    found = []
    for path in (path for own in patterns or ("*",) for path in parent.glob(f"{own}/{MANIFEST}")):
        with contextlib.suppress(UserError):
            manifest = manifest_of(path.parent)
            if wanted(manifest):
                found.append((manifest["start"], str(path.parent)))
    return Path(max(found)[1]) if found else None


def of_settings(parent: Path, config_hash: str, checksum: str | None = None) -> Path | None:
    """The newest unfinished run of these settings below `parent`, else the newest finished one.

    With the `checksum` of images, none that was begun with others.
    """

    def same(manifest: Mapping[str, Any]) -> bool:
        data = manifest.get("data", {}).get("checksum")
        other = checksum is not None and data not in (None, checksum)
        return manifest.get("config_hash") == config_hash and not other

    unfinished = find(parent, lambda own: same(own) and own.get("status") != "finished")
    return unfinished or find(parent, same)


def locate(run: str, outputs: Path, unfinished: bool = False) -> Path:
    """The run directory that a path, a name or `latest` means: the newest finished train run.

    `latest` sees the jobs of multiruns too, and a name may end with a version. With `unfinished`,
    a name means its newest run that is not finished, if there is one. Raises UserError when there
    is none.
    """
    if not run:
        raise UserError("a run is to be named, but there is only an empty text")
    path = Path(run)
    if (path / MANIFEST).exists():
        kind = manifest_of(path).get("kind", "train")
        if kind != "train":
            raise UserError(f"{path} is of `sas {kind}`; what is needed is a run of `sas train`")
        return path
    train, found = outputs / "train", None
    if not path.is_absolute():
        names = ("*/*", f"{MULTIRUN}/*/*") if run == "latest" else (f"{run}/*", run)
        if unfinished:
            found = find(train, lambda own: own.get("status") != "finished", *names)
        found = found or find(train, lambda own: own.get("status") == "finished", *names)
    if found is None:
        raise UserError(
            f"there is no {'' if unfinished else 'finished '}run '{run}' in {train}: name "
            "a path, a run's name or latest; `sas train` makes one"
        )
    return found
