"""A multirun: jobs checked and named, directory and settings kept, then handed to Hydra."""

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from hydra.core.utils import env_override
from hydra.errors import HydraException
from omegaconf import DictConfig

from sascli import multirun, runs, slurm
from sascli.cli.composition import CONF, VERSION_BASE, Composer, config_name, validated
from sascli.cli.words import job_name, quoted, trials, values
from sascli.commands import run
from sascli.errors import UserError
from sascli.stopping import Stopped

SWEEPER = "hydra_plugins.sas_sweeper.Submitted"


@dataclass(frozen=True)
class Job:
    """What Hydra calls with the settings of one job, in this process or in a launcher's worker."""

    command: str
    argv: tuple[str, ...]
    version: Mapping[str, Any]  # of the code when the multirun was submitted

    def __call__(self, cfg: DictConfig) -> None:
        """Run the command and record in the job's manifest how it ends.

        sys.argv is what the user typed. Hydra records a failure and continues with other jobs.
        """
        sys.argv = list(self.argv)
        directory = Path(HydraConfig.get().runtime.output_dir)
        try:
            with multirun.recorded(directory, self.command, self.version):
                run(self.command, validated(self.command, cfg), directory)
        except Stopped as stopped:
            if slurm.preempts(stopped):
                slurm.make_room()
            raise


def launch_jobs(composer: Composer, overrides: Sequence[Override], words: Sequence[str]) -> None:
    """Submit the jobs that are neither finished nor running, and wait for them.

    Raises UserError for invalid settings of any job, before the first one, and for a failed job.
    """
    command = composer.command
    ours = [override for override in overrides if not override.is_hydra_override()]
    hydras = [str(override.input_line) for override in overrides if override.is_hydra_override()]
    if kept := kept_settings(overrides):
        composer = Composer(command, conf=kept)
    first, *rest = [composer.compose(lines) for lines in trials(overrides)]
    for cfg in (first.copy(), *rest):
        validated(command, cfg)
    jobs = named(ours)
    directory, left = submit(composer, first, jobs, words)
    count = f"{len(left)} to run" if left else "nothing is left to run"
    print(f"jobs in {directory}: {count}; `sas collect` shows their status", flush=True)
    if not left:
        return
    hydras += [f"hydra.sweep.dir={quoted(str(directory))}", f"hydra.sweeper._target_={SWEEPER}"]
    if "submitit_folder" in first.hydra.launcher:
        number = len(multirun.load(directory).known["submissions"]) - 1
        folder = directory / multirun.SUBMISSIONS / str(number) / "%j"
        hydras.append(f"hydra.launcher.submitit_folder={quoted(str(folder))}")
    job = Job(command, ("sas", *command.split(), *words), runs.code_version())
    conf = str(directory / CONF)
    main = hydra.main(
        version_base=VERSION_BASE, config_path=conf, config_name=config_name(command)
    )
    # Full errors, so that Hydra raises them instead of printing and exiting.
    with (
        as_argv(["-m", *hydras]),
        env_override({"HYDRA_FULL_ERROR": "1"}),
        explained(directory, composer),
    ):
        main(job)()


def kept_settings(overrides: Sequence[Override]) -> Path | None:
    """The YAML files kept by an earlier submission to the sweep directory that is typed."""
    typed = [str(o.value()) for o in overrides if o.key_or_group == "hydra.sweep.dir"]
    conf = Path(typed[-1]).absolute() / CONF if typed else None
    return conf if conf is not None and conf.is_dir() else None


def named(overrides: Sequence[Override]) -> dict[str, list[str]]:
    """The settings of every job by its name, the settings that differ, in Hydra's order."""
    jobs = {}
    for lines in product(*map(values, overrides)):
        differing = [
            line
            for line, override in zip(lines, overrides, strict=True)
            if override.is_sweep_override()
        ]
        jobs[job_name(sorted(differing))] = list(lines)
    return jobs


def submit(
    composer: Composer, cfg: DictConfig, jobs: Mapping[str, list[str]], words: Sequence[str]
) -> tuple[Path, list[str]]:
    """The directory of a multirun, claimed and described, and the jobs that are left to run.

    Jobs that are finished or running are left out. Raises UserError where nothing can be
    submitted.
    """
    on_cluster = str(cfg.hydra.launcher.get("_target_")).endswith(".SlurmLauncher")
    if on_cluster and shutil.which("sbatch") is None:
        raise UserError("there is no SLURM here (no sbatch): write hydra/launcher=local")
    if cfg.hydra.sweep.dir == "auto":
        parent = Path(cfg.outputs) / config_name(composer.command) / runs.MULTIRUN
        directory = runs.claim(parent).absolute()
    else:
        directory = Path(cfg.hydra.sweep.dir).absolute()
        runs.make(directory)
    with runs.lock(directory):
        if not (directory / CONF).exists():
            keep(composer.folders, directory / CONF)
        known = (directory / multirun.SWEEP).exists()
        done = {
            standing.name
            for standing in (multirun.load(directory).standings() if known else [])
            if standing.status in ("finished", *multirun.AT_WORK)
        }
        left = [name for name in jobs if name not in done]
        multirun.submitted(directory, [*composer.command.split(), *words], jobs, left)
    return directory, left


def keep(folders: Sequence[Path], conf: Path) -> None:
    """Copy the YAML files, those of --config-dir over ours, so that later edits change no job."""
    partial = conf.with_name(f".{conf.name}")
    try:
        for folder in folders:
            shutil.copytree(folder, partial, dirs_exist_ok=True)
        partial.rename(conf)
    except OSError as error:
        raise runs.cannot_write(conf, error) from error


@contextmanager
def as_argv(words: Sequence[str]) -> Iterator[None]:
    """sys.argv as if the user had typed these words."""
    before, sys.argv = sys.argv, ["sas", *words]
    try:
        yield
    finally:
        sys.argv = before


@contextmanager
def explained(directory: Path, composer: Composer) -> Iterator[None]:
    """Hydra's and submitit's errors as UserErrors; Ctrl-C shows how to stop jobs on a cluster."""
    try:
        yield
    except KeyboardInterrupt:
        if ids := multirun.load(directory).ids.values():
            arrays = sorted({name.split("_")[0] for name in ids})
            print(f"the jobs continue; `scancel {' '.join(arrays)}` stops them", flush=True)
        raise
    except HydraException as error:
        raise composer.explained(error) from error
    except Exception as error:
        if not type(error).__module__.startswith("submitit."):
            raise
        line = str(error).strip().splitlines()[0]
        raise UserError(f"SLURM: {line}; `sas collect {directory}` shows more") from error
