"""`sas COMMAND [settings]`: from the words to one validated configuration, and to its command."""

import os
import sys
import traceback
from collections.abc import Sequence
from itertools import product
from typing import Any

from sascli import __version__, output
from sascli.cli.composition import Composer, validated, values
from sascli.cli.help import WORDS, command_help, completion, overview, parsed
from sascli.commands import COMMANDS, RENAMED, REPRODUCE, STUDIES, run, with_argument, with_study
from sascli.config import Plan, unknown
from sascli.config.composition import as_yaml, without_hydra
from sascli.config.overrides import as_typed, check_single, typed_values
from sascli.errors import UserError

INVALID, INTERRUPTED, BROKEN_PIPE = 2, 130, 141  # exit codes


def main(argv: Sequence[str] | None = None) -> int:
    """Run `sas` and return its exit code; an error that is not the user's is raised."""
    try:
        with output.guarded():
            dispatch(list(sys.argv[1:] if argv is None else argv))
    except UserError as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            traceback.print_exc()
        line = str(error).replace("\n", r"\n")  # one line, whatever was typed
        print(f"sas: {line}", file=sys.stderr)
        return INVALID
    except KeyboardInterrupt:
        print("sas: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader is gone
        return BROKEN_PIPE
    return 0


def dispatch(words: list[str], plan: bool = False) -> None:
    """Do what the command line says; with `plan` only say what it would train."""
    match with_study(words):
        case ["plan", command, *rest] if not plan and not command.startswith("-"):
            dispatch([command, *rest], plan=True)
        case [] | ["--help" | "-h", *_] | ["help"]:
            print(overview())
        case ["help", command, *rest]:
            dispatch([command, *rest, "--help"])
        case _ if "--version" in words:
            print(f"sas {__version__}")
        case ["completion", *rest]:
            print(completion(rest))
        case [command, *rest] if command in COMMANDS:
            launch(command, with_argument(command, rest), plan)
        case [command, "--help" | "-h", *_] if command == REPRODUCE:
            print(overview(REPRODUCE))
        case [command, *rest] if command == REPRODUCE:
            if not rest or "=" in rest[0] or rest[0].startswith("-"):
                raise UserError(f"`sas reproduce` needs a study: {', '.join(STUDIES)}")
            raise unknown(rest[0], STUDIES, "study")
        case [command, *_] if command in RENAMED:
            raise UserError(f"`sas {command}` is now called `sas {RENAMED[command]}`")
        case [command, *_]:
            raise unknown(command, [*COMMANDS, *WORDS], "command")


def launch(command: str, words: Sequence[str], plan: bool = False) -> None:
    """Show help or settings, or run or `plan` a command once or as a multirun."""
    args = parsed(words)
    composer = Composer(command, args.config_dir)
    overrides = composer.overrides(args.settings)
    if args.multirun and plan:
        trees = [composer.compose(lines) for lines in product(*map(values, overrides))]
        return run("plan", Plan(command, [validated(command, tree) for tree in trees]))
    if args.multirun:
        from sascli.cli.multirun import launch_jobs  # pandas

        return launch_jobs(composer, overrides, words)
    if args.help:
        cfg = composer.compose([values(override)[0] for override in overrides])
        return print(command_help(composer, cfg))
    for line in (as_typed(override) for override in overrides if override.is_sweep_override()):
        key = "seeds" if line.startswith("seed=") else line.partition("=")[0]
        raise UserError(
            f"{line} has several values: add --multirun to run each of them, "
            f"or write a list as {key}=[...]"
        )
    lines, typed = [str(o.input_line) for o in overrides], typed_values(overrides)
    if command == "train" and isinstance(typed.get("resume"), str) and not args.cfg:
        from sascli.commands.resume import resume  # pandas

        check_single(() if plan else overrides)
        return run(*job(command, resume(composer, lines, typed), plan))
    cfg = composer.compose(lines)
    if args.cfg:
        node = {"job": without_hydra(cfg), "hydra": cfg.hydra, "all": cfg}[args.cfg]
        print(as_yaml(node, args.package, args.resolve), end="")
    else:
        config = validated(command, cfg, overrides)
        check_single(() if plan else overrides)
        if settings := composer.published(cfg):
            print(settings, flush=True)
        run(*job(command, config, plan))


def job(command: str, config: Any, plan: bool) -> tuple[str, Any]:
    """A command with its settings, or `sas plan` with both."""
    return ("plan", Plan(command, [config])) if plan else (command, config)
