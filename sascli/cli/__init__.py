"""`sas COMMAND [settings]`: from the words to one validated configuration, and to its command."""

import os
import sys
import traceback
from collections.abc import Sequence
from importlib import metadata

from omegaconf import DictConfig, OmegaConf

from sascli.cli.completion import completion
from sascli.cli.composition import Composer, validated, without_hydra
from sascli.cli.help import command_help, overview
from sascli.cli.words import parsed, read, trials, with_key, without_repeats
from sascli.commands import COMMANDS, RENAMED, REPRODUCE, run, studies, with_study
from sascli.config import unknown
from sascli.errors import UserError

INVALID, INTERRUPTED, BROKEN_PIPE = 2, 130, 141  # exit codes


def main(argv: Sequence[str] | None = None) -> int:
    """Run `sas` and return its exit code; an error that is not the user's is raised."""
    try:
        dispatch(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
    except UserError as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            traceback.print_exc()
        line = str(error).replace("\n", r"\n")  # one line, whatever was typed
        print(f"sas: {line}", file=sys.stderr)
        return INVALID
    except KeyboardInterrupt:
        print("sas: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # nobody reads on: print no more, not even when Python flushes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    return 0


def dispatch(words: list[str]) -> None:
    """Do what the command line says."""
    match with_study(words):
        case [] | ["--help" | "-h", *_]:
            print(overview())
        case _ if "--version" in words:
            print(f"sas {version()}")
        case ["completion", *rest]:
            print(completion(rest))
        case [command, *rest] if command in COMMANDS:
            launch(command, with_key(rest, COMMANDS[command].argument))
        case [command, "--help" | "-h", *_] if command == REPRODUCE:
            print(overview(REPRODUCE))
        case [command, *rest] if command == REPRODUCE:
            if not rest or "=" in rest[0] or rest[0].startswith("-"):
                raise UserError(f"`sas reproduce` needs a study: {', '.join(studies())}")
            raise unknown(rest[0], studies(), "study")
        case [command, *_] if command in RENAMED:
            raise UserError(f"`sas {command}` is called `sas {RENAMED[command]}` now")
        case [command, *_]:
            raise unknown(command, [*COMMANDS, "completion", "--help", "--version"], "command")


def launch(command: str, words: Sequence[str]) -> None:
    """Show help or settings, or run a command once or as a multirun."""
    args = parsed(words)
    composer = Composer(command, args.config_dir)
    overrides = [read(word) for word in args.settings]
    overrides = without_repeats([composer.resolved(override) for override in overrides])
    if args.help:
        cfg = composer.compose(next(trials(overrides)))
        print(command_help(composer, cfg))
    elif args.multirun:
        from sascli.cli.multirun import launch_jobs  # pandas

        launch_jobs(composer, overrides, words)
    else:
        for override in overrides:
            if override.is_sweep_override():
                line, key = override.input_line, override.key_or_group
                key = "seeds" if key == "seed" else key
                raise UserError(
                    f"{line} has several values: add --multirun to run each of them, "
                    f"or write a list as {key}=[...]"
                )
        cfg = composer.compose([str(override.input_line) for override in overrides])
        if args.cfg:
            print(shown(cfg, args.cfg, args.package, args.resolve), end="")
        else:
            run(command, validated(command, cfg))


def shown(cfg: DictConfig, part: str, package: str | None, resolve: bool) -> str:
    """Settings as YAML: those of the command, Hydra's or all, or what is below a key."""
    node = {"job": without_hydra(cfg.copy()), "hydra": cfg.hydra, "all": cfg}[part]
    node = OmegaConf.select(node, package) if package else node
    if node is None:
        raise UserError(f"--package: there is no setting {package}")
    return OmegaConf.to_yaml(node, resolve=resolve)


def version() -> str:
    """The installed version."""
    try:
        return metadata.version("sas-credit")
    except metadata.PackageNotFoundError:
        return "of a checkout that is not installed"
