"""A multirun: jobs checked, named and submitted, then handed to Hydra."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from hydra.core.utils import env_override
from hydra.errors import HydraException
from omegaconf import DictConfig

from sascli import runs
from sascli.cli.composition import Composer, validated, values
from sascli.commands import run
from sascli.config import check_used, without_effect
from sascli.config.composition import CONF, VERSION_BASE
from sascli.config.overrides import quoted, typed_values
from sascli.config.paths import is_folder
from sascli.errors import UserError
from sascli.jobs import multirun
from sascli.jobs.gpus import with_gpu
from sascli.jobs.record import recorded
from sascli.jobs.submit import check_launcher, check_shared, named, submit
from sascli.training.signals import Stopped

MOST = 100
"""Jobs that are composed to check pairs of values, 0.1 s each; beyond it, single values."""
SWEEPER = "hydra_plugins.sas_sweeper.Submitted"


@dataclass(frozen=True)
class Job:
    """Hydra calls it with the settings of each job, in this process or in a launcher's worker."""

    command: str
    argv: tuple[str, ...]  # the command line of the multirun
    version: Mapping[str, Any]  # of the code when the multirun was submitted

    def __call__(self, cfg: DictConfig) -> None:
        """Run the command; Hydra records a failure and continues with the other jobs."""
        sys.argv = list(self.argv)
        directory = Path(HydraConfig.get().runtime.output_dir)
        try:
            with recorded(directory, self.command, self.version):
                run(self.command, with_gpu(validated(self.command, cfg)), directory)
        except Stopped as stopped:
            if runs.slurm.preempts(stopped):
                runs.slurm.wait_for_end()
            raise


def launch_jobs(composer: Composer, overrides: Sequence[Override], words: Sequence[str]) -> None:
    """Submit the jobs that are neither finished nor active, and wait for them.

    Raises UserError for invalid settings, alone or in pairs, before the first job, and for a
    failed job.
    """
    command = composer.command
    of_hydra = {o.key_or_group: o for o in overrides if o.is_hydra_override()}
    if "hydra.sweep.subdir" in of_hydra:
        raise UserError("jobs are named by their settings: leave hydra.sweep.subdir out")
    place = of_hydra.get("hydra.sweep.dir")
    directory = Path(str(place.value())) if place else None
    resubmitted = directory is not None and is_folder(directory / CONF)
    if directory is not None and resubmitted:  # settings of the first submission
        composer = Composer(command, conf=(directory / CONF).absolute())
    lines = [str(override.input_line) for override in of_hydra.values()]
    settings = [override for override in overrides if not override.is_hydra_override()]
    shared = [str(o.input_line) for o in settings if not o.is_sweep_override()]
    typed = typed_values(settings)
    swept = [values(override) for override in settings if override.is_sweep_override()]
    different = named(product(*swept))
    jobs = {name: [*job, *shared] for name, job in different.items()}
    configs: list[DictConfig] = []
    checked: list[Any] = []
    seen: set[tuple[str, ...]] = set()
    for job in different.values():
        most = 2 if len(configs) < MOST else 1
        parts = {part for n in range(1, most + 1) for part in combinations(job, n)}
        # few jobs contain all pairs of values and use all settings: save time
        if not configs or not seen.issuperset(parts) or without_effect(checked, typed):
            configs.append(composer.compose([*lines, *job, *shared]))
            checked.append(validated(command, configs[-1]))
            seen |= parts
    if not resubmitted:
        check_used(checked, typed)
        alike = [o for o in settings if not o.is_sweep_override() or o.key_or_group == "resume"]
        check_shared(typed_values(alike), checked[0])
    for text in dict.fromkeys(filter(None, map(composer.published, configs))):
        print(text)
    check_launcher(str(configs[0].hydra.launcher.get("_target_")))
    argv = [*command.split(), *words]
    parent = Path(configs[0].outputs) / composer.name / runs.MULTIRUN
    directory, number, left = submit(directory, parent, composer.folders, jobs, argv)
    count = f"{len(left)} to run" if left else "nothing is left to run"
    print(f"jobs in {directory}\n{count}; `sas collect` shows their status", flush=True)
    if not left:
        return
    lines += [f"hydra.sweep.dir={quoted(str(directory))}", f"hydra.sweeper._target_={SWEEPER}"]
    lines.append(f"+hydra.sweeper.submission={number}")
    sys.argv = ["sas", "-m", *lines]  # where hydra.main reads
    try:
        main = hydra.main(str(directory / CONF), composer.name, VERSION_BASE)
        with env_override({"HYDRA_FULL_ERROR": "1"}):  # it raises instead of printing and exiting
            main(Job(command, ("sas", *argv), runs.code_version()))()
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
