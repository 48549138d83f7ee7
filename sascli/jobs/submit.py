"""A multirun submitted: its directory claimed, its settings kept, its unfinished jobs listed."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from sascli import runs
from sascli.errors import UserError
from sascli.jobs import CONF, multirun
from sascli.jobs.status import ACTIVE


def submit(
    directory: Path | None,
    parent: Path,
    folders: Sequence[Path],
    jobs: Mapping[str, list[str]],
    words: Sequence[str],
) -> tuple[Path, list[str]]:
    """The directory of a multirun, described, and the names of the jobs that are left to run.

    It is a new version of `parent` where no `directory` is given. The YAML files of `folders` are
    kept in it, so that later edits change no job. Jobs that are finished or active are left out.
    Raises UserError where nothing can be submitted.
    """
    if directory is None:
        directory = runs.claim(parent)
    else:
        runs.make(directory)
    directory = directory.absolute()
    with runs.lock(directory):
        if not (directory / CONF).exists():
            keep(folders, directory / CONF)
        begun = (directory / multirun.SWEEP).exists()
        statuses = multirun.load(directory).statuses() if begun else []
        done = {job.name for job in statuses if job.status in ("finished", *ACTIVE)}
        left = [name for name in jobs if name not in done]
        multirun.record_submission(directory, words, jobs, left)
    return directory, left


def keep(folders: Sequence[Path], conf: Path) -> None:
    """Copy YAML files, those of later folders over the earlier ones, at once or not at all."""
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
        raise UserError("there is no SLURM here (no sbatch): write hydra/launcher=local")
