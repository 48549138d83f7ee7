"""One table from the tables of a multirun's jobs, and what became of each job."""

import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sascli import multirun, runs
from sascli.multirun import AT_WORK, Standing, Sweep


@dataclass(frozen=True)
class Collected:
    """What was gathered, how the jobs stand, and what runs those again that need it."""

    tables: list[Path]
    standings: list[Standing]
    reruns: list[list[str]]

    def __str__(self) -> str:
        """What `sas collect` says."""
        count = Counter(own.status for own in self.standings)
        told = ", ".join(f"{number} {status}" for status, number in count.most_common())
        lines = [f"{len(self.standings)} jobs: {told}"]
        for own in self.standings:
            if own.status != "finished":
                lines.append(": ".join(filter(None, [f"  {own.name}", own.status, own.error])))
        if self.reruns:
            lines.append("to run just those again that are neither finished nor at work:")
            lines += [f"  {shlex.join(words)}" for words in self.reruns]
        if any(count[status] for status in AT_WORK):
            lines.append("some are still at work: collect again later")
        return "\n".join([*lines, *map(str, self.tables)])


def collect(directory: Path) -> Collected:
    """Write one table of each kind from the finished jobs, in the sweep's directory.

    `job` and the settings that differ lead its columns. Raises UserError for a directory that is
    no sweep, and for a damaged table.
    """
    sweep = multirun.load(directory)
    standings = sweep.standings()
    finished = [own.name for own in standings if own.status == "finished"]
    written = []
    names = {path.stem for job in finished for path in (directory / job).glob("*.csv")}
    for name in sorted(names):
        frames = [frame for job in finished for frame in keyed(sweep, job, name)]
        written.append(directory / f"{name}.csv")
        runs.write_table(written[-1], pd.concat(frames, ignore_index=True))
    return Collected(written, standings, sweep.reruns(standings))


def keyed(sweep: Sweep, job: str, name: str) -> Iterator[pd.DataFrame]:
    """A job's table, if it has it, led by the job and those of its settings that differ."""
    path = sweep.directory / job / f"{name}.csv"
    if not path.exists():
        return
    table = runs.read_table(path)
    keys = {"job": job} | sweep.differing(job)
    for place, key in enumerate(key for key in keys if key not in table):
        table.insert(place, key, keys[key])
    yield table
