"""Settings as they are typed, `setting=value` in Hydra's grammar."""

import shlex
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException

from sascli.config.describe import leaves, written
from sascli.errors import UserError


def as_typed(override: Override) -> str:
    """An override as the user writes it: lr=0.1 for lr.default=0.1."""
    return f"{written(override.get_key_element())}={override.get_value_string()}"


def check_single(overrides: Iterable[Override]) -> None:
    """Raises UserError for a launcher or another setting of Hydra where a command runs once."""
    for override in overrides:
        if override.is_hydra_override():
            text = "has an effect in a multirun only: add --multirun"
            raise UserError(f"{as_typed(override)} {text}")


def read(word: str) -> Override:
    """A word in Hydra's grammar. Raises UserError unless it is setting=value."""
    with suppress(HydraException):
        (override,) = OverridesParser.create().parse_overrides([word])
        override.value()
        if override.key_or_group:
            return override
    key, _, value = word.partition("=")
    form = "setting=value"
    if key.strip() and value:
        in_quotes = f'{key}="{value}"'
        form = f"a text with special characters in quotes, {shlex.quote(in_quotes)}"
        form = f"a list as {key}=[1,2]" if value.startswith("[") else form
    raise UserError(f"cannot read '{word}': write {form}")


def word(key: str, text: str) -> str:
    """`key=text`, in quotes where Hydra's grammar would read another value."""
    with suppress(UserError):
        if read(f"{key}={text}").value() == text:
            return f"{key}={text}"
    return f"{key}={quoted(text)}"


def quoted(text: str) -> str:
    """A text that Hydra's grammar takes literally."""
    return str(QuotedString(text, Quote.single).with_quotes())


def typed_values(overrides: Iterable[Override]) -> dict[str, Any]:
    """What was typed: values by dotted key, those of a sweep as text; no settings of Hydra.

    The key of a group with a package is the package: task.optim for optim@task.optim.
    """
    typed: dict[str, Any] = {}
    for override in overrides:
        if not override.is_hydra_override():
            sweeps = override.is_sweep_override()
            value = override.get_value_string() if sweeps else override.value()
            typed |= leaves({override.package or override.key_or_group: value})
    return typed
