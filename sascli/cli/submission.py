"""A multirun before its jobs begin: its directory, its settings kept there, its jobs by name."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from sascli import multirun, runs
from sascli.cli.composition import CONF, Composer, config_name
from sascli.cli.overrides import quoted
from sascli.errors import UserError


@dataclass(frozen=True)
class Submission:
    """What Hydra is to do, and where."""

    directory: Path
    conf: Path
    lines: list[str]  # Hydra's own settings of this multirun
    count: int  # jobs to do
    version: dict[str, Any]  # of the code

    def __str__(self) -> str:
        """A line for the terminal."""
        what = f"{self.count} to do" if self.count else "nothing is left to do"
        return f"jobs in {self.directory}: {what}; `sas collect` tells how they stand"

    @contextmanager
    def told(self) -> Iterator[None]:
        """Tell whoever leaves the terminal what becomes of jobs on a cluster.

        Raises UserError for what submitit has to say.
        """
        try:
            yield
        except KeyboardInterrupt:
            if ids := multirun.load(self.directory).ids.values():
                arrays = sorted({name.split("_")[0] for name in ids})
                print(f"the jobs go on; `scancel {' '.join(arrays)}` stops them", flush=True)
            raise
        except Exception as error:
            if not type(error).__module__.startswith("submitit."):
                raise
            said = str(error).strip().splitlines()[0]
            raise UserError(f"SLURM: {said}; `sas collect {self.directory}` tells more") from error


def submit(
    command: str,
    cfg: DictConfig,
    overrides: Sequence[Override],
    composer: Composer,
    words: Sequence[str],
) -> Submission:
    """Claim a directory, keep the settings and the version of the code, and name all jobs.

    Jobs that are finished or at work are left out. Raises UserError where nothing can be
    submitted.
    """
    on_cluster = str(cfg.hydra.launcher.get("_target_")).endswith(".SlurmLauncher")
    if on_cluster and shutil.which("sbatch") is None:
        raise UserError("there is no SLURM here (no sbatch): write hydra/launcher=local")
    if cfg.hydra.sweep.dir == "auto":
        directory = runs.claim(Path(cfg.outputs) / config_name(command) / runs.MULTIRUN).absolute()
    else:
        directory = Path(cfg.hydra.sweep.dir).absolute()
        runs.make(directory)
    with runs.lock(directory):
        conf = directory / CONF
        if not conf.exists():
            keep(composer, conf)
        own = settings(directory, overrides)
        jobs = dict(named(Composer(command, conf=conf), own, overrides))
        before = directory / multirun.SWEEP
        done = {
            standing.name
            for standing in (multirun.load(directory).standings() if before.exists() else [])
            if standing.status in ("finished", *multirun.AT_WORK)
        }
        left = [name for name in jobs if name not in done]
        number = multirun.submitted(directory, [*command.split(), *words], jobs, left)
    if len(left) < len(jobs):
        skip = [place for place, name in enumerate(jobs) if name in done]
        own += ["hydra.sweeper._target_=hydra_plugins.sas_sweeper.Remaining"]
        own += [f"+hydra.sweeper.skip={skip}".replace(" ", "")]
    if "submitit_folder" in cfg.hydra.launcher:
        folder = directory / multirun.SUBMISSIONS / str(number) / "%j"
        own += [f"hydra.launcher.submitit_folder={quoted(str(folder))}"]
    return Submission(directory, conf, own, len(left), runs.code_version())


def settings(directory: Path, overrides: Sequence[Override]) -> list[str]:
    """Hydra's settings of a multirun: its directory, and jobs named by what differs."""
    fixed = [o.key_or_group for o in overrides if not o.is_sweep_override()]
    fixed = [key for key in fixed if not key.startswith("hydra")]
    return [
        f"hydra.job.config.override_dirname.exclude_keys=[{','.join(fixed)}]",
        f"hydra.sweep.dir={quoted(str(directory))}",
    ]


def keep(composer: Composer, conf: Path) -> None:
    """Copy the YAML files, those of --config-dir over the others, so that edits come too late."""
    begun = conf.with_name(f".{conf.name}")
    try:
        for folder in composer.folders:
            shutil.copytree(folder, begun, dirs_exist_ok=True)
        begun.rename(conf)
    except OSError as error:
        raise runs.cannot_write(conf, error) from error


def named(
    composer: Composer, own: Sequence[str], overrides: Sequence[Override]
) -> Iterator[tuple[str, list[str]]]:
    """The directory's name and the settings of each job, in Hydra's order."""
    about = [str(override.input_line) for override in overrides if override.is_hydra_override()]
    free = [override for override in overrides if not override.is_hydra_override()]
    seen = set()
    for lines in BasicSweeper.split_arguments(free, None)[0]:
        cfg = composer.compose([*own, *about, *lines])
        try:
            name = str(cfg.hydra.sweep.subdir)
        except OmegaConfBaseException as error:
            raise UserError("hydra.sweep.subdir must name a job by its settings alone") from error
        if name in seen:
            raise UserError(f"two jobs are called {name}: hydra.sweep.subdir must tell them apart")
        seen.add(name)
        yield name, list(lines)
