"""What `sas --help` and `sas COMMAND --help` print."""

import dataclasses
import shutil
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_type_hints

from omegaconf import DictConfig, OmegaConf

from sascli.cli.composition import Composer, describe_type, schema_of, written
from sascli.cli.words import FLAGS
from sascli.commands import COMMANDS
from sascli.config import rule_schema

NOTES = """
Later wins: the groups as they stand above, then the command line. experiment=NAME takes what the
file conf/experiment/NAME.yaml sets and is for the command named beside it above. Lists are
written width=[100,50]; null means none. The runs of --multirun lie in
<outputs>/<command>/multirun/<version>, named by what differs. A mistake ends with one line and
exit code 2; HYDRA_FULL_ERROR=1 shows the traceback.
"""
HEAD = """\
usage: sas COMMAND [setting=value ...] [flags]

Train networks of spike-and-slab weights, measure them, and draw what was measured.
"""
TAIL = """
`sas COMMAND --help` lists the settings of a command with their meaning, `sas --version` says
which sas this is. For tab completion in bash: eval "$(sas completion bash)"
"""


def table(rows: Iterable[tuple[str, str]], column: int) -> str:
    """Two columns, the second wrapped, for the width of the terminal."""
    width = min(shutil.get_terminal_size().columns, 99)
    indent = " " * (column + 4)
    lines = []
    for left, right in rows:
        first = f"  {left:<{column}}  "
        if len(first) > len(indent):
            lines.append(first.rstrip())
            first = indent
        lines += textwrap.wrap(right, width, initial_indent=first, subsequent_indent=indent) or [
            first.rstrip()
        ]
    return "\n".join(lines)


def overview(beginning: str = "") -> str:
    """`sas --help`; or of the commands with this beginning alone."""
    chosen = {name: own for name, own in COMMANDS.items() if name.startswith(beginning)}
    commands = [(name, command.summary) for name, command in chosen.items()]
    examples = [example for command in chosen.values() for example in command.examples[:2]]
    listed = table(commands, max(map(len, chosen)))
    return f"{HEAD}\ncommands:\n{listed}\n\nexamples:\n{table(examples, 30)}\n{TAIL}".rstrip()


def command_help(composer: Composer, cfg: DictConfig) -> str:
    """`sas COMMAND --help`, with the defaults of a composed configuration."""
    command = composer.command
    entry = COMMANDS[command]
    return "\n".join(
        [
            f"usage: sas {command} [setting=value ...] [flags]",
            f"\n{entry.summary[:1].upper()}{entry.summary[1:]}.",
            "\ngroups (each option is a YAML file of settings; * is chosen):",
            table(groups(composer, cfg), 22),
            "\nsettings and their defaults:",
            table(settings(schema_of(command), cfg), 22),
            "\nflags:",
            table(FLAGS.items(), 22),
            "\nexamples:",
            table(entry.examples, 42),
            NOTES.rstrip(),
        ]
    )


def groups(composer: Composer, cfg: DictConfig) -> Iterator[tuple[str, str]]:
    """Each option of the command's own groups with the first comment of its file."""
    for group, chosen in composer.groups(cfg).items():
        if group.startswith("hydra"):
            continue
        folder, options = composer.conf / composer.place(group), composer.options(group)
        if not options:
            yield f"{group}=NAME", "none yet"
        for option in options:
            star = "*" if option == chosen else ""
            yield f"{group}={option}{star}", comment(folder / f"{option}.yaml")


def comment(path: Path) -> str:
    """The first comment of a YAML file that is not a directive."""
    lines = path.read_text().splitlines() if path.is_file() else []
    said = [line[1:].strip() for line in lines if line.startswith("#") and "@package" not in line]
    return said[0] if said else ""


def settings(schema: Any, cfg: DictConfig, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Each setting of a schema as `key=default`, with its meaning and its type."""
    hints = get_type_hints(schema)
    for field in dataclasses.fields(schema):
        key, value = f"{prefix}{field.name}", cfg[field.name]
        meaning, kind = field.metadata.get("help", ""), hints[field.name]
        if field.name == "rule" and value is not None:
            kind = rule_schema(value.name)
        if dataclasses.is_dataclass(kind):
            yield from settings(kind, value, f"{key}.")
        elif OmegaConf.is_dict(value) and "default" not in value:
            yield f"{key}.*", meaning
            yield from ((f"{key}.{name}={shown(value[name])}", meaning) for name in value)
        else:
            value = value.default if OmegaConf.is_dict(value) else value
            words = describe_type(kind)
            yield f"{written(key)}={shown(value)}", f"{meaning} ({words})" if words else meaning


def shown(value: Any) -> str:
    """A value as it is written on the command line."""
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    if OmegaConf.is_list(value):
        return f"[{','.join(map(shown, value))}]"
    return str(value)
