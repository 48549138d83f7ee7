"""What every schema is made with: fields, their check, their hash, errors that help."""

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, field, fields
from math import inf
from typing import Any, TypeGuard, TypeVar, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sascli.errors import UserError

Settings = TypeVar("Settings")

UNHASHED = ("resume", "device", "threads", "outputs", "worker")


def setting(default: Any = MISSING, help: str = "") -> Any:
    """A dataclass field whose meaning `sas COMMAND --help` prints."""
    if isinstance(default, (list, type)):
        factory = default if isinstance(default, type) else default.copy
        return field(default_factory=factory, metadata={"help": help})
    return field(default=default, metadata={"help": help})


def typed(cfg: DictConfig, schema: type[Settings]) -> Settings:
    """The composed configuration as a dataclass, interpolations resolved."""
    try:
        merged = OmegaConf.merge(OmegaConf.structured(schema), cfg)
        return cast(Settings, OmegaConf.to_object(merged))
    except OmegaConfBaseException as error:
        raise UserError(f"{error.full_key}: {str(error).splitlines()[0]}") from error


def unknown(key: str, known: Iterable[str], what: str) -> UserError:
    """The error for a name that does not exist, with the nearest that does."""
    names = sorted(known)
    near = difflib.get_close_matches(key, names, n=1)
    hints = [f"did you mean '{near[0]}'?"] if near else []
    if len(names) <= 12:
        hints.append(f"known: {', '.join(names) or 'none'}")
    return UserError(f"there is no {what} '{key}'; {' '.join(hints) or '--help lists them'}")


def need_values(config: object, *names: str) -> None:
    """Refuse empty lists. Raises UserError."""
    for name in names:
        if getattr(config, name) == []:
            raise UserError(f"{name} needs at least one value")


def plain(config: Any) -> dict[str, Any]:
    """The settings as nested dictionaries of plain values."""
    return asdict(config)


def decisive(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that decide the numbers.

    Not where images are, since their checksum is recorded, and not the words of a preset.
    """
    kept = {key: value for key, value in settings.items() if key not in UNHASHED}
    for node, name in (("data", "root"), ("preset", "cut")):
        if isinstance(kept.get(node), Mapping):
            kept[node] = {key: value for key, value in kept[node].items() if key != name}
    return kept


def config_hash(config: Any) -> str:
    """16 hexadecimal digits of the settings that decide the numbers."""
    kept = json.dumps(decisive(plain(config)), sort_keys=True)
    return hashlib.sha256(kept.encode()).hexdigest()[:16]


def seed_list(seeds: Any) -> list[int]:
    """`seeds=5` means 0 to 4; a list is itself. Raises UserError."""
    whole = isinstance(seeds, int) and not isinstance(seeds, bool)
    listed = list(range(seeds)) if whole else seeds
    if not isinstance(listed, list) or not listed or not all(type(s) is int for s in listed):
        raise UserError(f"seeds must be a number of seeds or a list of them, not {seeds!r}")
    return listed


def amount(value: Any) -> TypeGuard[float]:
    """Whether it is a finite number >= 0."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 <= value < inf


def as_list(value: Any) -> list[Any]:
    """A list, or one value as a list of it."""
    return list(value) if isinstance(value, (list, tuple)) else [value]
