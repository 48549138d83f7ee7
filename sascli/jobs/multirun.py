"""The directory of a multirun: its jobs, its submissions, the status of every job."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypedDict, cast

from sascli import runs
from sascli.config.overrides import word
from sascli.config.paths import exists
from sascli.errors import UserError
from sascli.jobs import slurm
from sascli.jobs.status import ACTIVE, Status, read

SWEEP, SUBMISSIONS = "sweep.json", ".submitit"


class Record(TypedDict):
    """The content of sweep.json, beside its format, its start and the code version."""

    jobs: dict[str, list[str]]  # as of `Multirun.jobs`
    submissions: list[dict[str, list[str]]]
    """The words after `sas`, the names of all jobs, and of those submitted, left to run."""


@dataclass(frozen=True)
class Multirun:
    """A multirun's directory and the record of its submissions."""

    directory: Path
    record: Record

    @property
    def jobs(self) -> dict[str, list[str]]:
        """The overrides of each job by the name of its directory."""
        return self.record["jobs"]

    @cached_property
    def ids(self) -> dict[str, str]:
        """The SLURM job of each job's last submission, from the names of submitit's folders."""
        ids = {}
        for number, submission in enumerate(self.record["submissions"]):
            names = submission["submitted"]
            form = r"\d+_(\d+)" if len(names) > 1 else r"\d+()"  # an array, or a single job
            for folder in (self.directory / SUBMISSIONS / str(number)).glob("*/"):
                if match := re.fullmatch(form, folder.name):
                    ids[names[int(match[1] or 0)]] = folder.name
        return ids

    def statuses(self) -> list[Status]:
        """The status of every job, in the order of submission."""
        statuses = [self._status(name, {}) for name in self.jobs]
        if not self.ids or all(job.status == "finished" for job in statuses):
            return statuses
        queued = slurm.queue()
        return [self._status(job.name, queued) for job in statuses]

    def _status(self, name: str, queued: Mapping[str, str]) -> Status:
        """The status of one job, from its manifest and the state of its SLURM job."""
        status, _ = read(self.directory / name, queued)
        state = queued.get(self.ids.get(name, ""))
        if status.status in ("finished", *ACTIVE) or state is None:
            return status
        resubmitted = "running" if state == "RUNNING" else "waiting"
        return replace(status, status=resubmitted)

    def resubmissions(self, statuses: Iterable[Status]) -> list[list[str]]:
        """The command lines that resubmit the jobs that are neither finished nor active."""
        lines = []
        left = {job.name for job in statuses if job.status not in ("finished", *ACTIVE)}
        for submission in reversed(self.record["submissions"]):
            if left & set(submission["jobs"]):
                left -= set(submission["jobs"])
                words = [w for w in submission["words"] if not w.startswith("hydra.sweep.dir=")]
                lines.append(["sas", *words, word("hydra.sweep.dir", str(self.directory))])
        return lines

    def differing(self, job: str) -> dict[str, str]:
        """The settings of a job that not all jobs share, by their names."""
        shared = set.intersection(*map(set, self.jobs.values()))
        pairs = [line.partition("=") for line in self.jobs[job] if line not in shared]
        return {key.lstrip("+").removesuffix(".default"): value for key, _, value in pairs}


def load(directory: Path) -> Multirun:
    """The multirun in a directory. Raises UserError for none, or one of another format."""
    if not exists(directory / SWEEP):
        raise UserError(f"{directory} is not a multirun: give the directory of a --multirun")
    record = runs.read_json(directory / SWEEP)
    if record.get("format") != runs.FORMAT:
        raise UserError(
            f"{directory} has format version {record.get('format')}, this sas reads {runs.FORMAT}"
        )
    return Multirun(directory, cast(Record, record))


def newest(outputs: Path) -> Path:
    """The directory of the newest multirun. Raises UserError when there is none."""
    directories = [
        (runs.moment(runs.read_json(path)["start"]), str(path.parent))
        for path in (outputs.glob(f"**/{runs.MULTIRUN}/*/{SWEEP}") if exists(outputs) else ())
    ]
    if not directories:
        raise UserError(f"there is no multirun in {outputs}: `sas train --multirun` makes one")
    return Path(max(directories)[1])


def record_submission(
    directory: Path, words: Sequence[str], jobs: Mapping[str, list[str]], left: Sequence[str]
) -> int:
    """Record a submission: its command line, all its jobs, and those that are `left` to run.

    Returns its number, from 0. Raises UserError where a job was submitted with other settings
    before.
    """
    path = directory / SWEEP
    new = {"format": runs.FORMAT, "start": runs.now(), "jobs": {}, "submissions": []}
    first = cast(Record, new | runs.code_version())
    record = load(directory).record if path.exists() else first
    for name, lines in jobs.items():
        if sorted(record["jobs"].get(name, lines)) != sorted(lines):
            raise UserError(
                f"{directory / name} was submitted with other settings, "
                f"{' '.join(record['jobs'][name])}: choose another hydra.sweep.dir"
            )
    record["jobs"] |= jobs
    record["submissions"].append(
        {"words": list(words), "jobs": list(jobs), "submitted": list(left)}
    )
    runs.write_json(path, record)
    return len(record["submissions"]) - 1
