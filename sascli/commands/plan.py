"""`sas plan COMMAND ...`: what a command would train, in steps, time and disk."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from sascli import runs
from sascli.commands.table import COMMANDS, function
from sascli.config import Plan, replica_count, run_name
from sascli.errors import UserError
from sascli.studies.registry import STUDIES
from sascli.training import run as training_run
from sascli.training import sweep
from sascli.training.directories import resumed, same_settings
from sascli.training.estimate import Estimator
from sascli.training.sweep import Point

PLANNED = ("train", "sweep-datasize", "continual", *(f"reproduce {name}" for name in STUDIES))
PICTURE = 125_000
"""Bytes of the picture of a run of `sas train`, measured."""
NOTE = """\
Time is measured now, by a few real steps, a test and a checkpoint of networks of
each shape; disk by that checkpoint. Measurements and pictures of trained networks
come on top. Nothing was trained."""


def print_plan(config: Plan, _job: Path | None = None) -> None:
    """Print the plan of `config.jobs`. Raises UserError for a command that trains nothing."""
    if config.command not in PLANNED or not config.jobs:
        raise UserError(
            f"sas plan needs a command that trains, with its settings: {', '.join(PLANNED)}"
        )
    torch.set_flush_denormal(True)  # as in training_run.run
    estimator, rows = Estimator(), list[dict[str, Any]]()
    for number, job in enumerate(config.jobs):
        training_run.set_threads(job.threads)
        points, done = points_and_finished(config.command, job)
        for point in points:
            prefix = f"job {number}: " if len(config.jobs) > 1 else ""
            row = {"run": f"{prefix}{point.group or point.name}", "runs": 1}
            row["replicas"] = replica_count(point.config)
            if point.name in done:
                rows.append(row | {"steps": 0, "time": 0.0, "disk": 0})
                continue
            estimate = estimator.estimate(point.config, part=config.command != "train")
            disk = estimate.bytes + PICTURE * (config.command == "train") if point.saved else 0
            rows.append(row | {"steps": estimate.steps, "time": estimate.seconds, "disk": disk})
    print(as_text(pd.DataFrame(rows)), NOTE, sep="\n")


def points_and_finished(command: str, job: Any) -> tuple[Sequence[Point], set[str]]:
    """The runs of a job at most, and the names of those that are finished already."""
    if command == "train":
        point = Point(run_name(job), job)
        images = partial(training_run.load_data, job, torch.device("cpu"))
        directory = resumed(training_run.parent_of(job), job, images)
        finished = directory and training_run.is_finished(job, directory)
        return [point], {point.name} if finished else set()
    if command == "continual":
        from sascli.continual import images_of, populations

        return populations(job, images_of(job)[0]), set()
    if command == "sweep-datasize":
        parent, points = sweep.parent_of(job), sweep.points_of(job)
        images = partial(sweep.all_images, job)
        if job.worker is None:
            directory = resumed(parent, job, images)
        else:  # workers always share a directory of their settings
            directory = runs.of_settings(parent, same_settings(job, images))
    else:
        study = function(COMMANDS[command].work.removesuffix(".run"))(job)
        from sascli.studies.base import parent_of

        points, checksum = study.planned(), study.data.checksum
        directory = runs.of_settings(parent_of(study), same_settings(job), checksum)
    if directory is None:
        return points, set()
    if runs.manifest_of(directory).get("status") == "finished":
        return points, {point.name for point in points}
    inside = runs.versions(directory / "runs", wanted=runs.finished)
    return points, {path.name for path, _ in inside}


def as_text(table: pd.DataFrame) -> str:
    """The table, runs of one name in one row, and its total."""
    sums = dict.fromkeys(("runs", "steps", "time", "disk"), "sum")
    rows = table.groupby(["run", "replicas"], sort=False, as_index=False).agg(sums)
    total = rows[list(sums)].sum()
    left = f"{(table['steps'] > 0).sum()} of {len(table)} runs"
    rows["time"], rows["disk"] = rows["time"].map(in_words), rows["disk"].map(runs.in_bytes)
    rows = rows[["run", "runs", "replicas", "steps", "time", "disk"]]
    threads = f"with {torch.get_num_threads()} CPU threads"
    return (
        f"{rows.to_string(index=False)}\n"
        f"To train at most: {left}, {total['steps']:.0f} steps, about "
        f"{in_words(total['time'])} {threads}, {runs.in_bytes(total['disk'])}."
    )


def in_words(seconds: float) -> str:
    """A time in seconds, minutes or hours."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
