"""Run directories: claim, describe, find."""

import contextlib
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import Any

from sascli import output
from sascli.config import decisive
from sascli.config.describe import leaves
from sascli.config.paths import exists
from sascli.config.settings import shown
from sascli.errors import UserError
from sascli.runs import slurm
from sascli.runs.code import code_version
from sascli.runs.files import cannot_write, make, read_json, write_json
from sascli.runs.locks import busy

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
NO_NUMBERS = ("name", "checkpoint_every")
"""Settings of a run that change none of its numbers."""
SHOWN = 5
"""Versions that an error lists at most."""
PACKAGES = (
    *("torch", "torchvision", "pillow", "numpy", "numba", "scipy", "scikit-learn"),
    *("pandas", "hydra-core", "safetensors"),
)


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
    entries |= {"status": "finished", "end": now(), "error": None}
    if texts := output.lost():
        entries["warnings"] = [*manifest_of(directory).get("warnings", []), *texts]
    describe(directory, **entries)


def outcome(error: BaseException) -> dict[str, Any]:
    """The status of work that an error stopped: failed (and why), interrupted or preempted."""
    if isinstance(error, Exception):
        message = str(error) if isinstance(error, UserError) else repr(error)
        return {"status": "failed", "error": message}
    return {"status": "preempted" if slurm.preempts(error) else "interrupted", "error": None}


def now() -> str:
    """The time, ISO 8601 with the zone."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def moment(start: object) -> datetime:
    """A time as of `now`, comparable with those of other zones; the oldest if it is none."""
    try:
        return datetime.fromisoformat(str(start)).astimezone(UTC)
    except (ValueError, OverflowError):
        return datetime.min.replace(tzinfo=UTC)


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


def warn(directory: Path, *texts: str) -> None:
    """Print warnings, and add those that are new to the manifest of a directory."""
    before = manifest_of(directory).get("warnings", [])
    for text in texts:
        print(f"warning: {text}", flush=True)
    if new := [text for text in dict.fromkeys(texts) if text not in before]:
        describe(directory, warnings=[*before, *new])


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
    directories = versions(parent, *patterns, wanted=wanted)
    return directories[0][0] if directories else None


def versions(
    parent: Path, *patterns: str, wanted: Wanted = lambda *_: True
) -> list[tuple[Path, dict[str, Any]]]:
    """The `wanted` directories below `parent` with their manifests, newest first.

    Warns of those that cannot be read.
    """
    if not exists(parent):
        return []
    matches = []
    globs = (parent.glob(f"{pattern}/{MANIFEST}") for pattern in patterns or ("*",))
    for path in chain.from_iterable(globs):
        try:
            manifest = manifest_of(path.parent)
            if "start" in manifest and wanted(path.parent, manifest):
                matches.append((moment(manifest["start"]), path.parent, manifest))
        except UserError as error:
            if path.exists():  # else it has just been deleted
                _warn_of_unreadable(str(error))
    matches.sort(key=lambda match: match[:2], reverse=True)
    return [(directory, manifest) for _, directory, manifest in matches]


@cache
def _warn_of_unreadable(reason: str) -> None:
    """Print the warning once per reason."""
    print(f"warning: {reason}; it is left out", file=sys.stderr)


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

    `latest` includes the jobs of multiruns; a path or a name may end with a version or without.
    With `unfinished`, a run need not be finished, and a name means its newest unfinished run, if
    there is one. Raises UserError when there is none, when the run is not finished, and for a
    name whose finished versions have different settings.
    """
    if not run:
        raise UserError("run is empty: give a path, a name or `latest`")
    train, path = outputs / "train", Path(run)
    places = [path, train / path]  # the same for an absolute path
    for directory in places:
        if exists(directory / MANIFEST):
            return _checked(directory, unfinished)
    if run == "latest" and unfinished:
        raise UserError("resume=latest: write resume=true for the newest unfinished run")
    if run == "latest":
        latest = find(train, finished, "*/*", f"{MULTIRUN}/*/*")
        directories = [latest] if latest else []
    else:
        found = next(filter(None, map(versions, places)), [])
        directories = [directory for directory, manifest in found if finished(directory, manifest)]
        left = [directory for directory, _ in found if directory not in directories]
        if left and (unfinished or not directories):
            return _checked(left[0], unfinished)
        if not unfinished and (texts := differences(directories)):
            raise UserError(
                f"the finished versions of '{run}' have different settings: "
                f"{', '.join(texts[:SHOWN])}{', ...' * (len(texts) > SHOWN)}: give a version, for "
                f"example run={path / directories[0].name}"
            )
    if not directories:
        raise UserError(
            f"there is no {'' if unfinished else 'finished '}run '{run}' in {train}: give "
            "a path, a run's name or `latest`; `sas train` makes one"
        )
    return _checked(directories[0], unfinished)


def _checked(directory: Path, unfinished: bool) -> Path:
    """The directory. Raises UserError unless it is of a finished run, or `unfinished` is true."""
    manifest = manifest_of(directory)
    kind, status = manifest.get("kind", "train"), manifest.get("status")
    if kind != "train":
        raise UserError(f"{directory} is from `sas {kind}`: give a run of `sas train`")
    if unfinished or status == "finished":
        return directory
    if status == "failed":
        raise UserError(f"{directory} has failed, give a finished run: {manifest.get('error')}")
    if status == "running":
        status = "running" if busy(directory) else "killed"
    command = shlex.join(("sas", "train", f"resume={directory}"))
    text = "wait for it" if status == "running" else f"`{command}` continues it"
    raise UserError(f"{directory} is not finished ({status}): {text}")


def differences(directories: Sequence[Path]) -> list[str]:
    """Each directory with those of its settings in which they differ; none if all are the same.

    Settings that the version of sas of one of them lacked are left out.
    """
    if len(directories) < 2:
        return []
    settings = [dict(leaves(decisive(read_json(path / CONFIG)))) for path in directories]
    shared = set.intersection(*map(set, settings))
    keys = [
        key for key in sorted(shared - set(NO_NUMBERS))
        if any(other[key] != settings[0][key] for other in settings)
    ]  # fmt: skip
    return [
        f"{path.name} ({' '.join(f'{key}={shown(values[key])}' for key in keys)})"
        for path, values in zip(directories, settings, strict=True)
        if keys
    ]
