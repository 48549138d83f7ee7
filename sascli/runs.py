"""Run directories: claim, describe, lock, find; tables in and out."""

import contextlib
import fcntl
import functools
import hashlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import IO, Any

import pandas as pd

from sascli import slurm
from sascli.errors import UserError

FORMAT = 1
MANIFEST, CONFIG, LOCK = "manifest.json", "config.json", ".lock"
MULTIRUN = "multirun"
"""The folder of a command's outputs in which the directories of its multiruns lie."""
PACKAGES = ("torch", "torchvision", "numpy", "pandas", "hydra-core", "safetensors")
TEXTS = {"class": str, "predicted": str}
"""Columns of names that may look like something else: a class may be called 01, or None."""
PATIENCE = 0.5
"""Seconds for which a lock is tried: `busy` holds it for a moment."""


class BusyError(UserError):
    """Another process writes to the directory."""


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


def make(directory: Path) -> None:
    """Make a directory where there is none. Raises UserError."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(directory, error) from error


def cannot_write(path: Path, error: OSError) -> UserError:
    """The message for a full disk, a read-only folder and their kind."""
    return UserError(f"cannot write to {path}: {error.strerror}")


@contextlib.contextmanager
def replacing(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a temporary file that takes the place of `path` once it is whole and on disk.

    A kill at any moment leaves the last good file. Raises UserError where it cannot be written.
    """
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(
            mode, dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            temporary = file.name
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        if isinstance(error, OSError):
            raise cannot_write(path, error) from error
        raise


def write_json(path: Path, content: Any) -> None:
    """Write JSON in place of `path` at once."""
    with replacing(path, "w") as file:
        json.dump(content, file, indent=1)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises UserError when it is missing or damaged."""
    try:
        content = json.loads(path.read_text())
        if not isinstance(content, dict):
            raise ValueError("it holds no object")
        return content
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist") from error
    except (ValueError, OSError) as error:
        raise UserError(f"{path} is damaged: {error}") from error


def write_table(
    path: Path, table: pd.DataFrame, by_replica: Mapping[str, Sequence[float]] | None = None
) -> None:
    """Write a tidy table as CSV in place of `path` at once, with what tells replicas apart."""
    with replacing(path, "w") as file:
        told_apart(table, by_replica or {}).to_csv(file, index=False)


def told_apart(table: pd.DataFrame, by_replica: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    """The table with a column more for each of these values of the replicas."""
    for name, values in by_replica.items():
        table = table.assign(**{name: table["replica"].map(dict(enumerate(values)))})
    return table


def read_table(path: Path) -> pd.DataFrame:
    """Read a table. Raises UserError when it is missing, empty or cut off."""
    try:
        text = path.read_bytes()
        table = pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=TEXTS)
    except FileNotFoundError as error:
        raise UserError(f"there is no table {path}") from error
    except (ValueError, OSError) as error:
        raise UserError(f"{path} is damaged: {error}") from error
    if not text.endswith(b"\n"):
        raise UserError(f"{path} is cut off in its last line")
    return table


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


def _git(*words: str) -> str | None:
    """Output of a git command in the source checkout, None outside one."""
    try:
        result = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), *words],
            capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()


def code_version() -> dict[str, Any]:
    """Commit, whether the code differs from it, and a checksum of the code itself."""
    ours = _git("ls-files", "--error-unmatch", Path(__file__).name) is not None
    status = _git("status", "--porcelain") if ours else None  # not of a repository around it
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(f"{path.name}\n".encode() + path.read_bytes())
    return {
        "git_commit": _git("rev-parse", "HEAD") if ours else None,
        "git_dirty": None if status is None else bool(status),
        "code": f"sha256:{digest.hexdigest()}",
    }


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


def of_settings(parent: Path, config_hash: str) -> Path | None:
    """The newest unfinished run of these settings below `parent`, else the newest finished one."""

    def same(manifest: Mapping[str, Any]) -> bool:
        return bool(manifest.get("config_hash") == config_hash)

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


def rows(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """A table of one record per row."""
    return pd.DataFrame.from_records(list(records))
