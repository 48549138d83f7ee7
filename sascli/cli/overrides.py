"""The words after a command: read, rewritten where Hydra is stricter than `sas`, tried out."""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from keyword import iskeyword
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, Quote, QuotedString
from hydra.errors import HydraException

from sascli.cli.composition import Composer
from sascli.commands import COMMANDS
from sascli.errors import UserError

RATES = ("lr", "decay")  # maps in the YAML files, so that lr.pi can be set; a number is enough


def read(words: Sequence[str], composer: Composer) -> list[Override]:
    """The overrides, ready for Hydra. Raises UserError for one that cannot be read."""
    parser = OverridesParser.create(composer.loader)
    overrides = []
    for word in words:
        try:
            (override,) = parser.parse_overrides([word])
            key, value = override.key_or_group, override.value()
        except HydraException as error:
            raise UserError(unreadable(word)) from error
        if not key:
            raise UserError(unreadable(word))
        if isinstance(value, bool | int | float) and composer.options(key):
            raise composer.unknown_option(key, value)
        placed = composer.placed(key, override.get_value_string())
        if placed != override.get_value_string():
            (override,) = parser.parse_overrides([f"{override.get_key_element()}={placed}"])
        overrides.append(rewritten(override, key, value, composer.command))
    return overrides


def with_key(words: Sequence[str], key: str | None) -> list[str]:
    """The words, the first of which may be the value of `key` alone."""
    if key is None or not words or words[0].startswith("-") or "=" in words[0]:
        return list(words)
    return [f"{key}={quoted(words[0])}", *words[1:]]


def quoted(text: str) -> str:
    """A text that Hydra's grammar takes as it is."""
    return str(QuotedString(text, Quote.single).with_quotes())


def unreadable(word: str) -> str:
    """The message for a word that is no override."""
    key, _, value = word.partition("=")
    if not key.strip() or not value:
        return f"cannot read '{word}': write setting=value"
    if value.startswith("["):
        return f"cannot read '{word}': write a list as {key}=[1,2]"
    quoted = shlex.quote(f'{key}="{value}"')
    return f"cannot read '{word}': write a text with special characters in quotes, {quoted}"


def rewritten(override: Override, key: str, value: Any, command: str) -> Override:
    """`lr=0.1` as `lr.default=0.1`, `from=x` as `from_=x`, since Python has the word.

    `rule` is open, and elsewhere '+' cannot add a dead key.
    """
    if override.is_hydra_override() or override.is_delete():
        return override
    free = key.startswith("rule.")  # its file knows the rule's settings and checks them
    if key in (*RATES, *COMMANDS[command].plain) and not isinstance(value, dict):
        key = f"{key}.default"
    elif iskeyword(key):
        key = f"{key}_"
    kind = OverrideType.FORCE_ADD if free else OverrideType.CHANGE
    changed = replace(override, type=kind, key_or_group=key)
    changed.input_line = f"{changed.get_key_element()}={override.get_value_string()}"
    return changed


def choices(override: Override) -> list[str]:
    """The lines that a sweep gives, or the line itself; none where they cannot be listed."""
    if not override.is_sweep_override():
        return [str(override.input_line)]
    if not override.is_discrete_sweep():
        return []
    return [f"{override.get_key_element()}={v}" for v in override.sweep_string_iterator()]


def trials(overrides: Sequence[Override]) -> Iterator[list[str]]:
    """Lines of single runs in which each value of each sweep occurs, the first of all first."""
    several = [lines for lines in map(choices, overrides) if lines]
    first = [lines[0] for lines in several]
    yield first
    for i, lines in enumerate(several):
        for line in lines[1:]:
            yield [*first[:i], line, *first[i + 1 :]]


def job_name(overrides: str) -> str:
    """The folder of a job: its overrides in characters that shells and Hydra leave alone."""
    name = re.sub(r"[][{}'\"]|\+\+", "", overrides.replace(".default=", "="))
    name = re.sub(r"[^\w.+-]+", "-", name) or "job"
    return name if len(name) <= 200 else f"{name[:190]}-{sha256(name.encode()).hexdigest()[:8]}"
