"""`sas COMMAND [overrides]`: takes the command word off and hands over to that command."""

import os
import sys
import traceback
from collections.abc import Sequence
from importlib import metadata

from sascli.cli.completion import completion
from sascli.cli.help import command_help, overview
from sascli.cli.launch import launch
from sascli.cli.overrides import with_key
from sascli.commands import COMMANDS, RENAMED, REPRODUCE, studies, with_study
from sascli.config import unknown
from sascli.errors import UserError

MISTAKE, INTERRUPTED, BROKEN_PIPE = 2, 130, 141  # exit codes


def main(argv: Sequence[str] | None = None) -> int:
    """Run `sas` and return its exit code; an error that is not the user's is raised."""
    full_error = os.environ.get("HYDRA_FULL_ERROR") == "1"
    try:
        dispatch(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
    except UserError as error:
        if full_error:
            traceback.print_exc()
        said = str(error).replace("\n", r"\n")  # one line, whatever was typed
        print(f"sas: {said}", file=sys.stderr)
        return MISTAKE
    except KeyboardInterrupt:
        print("sas: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # nobody reads on: say no more, not even when Python flushes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    return 0


def dispatch(words: list[str]) -> None:
    """Do what the command line says."""
    match with_study(words):
        case [] | ["--help" | "-h", *_]:
            print(overview())
        case [command, "--help" | "-h", *_] if command == REPRODUCE:
            print(overview(REPRODUCE))
        case [command, *rest] if command == REPRODUCE:
            if not rest or "=" in rest[0] or rest[0].startswith("-"):
                raise UserError(f"`sas reproduce` needs a study: {', '.join(studies())}")
            raise unknown(rest[0], studies(), "study")
        case _ if "--version" in words:
            print(f"sas {version()}")
        case ["completion", *rest]:
            print(completion(rest))
        case [command, *rest] if command in COMMANDS:
            rest = with_key(rest, COMMANDS[command].argument)
            if "--help" in rest or "-h" in rest:
                print(command_help(command, rest))
            else:
                launch(command, rest)
        case [command, *_] if command in RENAMED:
            raise UserError(f"`sas {command}` is called `sas {RENAMED[command]}` now")
        case [command, *_]:
            raise unknown(command, [*COMMANDS, "completion", "--help", "--version"], "command")


def version() -> str:
    """The installed version."""
    try:
        return metadata.version("sas-credit")
    except metadata.PackageNotFoundError:
        return "of a checkout that is not installed"
