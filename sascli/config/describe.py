"""Settings as they are typed and read: keys, types in words, defaults with their meaning."""

import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from keyword import iskeyword
from types import UnionType
from typing import Any, get_args, get_type_hints

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf.errors import ValidationError

from sascli.config.rule import rule_schema
from sascli.config.settings import shown
from sascli.errors import UserError

MAPS = ("lr", "decay")
"""Maps in YAML, so that lr.pi can be set; on the command line a number is enough."""

TYPES: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    list[int]: "a list of whole numbers",
    list[float]: "a list of numbers",
    list[str]: "a list of texts",
    type(None): "null",
}


def describe_type(annotation: Any) -> str:
    """A type in words, empty where every value is allowed."""
    if is_dataclass(annotation):
        return f"a map of {', '.join(field.name for field in fields(annotation))}"
    parts = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    return " or ".join(TYPES[part] for part in parts if part in TYPES)


def wrong_type(error: ValidationError, schema: type) -> str:
    """Which type a setting must have, by the error for another one; empty for any type."""
    key, kind = str(error.full_key).split("[")[0], Any
    keys = key.split(".")
    if is_dataclass(error.object_type):  # else of an element of a list
        schema, keys = error.object_type, keys[-1:]
    for name in keys:
        kind = get_type_hints(schema).get(name, Any) if is_dataclass(schema) else Any
        schema = kind
    words = describe_type(kind)
    return f"{written(key)} must be {words}" if words else ""


def stored(key: str, value: Any, maps: Collection[str] = ()) -> str:
    """A typed key as the schema has it: a number for one of the MAPS or `maps` is its default.

    `from` is `from_`, since `from` is a Python keyword.
    """
    if key in (*MAPS, *maps) and not isinstance(value, dict):
        return f"{key}.default"
    return f"{key}_" if iskeyword(key) else key


def written(key: str) -> str:
    """A key of the schema as it is typed; the inverse of `stored`."""
    return key.removesuffix(".default").removesuffix("_")


def as_typed(override: Override) -> str:
    """An override as the user writes it: lr=0.1 for lr.default=0.1."""
    return f"{written(override.get_key_element())}={override.get_value_string()}"


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


def typed_values(overrides: Iterable[Override]) -> dict[str, Any]:
    """What was typed: values by dotted key, those of a sweep as text; no settings of Hydra."""
    typed: dict[str, Any] = {}
    for override in overrides:
        if not override.is_hydra_override():
            sweeps = override.is_sweep_override()
            value = override.get_value_string() if sweeps else override.value()
            typed |= leaves({override.key_or_group: value})
    return typed


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys, as typed, and values."""
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield written(f"{prefix}{key}"), value


def listing(schema: Any, values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Each setting of a schema as `key=default`, with its meaning and its type."""
    hints = get_type_hints(schema)
    for field in fields(schema):
        key, value = f"{prefix}{field.name}", values[field.name]
        meaning, kind = field.metadata.get("help", ""), hints[field.name]
        if field.name == "rule" and value is not None:
            kind = rule_schema(value["name"])
        if is_dataclass(kind):
            yield from listing(kind, value, f"{key}.")
        elif isinstance(value, dict) and "default" not in value:
            yield f"{key}.*", meaning
            yield from ((f"{key}.{name}={shown(value[name])}", meaning) for name in value)
        else:
            value = value["default"] if isinstance(value, dict) else value
            words = describe_type(kind)
            yield f"{written(key)}={shown(value)}", f"{meaning} ({words})" if words else meaning
