"""A command handed to Hydra: flags sorted out, settings checked first, errors told plainly."""

import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.types import Override
from hydra.core.utils import env_override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from sascli import slurm
from sascli.cli.composition import CONF, VERSION_BASE, Composer, config_name
from sascli.cli.overrides import job_name, read, trials
from sascli.commands import job_directory, module_of
from sascli.errors import UserError
from sascli.stopping import Stopped

# Here, because the workers of a launcher unpickle a Job, and so import this module, first.
OmegaConf.register_new_resolver("job_name", job_name, replace=True)


class Failed(BaseException):
    """Carries an error of a single run past Hydra, which would announce it in its own words."""


@dataclass(frozen=True)
class Job:
    """What Hydra calls with the configuration: the task of a command, imported only now."""

    command: str
    argv: tuple[str, ...]
    version: Mapping[str, Any] | None = None  # of the code when a multirun was submitted

    def __call__(self, cfg: DictConfig) -> None:
        """Run the task; sys.argv is what the user typed, also in a launcher's worker."""
        sys.argv = list(self.argv)
        try:
            self.work(cfg)
        except Stopped as stopped:
            if slurm.preempts(stopped):
                slurm.make_room()
            raise

    def work(self, cfg: DictConfig) -> None:
        """Run the task, and note how a job of a multirun ends."""
        directory = job_directory()
        if directory is not None and self.version is not None:
            from sascli import multirun  # pandas

            # Of a failure Hydra takes note, and goes on with the other jobs.
            with multirun.recorded(directory, self.command, self.version):
                import_module(module_of(self.command)).task(cfg)
            return
        try:
            import_module(module_of(self.command)).task(cfg)
        except Exception as error:
            raise Failed from error


def refuse(message: str) -> NoReturn:
    """Argparse's way out."""
    raise UserError(f"{message}; `sas COMMAND --help` lists the flags")


def parsed(words: Sequence[str]) -> tuple[Namespace, list[str]]:
    """Hydra's flags, parsed and as typed: they may stand between the overrides."""
    parser = get_args_parser()
    parser.error = refuse  # type: ignore[method-assign]
    args = parser.parse_intermixed_args(list(words))
    flags = list(words)
    for override in args.overrides:
        flags.remove(override)
    actions = [args.run, args.multirun, args.cfg, args.info, args.shell_completion]
    if sum(map(bool, actions)) > 1:
        refuse("only one of --run, --multirun, --cfg and --info can be asked for")
    if args.resolve and not args.cfg:
        refuse("--resolve goes with --cfg")
    if args.config_path or args.config_name:
        refuse("the command decides on --config-path and --config-name: use --config-dir")
    return args, flags


def checked(overrides: Sequence[Override], composer: Composer, args: Namespace) -> DictConfig:
    """The first configuration of all that the overrides ask for, each value tried."""
    first, *_ = [composer.compose(lines) for lines in trials(overrides)]
    if args.multirun:
        first.hydra.mode = RunMode.MULTIRUN
    if first.hydra.mode is not RunMode.MULTIRUN:
        for override in overrides:
            if override.is_sweep_override():
                line, key = override.input_line, override.key_or_group
                key = "seeds" if key == "seed" else key
                raise UserError(
                    f"{line} has several values: add --multirun to run each of them, "
                    f"or write a list as {key}=[...]"
                )
    return first


def kept(overrides: Sequence[Override]) -> Path | None:
    """The settings kept by an earlier submission to the sweep directory that is named."""
    named = [str(o.value()) for o in overrides if o.key_or_group == "hydra.sweep.dir"]
    conf = Path(named[-1]).absolute() / CONF if named else None
    return conf if conf is not None and conf.is_dir() else None


@contextmanager
def as_argv(words: Sequence[str]) -> Iterator[None]:
    """sys.argv as if the user had typed these words."""
    before, sys.argv = sys.argv, ["sas", *words]
    try:
        yield
    finally:
        sys.argv = before


def launch(command: str, words: Sequence[str]) -> None:
    """Run a command. Raises UserError for the user's mistakes and lets other errors pass."""
    args, flags = parsed(words)
    composer = Composer(command, args.config_dir)
    overrides = read(args.overrides, composer)
    if conf := kept(overrides):
        composer = Composer(command, conf=conf)
    cfg = checked(overrides, composer, args)
    lines = [str(override.input_line) for override in overrides]
    shows = args.cfg or args.info or args.shell_completion or args.hydra_help
    if cfg.hydra.mode is RunMode.MULTIRUN and not shows:
        from sascli.cli import submission  # pandas

        submitted = submission.submit(command, cfg, overrides, composer, words)
        print(submitted, flush=True)
        if submitted.count:
            job = Job(command, ("sas", *command.split(), *words), submitted.version)
            with submitted.told():
                run(job, Composer(command, conf=submitted.conf), ["-m", *submitted.lines, *lines])
    else:
        run(Job(command, ("sas", *command.split(), *words)), composer, [*flags, *lines])


def run(job: Job, composer: Composer, words: Sequence[str]) -> None:
    """Hand over to Hydra, with words that it understands."""
    main = hydra.main(
        version_base=VERSION_BASE,
        config_path=str(composer.conf),
        config_name=config_name(job.command),
    )
    failure: Any = None
    # Full errors, so that Hydra raises them instead of printing and exiting.
    with as_argv(words), env_override({"HYDRA_FULL_ERROR": "1"}):
        try:
            main(job)()
        except Failed as failed:
            failure = failed.__cause__
        except HydraException as error:
            raise composer.mistake(error) from error
    if failure is not None:
        raise failure
