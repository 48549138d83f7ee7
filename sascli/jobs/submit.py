"""Submission of a multirun: claim its directory, copy its settings, list its unfinished jobs."""

import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from sascli import runs
from sascli.config.composition import CONF
from sascli.config.settings import shown
from sascli.errors import UserError
from sascli.jobs import multirun
from sascli.jobs.status import ACTIVE


def submit(
    directory: Path | None,
    parent: Path,
    folders: Sequence[Path],
    jobs: Mapping[str, list[str]],
    words: Sequence[str],
) -> tuple[Path, int, list[str]]:
    """Record a submission: the multirun's directory, its number, the names of the jobs to run.

    Without a `directory`, it is a new version of `parent`. The YAML files of `folders` are copied
    into it, so that later edits change no job. Jobs that are finished or active are left out.
    Raises UserError where nothing can be submitted.
    """
    directory = (directory or runs.claim(parent)).absolute()
    runs.make(directory)
    with runs.lock(directory):
        if not (directory / CONF).exists():
            copy(folders, directory / CONF)
        exists = (directory / multirun.SWEEP).exists()
        statuses = multirun.load(directory).statuses() if exists else []
        done = {job.name for job in statuses if job.status in ("finished", *ACTIVE)}
        left = [name for name in jobs if name not in done]
        number = multirun.record_submission(directory, words, jobs, left)
    return directory, number, left


def copy(folders: Sequence[Path], conf: Path) -> None:
    """Copy YAML files, those of later folders over those of earlier ones, atomically."""
    partial = conf.with_name(f".{conf.name}")
    try:
        for folder in folders:
            shutil.copytree(folder, partial, dirs_exist_ok=True)
        partial.rename(conf)
    except OSError as error:
        raise runs.cannot_write(conf, error) from error


def check_launcher(target: str) -> None:
    """Raises UserError where the launcher is SLURM's and there is no SLURM."""
    if target.endswith(".SlurmLauncher") and shutil.which("sbatch") is None:
        raise UserError("there is no SLURM here (no sbatch): use hydra/launcher=local")


def job_name(lines: Sequence[str]) -> str:
    """The folder of a job: its overrides in characters that shells and Hydra leave alone."""
    text = "+".join(line.lstrip("+") for line in lines).replace(".default=", "=")
    name = re.sub(r"[^\w.+-]+", "-", re.sub(r"[][{}'\"]", "", text)) or "job"
    return name if len(name) <= 200 else f"{name[:190]}-{sha256(name.encode()).hexdigest()[:8]}"


def named(jobs: Iterable[Sequence[str]]) -> dict[str, Sequence[str]]:
    """The overrides of each job by its name. Raises UserError for two jobs of the same name."""
    names: dict[str, Sequence[str]] = {}
    for lines in jobs:
        name = job_name(sorted(lines))
        if (other := names.setdefault(name, lines)) != lines:
            raise UserError(
                f"two jobs would have the same name, {name}: {' '.join(other)} and "
                f"{' '.join(lines)}; submit them separately"
            )
    return names


def check_shared(typed: Mapping[str, Any], config: Any) -> None:
    """Raises UserError for what was typed for one directory: every job has its own."""
    if getattr(config, "worker", None) is not None:  # they share a directory outside the multirun
        return
    if typed.get("resume"):
        raise UserError(
            f"resume={shown(typed['resume'])} has no effect on a multirun: resume one run without "
            "--multirun; `sas collect` shows the command that resubmits unfinished jobs"
        )
    if typed.get("name") is not None:
        raise UserError(
            f"name={typed['name']} has no effect on a multirun, whose jobs are named by their "
            "settings: hydra.sweep.dir=DIRECTORY is where they are"
        )
