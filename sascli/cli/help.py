"""What can follow `sas`: the flags of a command, help, and completion by the shell."""

import re
from argparse import SUPPRESS, ArgumentParser, HelpFormatter, Namespace
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from shutil import get_terminal_size
from typing import Any, NoReturn

from omegaconf import DictConfig, OmegaConf

from sascli.cli.composition import Composer
from sascli.commands import COMMANDS, REPRODUCE, STUDIES, schema_of, with_study
from sascli.commands.values import completions
from sascli.config.composition import about, comments, groups, without_hydra
from sascli.config.describe import listing
from sascli.errors import UserError

WORDS = ("help", "completion", "--help", "--version")  # or a command, as the first word
SHELLS = ("bash", "zsh", "fish")
ABOUT = "Train networks of spike-and-slab weights, measure them, and draw the results."
TAIL = """
`sas help COMMAND` lists the settings of a command, `sas --version` prints the version. For tab
completion in bash or zsh: eval "$(sas completion bash)"; fish: sas completion fish | source"""
NOTES = """
A later setting wins: groups in the order above, then the command line. Lists are written
'width=[100,50]', quoted for the shell; null means none. The jobs of --multirun are in
<outputs>/<command>/multirun/<version>, named by the settings that differ. An error is one line
with exit code 2; HYDRA_FULL_ERROR=1 adds the traceback."""


class Parser(ArgumentParser):
    """Argparse that raises UserErrors, and prints rows of a table like arguments."""

    def __init__(self, command: str, description: str = "", epilog: str = "") -> None:
        width = min(get_terminal_size().columns, 99)
        super().__init__(
            usage=f"sas {command} [setting=value ...] [flags]",
            description=description,
            epilog=epilog,
            formatter_class=lambda prog: HelpFormatter(prog, 2, 27, width),
            add_help=False,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Raise instead of exiting."""
        raise UserError(f"{message}; `sas COMMAND --help` lists the flags")

    def add_table(self, title: str, rows: Iterable[tuple[str, str]]) -> None:
        """Add two columns under a title."""
        group = self.add_argument_group(title)
        for left, right in rows:
            group.add_argument(left, help=right.replace("%", "%%"))

    def add_flags(self) -> None:
        """Add what follows a command: flags and, as `settings`, the other words."""
        self.add_argument("settings", nargs="*", help=SUPPRESS)
        group = self.add_argument_group("flags")
        action = group.add_mutually_exclusive_group()
        true: Any = {"action": "store_true"}
        action.add_argument("--help", "-h", **true, help="this text; settings change its defaults")
        text = "a run for every combination of values: depth=3,4 lr=0.1,0.2"
        action.add_argument("--multirun", "-m", **true, help=text)
        options: Any = {"metavar": "PART", "choices": ("job", "hydra", "all")}
        text = "print the composed settings as YAML; PART is job, hydra or all"
        action.add_argument("--cfg", "-c", **options, help=text)
        group.add_argument("--package", "-p", metavar="KEY", help="with --cfg: only this part")
        group.add_argument("--resolve", **true, help="with --cfg: interpolations resolved")
        text = "a folder with more YAML files, e.g. DIR/experiment/mine.yaml"
        group.add_argument("--config-dir", "-cd", metavar="DIR", help=text)


def parsed(words: Sequence[str]) -> Namespace:
    """Flags and, as `settings`, the other words, in any order."""
    parser = Parser("COMMAND")
    parser.add_flags()
    args = parser.parse_intermixed_args(list(words))
    if (args.resolve or args.package) and not args.cfg:
        parser.error("--resolve and --package need --cfg")
    return args


def overview(start: str = "") -> str:
    """`sas help`, for the commands whose names begin with `start`."""
    chosen = {name: about(name) for name in COMMANDS if name.startswith(start)}
    parser = Parser("COMMAND", ABOUT, TAIL)
    parser.add_table("commands", ((name, summary) for name, (summary, _) in chosen.items()))
    examples = (example for _, examples in chosen.values() for example in examples[:2])
    parser.add_table("examples", examples)
    return parser.format_help().rstrip()


def command_help(composer: Composer, cfg: DictConfig) -> str:
    """`sas help COMMAND`, with the defaults of a composed configuration."""
    summary, examples = about(composer.command)
    parser = Parser(composer.command, f"{summary[:1].upper()}{summary[1:]}.", NOTES)
    parser.add_table("groups (YAML files of settings; * is chosen)", options(composer, cfg))
    defaults: Any = OmegaConf.to_container(without_hydra(cfg), resolve=True)
    settings = listing(schema_of(composer.command), defaults)
    parser.add_table("settings and their defaults", settings)
    parser.add_flags()
    parser.add_table("examples", examples)
    return parser.format_help().rstrip()


def options(composer: Composer, cfg: DictConfig) -> Iterator[tuple[str, str]]:
    """Each option of the command's own groups with the first comment of its file."""
    for group, chosen in groups(cfg).items():
        files = {} if group.startswith("hydra") else composer.files(group)
        for option, path in files.items():
            if not composer.foreign(path):
                yield f"{group}={option}{'*' * (option == chosen)}", "".join(comments(path)[:1])


def completion(words: list[str]) -> str:
    """What `sas completion ...` prints."""
    match words:
        case [shell] if shell in SHELLS:
            return Path(__file__).with_name(f"completion.{shell}").read_text()
        case ["query", line]:
            return "\n".join(candidates(line))
    raise UserError(
        'for tab completion in bash, write: eval "$(sas completion bash)"; also zsh, fish'
    )


def candidates(line: str) -> list[str]:
    """The words that can end a command line, complete ones with a space after them."""
    done = line.split()
    word = "" if not done or line[-1:].isspace() else done.pop()
    words: list[str] = []
    match with_study(done[1 + (done[1:2] == ["plan"]) :]):
        case [] | ["help"]:
            words = [*(name.split()[0] for name in COMMANDS), *WORDS]
        case [command] | ["help", command] if command == REPRODUCE:
            words = list(STUDIES)
        case ["completion"]:
            words = [*SHELLS]
        case [command, *_] if command in COMMANDS and word.startswith("-"):
            parser = Parser(command)
            parser.add_flags()
            words = re.findall(r"^  (--[\w-]+)", parser.format_help(), re.MULTILINE)
        case [command, *before] if command in COMMANDS:
            words = completions(command, word, before)
    matches = dict.fromkeys(match for match in words if match.startswith(word))
    return [match if match.endswith("=") else f"{match} " for match in matches]
