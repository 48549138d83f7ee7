"""A multirun: jobs checked and named, submitted, then handed to Hydra."""

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

from sascli import runs
from sascli.cli.composition import VERSION_BASE, Composer, config_name, validated
from sascli.cli.words import job_name, quoted, trials, values
from sascli.commands import run
from sascli.errors import UserError
from sascli.jobs import CONF, multirun
from sascli.jobs.record import recorded
from sascli.jobs.submit import check_launcher, submit
from sascli.training.signals import Stopped

SWEEPER = "hydra_plugins.sas_sweeper.Submitted"


@dataclass(frozen=True)
class Job:
    """What Hydra calls with the settings of one job, in this process or in a launcher's worker."""

    command: str
    argv: tuple[str, ...]  # what the user typed
    version: Mapping[str, Any]  # of the code when the multirun was submitted

    def __call__(self, cfg: DictConfig) -> None:
        """Run the command; Hydra records a failure and continues with the other jobs."""
        sys.argv = list(self.argv)
        directory = Path(HydraConfig.get().runtime.output_dir)
        try:
            with recorded(directory, self.command, self.version):
                run(self.command, validated(self.command, cfg), directory)
        except Stopped as stopped:
            if runs.slurm.preempts(stopped):
                runs.slurm.wait_for_end()
            raise


def launch_jobs(composer: Composer, overrides: Sequence[Override], words: Sequence[str]) -> None:
    """Submit the jobs that are neither finished nor active, and wait for them.

    Raises UserError for invalid settings of any job, before the first one, and for a failed job.
    """
    command = composer.command
    typed = {o.key_or_group: str(o.value()) for o in overrides if o.is_hydra_override()}
    if "hydra.sweep.subdir" in typed:
        raise UserError("jobs are named by their settings: leave hydra.sweep.subdir out")
    directory = Path(typed["hydra.sweep.dir"]) if "hydra.sweep.dir" in typed else None
    if directory is not None and (directory / CONF).is_dir():  # settings of the first submission
        composer = Composer(command, conf=(directory / CONF).absolute())
    first, *others = [composer.compose(lines) for lines in trials(overrides)]
    for cfg in (first.copy(), *others):
        validated(command, cfg)
    check_launcher(str(first.hydra.launcher.get("_target_")))
    directory, left = submit(
        directory,
        Path(first.outputs) / config_name(command) / runs.MULTIRUN,
        composer.folders,
        named([override for override in overrides if not override.is_hydra_override()]),
        [*command.split(), *words],
    )
    count = f"{len(left)} to run" if left else "nothing is left to run"
    print(f"jobs in {directory}: {count}; `sas collect` shows their status", flush=True)
    if not left:
        return
    lines = [str(override.input_line) for override in overrides if override.is_hydra_override()]
    lines += [f"hydra.sweep.dir={quoted(str(directory))}", f"hydra.sweeper._target_={SWEEPER}"]
    if "submitit_folder" in first.hydra.launcher:
        number = len(multirun.load(directory).record["submissions"]) - 1
        folder = directory / multirun.SUBMISSIONS / str(number) / "%j"
        lines.append(f"hydra.launcher.submitit_folder={quoted(str(folder))}")
    main = hydra.main(str(directory / CONF), config_name(command), VERSION_BASE)
    # Full errors, so that Hydra raises them instead of printing and exiting.
    with (
        as_argv(["-m", *lines]),
        env_override({"HYDRA_FULL_ERROR": "1"}),
        explained(directory, composer),
    ):
        main(Job(command, ("sas", *command.split(), *words), runs.code_version()))()


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
