"""What every schema is made with: fields with their bounds, their check, their hash."""

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from math import inf
from operator import ge, gt, le, lt
from typing import Any, TypeGuard, TypeVar, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sascli.errors import UserError

Settings = TypeVar("Settings")

COMPARISONS = {"ge": ge, "gt": gt, "le": le, "lt": lt}
MOST_SEEDS = 10_000_000
UNHASHED = (
    "resume", "device", "threads", "capture", "outputs", "worker", "checkpoint_every",
    "logger", "figures",
)  # fmt: skip


@dataclass(frozen=True)
class Bounds:
    """What a setting's value, or each value of its list, must satisfy.

    ge, gt, le and lt bound a number, `choices` lists all valid values, `whole` allows only whole
    numbers, `word` is a text that is valid beside numbers, `empty` allows an empty list, `folder`
    allows only a text that can be the name of one folder.
    None is always valid: the type says whether a setting may be null.
    """

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    choices: tuple[str, ...] = ()
    whole: bool = False
    word: str | None = None
    empty: bool = False
    folder: bool = False

    def check(self, key: str, value: Any) -> None:
        """Raises UserError for an invalid value of the setting `key`."""
        if value == [] and not self.empty:
            raise UserError(f"{key} needs at least one value")
        for element in value if isinstance(value, list) else [value]:
            if self.choices and element is not None and element not in self.choices:
                raise unknown(str(element), self.choices, key)
            if not self.contain(element):
                raise UserError(f"{key} must {self}, not {value!r}")

    def contain(self, value: Any) -> bool:
        """Whether a value is within the bounds; every value is if there are none."""
        if self.folder and value is not None:
            return value not in ("", ".", "..") and "/" not in value
        limits = [(getattr(self, name), compare) for name, compare in COMPARISONS.items()]
        limits = [(limit, compare) for limit, compare in limits if limit is not None]
        if value is None or value == self.word or not limits:
            return True
        number = type(value) in ((int,) if self.whole else (int, float))
        return number and all(compare(value, limit) for limit, compare in limits)

    def __str__(self) -> str:
        """What a value must do: be at least 1, lie in [0, 1) ..."""
        if self.folder:
            return "be the name of a folder, without '/'"
        lower, start = (self.ge, "[") if self.gt is None else (self.gt, "(")
        upper, end = (self.le, "]") if self.lt is None else (self.lt, ")")
        if self.whole:
            text = f"be a whole number >= {lower}"
        elif upper is not None:
            text = f"lie in {start}{-inf if lower is None else lower:g}, {upper:g}{end}"
        else:
            text = f"be {'at least' if start == '[' else 'above'} {lower:g}"
        return f"{text} or '{self.word}'" if self.word else text


def setting(default: Any = MISSING, help: str = "", need: Any = None, **bounds: Any) -> Any:
    """A dataclass field whose meaning `sas COMMAND --help` prints; `bounds` as `Bounds` has them.

    A class as default is called to make it. `need` is a `sascli.config.needs.Need`.
    """
    metadata = {"help": help, "bounds": Bounds(**bounds), "need": need}
    if isinstance(default, (list, type)):
        factory = default if isinstance(default, type) else default.copy
        return field(default_factory=factory, metadata=metadata)
    return field(default=default, metadata=metadata)


def check(config: Any, prefix: str = "") -> None:
    """Check every setting against its bounds, then a schema's `constraints`. Raises UserError."""
    for entry in fields(config):
        value, key = getattr(config, entry.name), f"{prefix}{entry.name.rstrip('_')}"
        if is_dataclass(value):
            check(value, f"{key}.")
        else:
            entry.metadata.get("bounds", Bounds()).check(key, value)
    if hasattr(config, "constraints"):
        config.constraints()


def require(condition: bool, message: str) -> None:
    """Raises UserError with a message unless a condition holds."""
    if not condition:
        raise UserError(message)


def count_or_all(default: Any, help: str) -> Any:
    """A field for a whole number of at least 1, or `all`; a list of them where it is declared."""
    return setting(default, help, ge=1, whole=True, word="all")


def typed(cfg: DictConfig, schema: type[Settings]) -> Settings:
    """The composed configuration as a dataclass, interpolations resolved."""
    try:
        merged = OmegaConf.merge(OmegaConf.structured(schema), cfg)
        return cast(Settings, OmegaConf.to_object(merged))
    except OmegaConfBaseException as error:
        raise UserError(f"{error.full_key}: {str(error).splitlines()[0]}") from error


def shown(value: Any) -> str:
    """A value as it is typed on the command line."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)
    return text.replace('"', "")


def unknown(key: str, known: Iterable[str], what: str) -> UserError:
    """The error for a name that does not exist, with the nearest that does."""
    names = sorted(map(str, known))
    near = difflib.get_close_matches(key, names, n=1)
    hints = [f"did you mean '{near[0]}'?"] if near else []
    if len(names) <= 12:
        hints.append(f"known: {', '.join(names) or 'none'}")
    return UserError(f"there is no {what} '{key}'; {' '.join(hints) or '--help lists them'}")


def plain(config: Any) -> dict[str, Any]:
    """The settings as nested dictionaries of plain values."""
    return asdict(config)


def decisive(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that decide the numbers; the checksum of images stands for their place."""
    chosen = {key: value for key, value in settings.items() if key not in UNHASHED}
    for node, name in (("data", "root"), ("preset", "cut")):
        if isinstance(chosen.get(node), Mapping):
            chosen[node] = {key: value for key, value in chosen[node].items() if key != name}
    if "preset" in chosen:  # a study, which ignored its name in earlier versions
        chosen.pop("name", None)
    return chosen


def config_hash(config: Any) -> str:
    """16 hexadecimal digits of the settings that decide the numbers."""
    text = json.dumps(decisive(plain(config)), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def seed_list(seeds: Any) -> list[int]:
    """`seeds=5` means 0 to 4; a list is itself. Raises UserError."""
    require(type(seeds) is not int or seeds <= MOST_SEEDS, f"seeds={seeds} is above {MOST_SEEDS}")
    numbers = list(range(seeds)) if type(seeds) is int else seeds
    if not isinstance(numbers, list) or not numbers or {type(seed) for seed in numbers} != {int}:
        raise UserError(f"seeds must be a number of seeds or a list of them, not {seeds!r}")
    return numbers


def is_amount(value: Any) -> TypeGuard[float]:
    """Whether it is a finite number >= 0."""
    return type(value) in (int, float) and 0 <= value < inf


def as_list(value: Any) -> list[Any]:
    """A list, or one value as a list of it."""
    return list(value) if isinstance(value, (list, tuple)) else [value]
