"""Old versions of run directories: listed, and deleted once that is confirmed."""

import re
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sascli import runs
from sascli.config import Clean
from sascli.errors import UserError
from sascli.jobs import listing

FINISHED = ("finished", "outdated")
STOPPED = ("failed", "interrupted", "preempted", "killed")


@dataclass(frozen=True)
class Version:
    """A version of a run directory that no process writes to."""

    start: datetime
    path: Path
    status: str
    manifest: Mapping[str, Any]


def clean(config: Clean, _job: Path | None = None) -> None:
    """`sas clean`: print old versions and their sizes; delete them if `confirm` is true."""
    outputs = Path(config.outputs)
    versions, used, total = stopped_versions(outputs), references(outputs), 0
    old = old_versions(versions, config.same)
    for path in (path for path in old if config.match is None or config.match in str(path)):
        if user := user_of(path.resolve(), used):
            print(f"kept     {path}, to which {user} refers")
            continue
        total += (size := size_of(path))
        if config.confirm:
            delete(path)
        print(f"{'deleted ' if config.confirm else 'old     '} {path}, {runs.in_bytes(size)}")
    advice = ": add confirm=true to delete what is old" if total else ""
    freed = runs.in_bytes(total)
    print(f"{freed} freed" if config.confirm else f"{freed} would be freed{advice}")
    if more := len(old_versions(versions, same=False)) - len(old):
        print(f"{more} older versions have other settings: add same=false to list them too")


def stopped_versions(outputs: Path) -> list[Version]:
    """The versions below `outputs` that no process writes to, those of multiruns aside."""
    versions = []
    for row in listing.listing(outputs).to_dict("records"):
        path, status = Path(row["directory"]), row["status"]
        if not re.fullmatch(r"v\d+", path.name) or path.parent.name == runs.MULTIRUN:
            continue
        with suppress(UserError):  # damaged, of another format, or just deleted
            manifest = runs.manifest_of(path)
            elsewhere = status == "killed" and manifest.get("slurm_job")  # perhaps it still runs
            if status in (*FINISHED, *STOPPED) and not elsewhere:
                versions.append(Version(runs.moment(row["start"]), path, status, manifest))
    return versions


def old_versions(versions: Iterable[Version], same: bool) -> list[Path]:
    """The versions older than a finished one, with `same` one that repeats them."""
    groups = defaultdict[object, list[Version]](list)
    for version in versions:
        groups[version.path.parent, identity(version.manifest) if same else None].append(version)
    old = list[Path]()
    for group in groups.values():
        finished = [(v.start, v.path) for v in group if v.status in FINISHED]
        old += [v.path for v in group if finished and (v.start, v.path) < max(finished)]
    return sorted(old)


def identity(manifest: Mapping[str, Any]) -> tuple[object, ...]:
    """What two versions have in common that repeat each other."""
    images = manifest.get("data", {}).get("checksum")
    return manifest.get("config_hash"), images, manifest.get("run"), manifest.get("weights")


def references(outputs: Path) -> dict[Path, Path]:
    """Directories to which others refer, with one of these: a run, or the folder of a name."""
    used = {}
    for directory in listing.directories(outputs):
        with suppress(UserError):
            for path in referred(directory, outputs):
                used[path.resolve()] = directory
    return used


def user_of(version: Path, used: Mapping[Path, Path]) -> Path | None:
    """A directory outside a version that refers to it, to a run in it or to all versions."""
    return next(
        (
            user
            for path, user in used.items()
            if (path == version.parent or path.is_relative_to(version))
            and not user.resolve().is_relative_to(version)
        ),
        None,
    )


def referred(directory: Path, outputs: Path) -> Iterator[Path]:
    """The run that a directory measured, and its baseline: all that they can be.

    Of a baseline that the manifest lacks, as of earlier versions, and of a name of one, the folder
    of versions.
    """
    manifest = runs.manifest_of(directory)
    for key in ("run", "baseline"):
        if path := manifest.get(key):
            yield from runs.places(directory, Path(path))
    if "baseline" not in manifest and (directory / runs.CONFIG).exists():
        baseline = runs.read_json(directory / runs.CONFIG).get("baseline")
        paths = [Path(baseline), outputs / "train" / baseline] if baseline else []
        yield from filter(Path.exists, paths)


def size_of(directory: Path) -> int:
    """Bytes of all files below a directory."""
    return sum(path.lstat().st_size for path in directory.rglob("*") if path.is_file())


def delete(directory: Path) -> None:
    """Delete a version, its manifest first: a kill leaves nothing that looks like a run.

    Raises UserError where another process writes to it, and where it cannot be deleted.
    """
    try:
        with runs.lock(directory), runs.lock(directory, name=runs.WORKERS):
            (directory / runs.MANIFEST).unlink()
            shutil.rmtree(directory)
    except OSError as error:
        raise runs.cannot_write(directory, error) from error
