"""A multirun: jobs checked, named and submitted, then handed to Hydra."""

import sys
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
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
from sascli.cli.composition import Composer, validated, values
from sascli.commands import run
from sascli.config import check, check_used, without_effect
from sascli.config.composition import CONF, VERSION_BASE, quoted
from sascli.config.overrides import typed_values
from sascli.errors import UserError
from sascli.jobs import multirun
from sascli.jobs.gpus import with_gpu
from sascli.jobs.record import recorded
from sascli.jobs.submit import check_launcher, check_shared, named, submit
from sascli.paths import is_folder
from sascli.training.signals import Stopped

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


class Checks:
    """Checks all jobs; composes few of them, because that takes 0.1 s for each.

    One job for each choice of groups and one with each value are composed. The settings of
    another job are those of its groups with its values, which takes a millisecond.
    """

    def __init__(
        self, composer: Composer, before: Sequence[str] = (), after: Sequence[str] = ()
    ) -> None:
        """All jobs have the overrides `before` and `after` those that differ."""
        self.composer, self.before, self.after = composer, before, after
        self.composed: list[DictConfig] = []
        self.checked: list[Any] = []
        self._is_group = cache(lambda key: bool(composer.files(key)))
        self._settings: dict[tuple[str, ...], Any] = {}  # of a job by its groups
        self._values: dict[str, Any] = {}  # by the override

    def check(self, job: Sequence[str], compose: bool) -> None:
        """Check the job with these overrides. Raises UserError for invalid settings."""
        pairs = [(line, line.partition("=")[0]) for line in job]
        groups = tuple(line for line, key in pairs if self._is_group(key))
        keys = {line: key for line, key in pairs if line not in groups}
        settings = self._settings.get(groups)
        if settings is not None and not compose and self._values.keys() >= keys.keys():
            # else a setting of other groups, or an interpolation: composing decides
            with suppress(UserError, LookupError, AttributeError):
                for line, key in keys.items():
                    put(settings, key, self._values[line])
                return check(settings)
        self.composed.append(self.composer.compose([*self.before, *job, *self.after]))
        self.checked.append(validated(self.composer.command, self.composed[-1]))
        self._settings.setdefault(groups, deepcopy(self.checked[-1]))
        with suppress(LookupError, AttributeError):  # the key of an element of a list
            self._values |= {line: value(self.checked[-1], key) for line, key in keys.items()}


def value(settings: Any, key: str) -> Any:
    """The value of a dotted key. Raises LookupError or AttributeError where there is none."""
    for name in key.split("."):
        settings = settings[name] if isinstance(settings, Mapping) else getattr(settings, name)
    return settings


def put(settings: Any, key: str, new: Any) -> None:
    """Replace the value of a dotted key. Raises LookupError or AttributeError for none."""
    value(settings, key)
    parent, _, name = key.rpartition(".")
    node = value(settings, parent) if parent else settings
    if isinstance(node, MutableMapping):
        node[name] = deepcopy(new)
    else:
        setattr(node, name, deepcopy(new))


def launch_jobs(composer: Composer, overrides: Sequence[Override], words: Sequence[str]) -> None:
    """Submit the jobs that are neither finished nor active, and wait for them.

    Raises UserError for invalid settings of any job, before the first one, and for a failed job.
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
    jobs = {name: [*job, *shared] for name, job in named(product(*swept)).items()}
    checks = Checks(composer, lines, shared)
    for job in product(*swept):
        checks.check(job, compose=bool(without_effect(checks.checked, typed)))
    configs, checked = checks.composed, checks.checked
    if not resubmitted:
        check_used(checked, typed)
        check_shared(
            typed_values(
                o for o in settings if not o.is_sweep_override() or o.key_or_group == "resume"
            ),
            checked[0],
        )
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
