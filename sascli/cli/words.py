"""The words after a command: flags, and settings rewritten where Hydra is stricter than `sas`."""

import re
import shlex
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from keyword import iskeyword
from typing import NoReturn

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, Quote, QuotedString
from hydra.errors import HydraException

from sascli.errors import UserError

RATES = ("lr", "decay")  # maps in the YAML files, so that lr.pi can be set; a number is enough
FLAGS = {
    "--help, -h": "this text; with settings, the defaults as they make them",
    "--multirun, -m": "a run for every combination of values: depth=3,4 lr=0.1,0.2",
    "--cfg job": "print the composed settings as YAML and stop",
    "--package KEY": "with --cfg: this part alone",
    "--resolve": "with --cfg: interpolations resolved",
    "--config-dir DIR": "a folder with YAML files of yours, e.g. DIR/experiment/mine.yaml",
}


class Parser(ArgumentParser):
    """Argparse that raises UserErrors."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of exiting."""
        raise UserError(f"{message}; `sas COMMAND --help` lists the flags")


def parsed(words: Sequence[str]) -> Namespace:
    """Flags and, as `settings`, the other words; they may stand between one another."""
    parser = Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("settings", nargs="*")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--help", "-h", action="store_true")
    action.add_argument("--multirun", "-m", action="store_true")
    action.add_argument("--cfg", "-c", choices=["job", "hydra", "all"])
    parser.add_argument("--package", "-p")
    parser.add_argument("--resolve", action="store_true")
    parser.add_argument("--config-dir", "-cd")
    args = parser.parse_intermixed_args(list(words))
    if (args.resolve or args.package) and not args.cfg:
        parser.error("--resolve and --package go with --cfg")
    return args


def with_key(words: Sequence[str], key: str | None) -> list[str]:
    """The words, the first of which may be the value of `key` alone."""
    if key is None or not words or words[0].startswith("-") or "=" in words[0]:
        return list(words)
    return [f"{key}={quoted(words[0])}", *words[1:]]


def quoted(text: str) -> str:
    """A text that Hydra's grammar takes as it is."""
    return str(QuotedString(text, Quote.single).with_quotes())


def read(word: str) -> Override:
    """A word in Hydra's grammar. Raises UserError for one that is no setting=value."""
    try:
        (override,) = OverridesParser.create().parse_overrides([word])
        override.value()
    except HydraException as error:
        raise UserError(unreadable(word)) from error
    if not override.key_or_group:
        raise UserError(unreadable(word))
    return override


def unreadable(word: str) -> str:
    """The message for a word that is no override."""
    key, _, value = word.partition("=")
    if not key.strip() or not value:
        return f"cannot read '{word}': write setting=value"
    if value.startswith("["):
        return f"cannot read '{word}': write a list as {key}=[1,2]"
    in_quotes = shlex.quote(f'{key}="{value}"')
    return f"cannot read '{word}': write a text with special characters in quotes, {in_quotes}"


def rewritten(override: Override, plain: Sequence[str] = ()) -> Override:
    """`lr=0.1` as `lr.default=0.1`, `from=x` as `from_=x`, since Python has the word.

    `plain` names more settings like lr. '+' cannot add a dead key.
    """
    if override.is_hydra_override() or override.is_delete():
        return override
    key = override.key_or_group
    if key in (*RATES, *plain) and not isinstance(override.value(), dict):
        key = f"{key}.default"
    elif iskeyword(key):
        key = f"{key}_"
    changed = replace(override, type=OverrideType.CHANGE, key_or_group=key)
    changed.input_line = f"{changed.get_key_element()}={override.get_value_string()}"
    return changed


def without_repeats(overrides: Sequence[Override]) -> list[Override]:
    """The last override of every key; what it replaces is printed as a warning."""
    last: dict[str, Override] = {}
    for override in overrides:
        if before := last.pop(override.key_or_group, None):
            print(f"warning: {override.input_line} replaces {before.input_line}", file=sys.stderr)
        last[override.key_or_group] = override
    return list(last.values())


def values(override: Override) -> list[str]:
    """The lines of a sweep, or the line itself. Raises UserError for a sweep without a list."""
    if not override.is_sweep_override():
        return [str(override.input_line)]
    if not override.is_discrete_sweep():
        raise UserError(f"{override.input_line} has no list of values: write them one by one")
    return [f"{override.get_key_element()}={v}" for v in override.sweep_string_iterator()]


def trials(overrides: Sequence[Override]) -> Iterator[list[str]]:
    """Lines of single runs in which each value of each sweep occurs, the first of all first."""
    lines = [values(override) for override in overrides]
    first = [line[0] for line in lines]
    yield first
    for i, several in enumerate(lines):
        for line in several[1:]:
            yield [*first[:i], line, *first[i + 1 :]]


def job_name(lines: Sequence[str]) -> str:
    """The folder of a job: its overrides in characters that shells and Hydra leave alone."""
    text = "+".join(line.lstrip("+") for line in lines).replace(".default=", "=")
    name = re.sub(r"[^\w.+-]+", "-", re.sub(r"[][{}'\"]", "", text)) or "job"
    return name if len(name) <= 200 else f"{name[:190]}-{sha256(name.encode()).hexdigest()[:8]}"
