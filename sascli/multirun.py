"""The jobs of a multirun: what was submitted, and how each of them stands."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sascli import runs, slurm
from sascli.errors import UserError

SWEEP, SUBMISSIONS = "sweep.json", ".submitit"
AT_WORK = ("running", "waiting")


@dataclass(frozen=True)
class Standing:
    """How a job stands: finished, failed, running, waiting ... or missing; and what stopped it."""

    name: str
    status: str
    error: str | None = None


@dataclass(frozen=True)
class Sweep:
    """The directory of a multirun and what is known of it since its submission."""

    directory: Path
    known: dict[str, Any]

    @property
    def jobs(self) -> dict[str, list[str]]:
        """The overrides of each job by the name of its directory."""
        return dict(self.known["jobs"])

    @cached_property
    def ids(self) -> dict[str, str]:
        """The SLURM job that each job was submitted as last: submitit names its folders so."""
        found = {}
        for number, submission in enumerate(self.known["submissions"]):
            names = submission["submitted"]
            form = r"\d+_(\d+)" if len(names) > 1 else r"\d+()"  # an array, or a job of its own
            for folder in (self.directory / SUBMISSIONS / str(number)).glob("*/"):
                if match := re.fullmatch(form, folder.name):
                    found[names[int(match[1] or 0)]] = folder.name
        return found

    def standings(self) -> list[Standing]:
        """How every job stands, in the order of their submission."""
        rough = [self._standing(name, {}) for name in self.jobs]
        queued = (
            slurm.queue() if self.ids and any(own.status != "finished" for own in rough) else {}
        )
        return [
            own if own.status == "finished" else self._standing(own.name, queued) for own in rough
        ]

    def _standing(self, name: str, queued: Mapping[str, str]) -> Standing:
        """How one job stands, by its manifest and by the state of its SLURM job."""
        directory, state = self.directory / name, queued.get(self.ids.get(name, ""))
        try:
            manifest = runs.manifest_of(directory)
            status, error = status_of(directory, manifest, queued), manifest.get("error")
        except UserError as mistake:
            damaged = (directory / runs.MANIFEST).exists()
            status, error = ("damaged", str(mistake)) if damaged else ("missing", None)
        if status not in ("finished", *AT_WORK) and state is not None:  # submitted again
            status = "running" if state == "RUNNING" else "waiting"
        return Standing(name, status, error)

    def reruns(self, standings: Iterable[Standing]) -> list[list[str]]:
        """The command lines that submit again whatever is neither finished nor at work."""
        lines = []
        left = {own.name for own in standings if own.status not in ("finished", *AT_WORK)}
        for submission in reversed(self.known["submissions"]):
            if left & set(submission["jobs"]):
                left -= set(submission["jobs"])
                words = [w for w in submission["words"] if not w.startswith("hydra.sweep.dir=")]
                lines.append(["sas", *words, f"hydra.sweep.dir={self.directory}"])
        return lines

    def differing(self, job: str) -> dict[str, str]:
        """The settings of a job that not all jobs share, by their names."""
        shared = set.intersection(*map(set, self.jobs.values()))
        pairs = [line.partition("=") for line in self.jobs[job] if line not in shared]
        return {key.lstrip("+").removesuffix(".default"): value for key, _, value in pairs}


def load(directory: Path) -> Sweep:
    """The sweep in a directory. Raises UserError where there is none, or of another format."""
    if not (directory / SWEEP).exists():
        raise UserError(f"{directory} is no sweep: name the directory of a --multirun")
    known = runs.read_json(directory / SWEEP)
    if known.get("format") != runs.FORMAT:
        raise UserError(
            f"{directory} has format version {known.get('format')}, this sas reads {runs.FORMAT}"
        )
    return Sweep(directory, known)


def newest(outputs: Path) -> Path:
    """The directory of the newest multirun. Raises UserError when there is none."""
    found = [
        (runs.read_json(path)["start"], str(path.parent))
        for path in outputs.glob(f"**/{runs.MULTIRUN}/*/{SWEEP}")
    ]
    if not found:
        raise UserError(f"there is no multirun in {outputs}: `sas train --multirun` makes one")
    return Path(max(found)[1])


def submitted(
    directory: Path, words: Sequence[str], jobs: Mapping[str, list[str]], left: Sequence[str]
) -> int:
    """Note a submission: its command line, all its jobs, and those of them that are `left` to do.

    Returns its number. Raises UserError where a job was submitted with other settings before.
    """
    path = directory / SWEEP
    known: dict[str, Any] = {"format": runs.FORMAT, "start": runs.now(), **runs.code_version()}
    known |= {"jobs": {}, "submissions": []}
    if path.exists():
        known = load(directory).known
    for name, lines in jobs.items():
        if sorted(known["jobs"].get(name, lines)) != sorted(lines):
            raise UserError(
                f"{directory / name} was submitted with other settings, "
                f"{' '.join(known['jobs'][name])}: choose another hydra.sweep.dir"
            )
    known["jobs"] |= jobs
    known["submissions"].append(
        {"words": list(words), "jobs": list(jobs), "submitted": list(left)}
    )
    runs.write_json(path, known)
    return len(known["submissions"]) - 1


@contextmanager
def recorded(directory: Path, command: str, version: Mapping[str, Any]) -> Iterator[None]:
    """Write into a job's manifest how it ends, and whether the code is that of the submission.

    Nothing is written where another process has the job.
    """
    now = runs.code_version()
    about: dict[str, Any] = {"submitted": dict(version), "code_differs": now != version}
    start = runs.now()
    try:
        yield
    except runs.BusyError:
        raise
    except BaseException as error:
        _describe(directory, command, start, about | runs.outcome(error))
        raise
    _describe(directory, command, start, about | {"status": "finished", "error": None})


def _describe(directory: Path, command: str, start: str, about: Mapping[str, Any]) -> None:
    """Add to the manifest of a job, or begin it."""
    with suppress(UserError), runs.lock(directory):
        begun = (directory / runs.MANIFEST).exists()
        first = {} if begun else {**runs.provenance(), "kind": command, "start": start}
        runs.describe(directory, **first, **about, end=runs.now())


def status_of(directory: Path, manifest: Mapping[str, Any], queued: Mapping[str, str]) -> str:
    """The status that a manifest tells; `killed` where it says running and nobody is at work.

    `queued` holds the states of SLURM jobs, for runs on machines whose locks cannot be seen here.
    """
    status = str(manifest.get("status"))
    if status != "running" or manifest.get("slurm_job") in queued:
        return status
    at_work = any(map(runs.busy, [directory, *directory.glob("runs/*")]))
    return "running" if at_work else "killed"
