"""Settings in words: keys as typed and as stored, types, defaults with their meaning."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass
from keyword import iskeyword
from types import UnionType
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from sascli.config.rule import rule_schema
from sascli.config.settings import shown

if TYPE_CHECKING:  # runs need no omegaconf
    from omegaconf.errors import ValidationError

MAPS = tuple(f"{part}{key}" for part in ("", "task.", "pixels.") for key in ("lr", "decay"))
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


def kind_of(schema: Any, key: str) -> Any:
    """The type of the setting with a dotted key; Any where the schema has none."""
    for name in key.split("."):
        schema = get_type_hints(schema).get(name, Any) if is_dataclass(schema) else Any
    return schema


def wrong_type(error: "ValidationError", schema: type) -> str:
    """Which type a setting must have, by the error for another one; empty for any type."""
    key = full = str(error.full_key).split("[")[0]
    if is_dataclass(error.object_type):  # else of an element of a list
        schema, key = error.object_type, full.rpartition(".")[2]
    words = describe_type(kind_of(schema, key))
    return f"{written(full)} must be {words}" if words else ""


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
