"""The tables of a multirun's jobs as one table of each kind, with the status of every job."""

import shlex
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sascli import runs
from sascli.config import Collect
from sascli.jobs import multirun
from sascli.jobs.multirun import Multirun
from sascli.jobs.status import ACTIVE, Status


@dataclass(frozen=True)
class Collected:
    """The tables written, the status of every job, the commands that resubmit unfinished ones."""

    tables: list[Path]
    statuses: list[Status]
    resubmissions: list[list[str]]

    def __str__(self) -> str:
        """The output of `sas collect`."""
        count = Counter(job.status for job in self.statuses)
        counts = ", ".join(f"{number} {status}" for status, number in count.most_common())
        lines = [f"{len(self.statuses)} jobs: {counts}"]
        for job in self.statuses:
            if job.status != "finished":
                lines.append(": ".join(filter(None, [f"  {job.name}", job.status, job.error])))
        if self.resubmissions:
            lines.append("resubmit the unfinished jobs with:")
            lines += [f"  {shlex.join(words)}" for words in self.resubmissions]
        if any(count[status] for status in ACTIVE):
            lines.append("some jobs are still running: collect again later")
        return "\n".join([*lines, *map(str, self.tables)])


def run(config: Collect, _job: Path | None = None) -> None:
    """`sas collect`: write the tables, print the status. Raises UserError without a multirun."""
    sweep = Path(config.sweep) if config.sweep else multirun.newest(Path(config.outputs))
    print(collect(sweep))


def collect(directory: Path) -> Collected:
    """Write one table of each kind from the finished jobs into the multirun's directory.

    `job` and the settings that differ lead its columns. Raises UserError for a directory that is
    no multirun, and for a damaged table.
    """
    jobs = multirun.load(directory)
    statuses = jobs.statuses()
    finished = [job.name for job in statuses if job.status == "finished"]
    names = {path.stem for job in finished for path in (directory / job).glob("*.csv")}
    tables = []
    for name in sorted(names):
        paths = [directory / job / f"{name}.csv" for job in finished]
        frames = [keyed(jobs, path) for path in paths if path.exists()]
        tables.append(directory / f"{name}.csv")
        runs.write_table(tables[-1], pd.concat(frames, ignore_index=True))
    return Collected(tables, statuses, jobs.resubmissions(statuses))


def keyed(jobs: Multirun, path: Path) -> pd.DataFrame:
    """A job's table, led by the job and those of its settings that differ."""
    table, job = runs.read_table(path), path.parent.name
    keys = {"job": job} | jobs.differing(job)
    for place, key in enumerate(key for key in keys if key not in table):
        table.insert(place, key, keys[key])
    return table
