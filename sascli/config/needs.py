"""What a setting needs in order to have an effect, declared beside the setting or by a rule."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from sascli.config.layers import LAYERS
from sascli.config.settings import shown

LAYER_NAMES = {name for names in LAYERS.values() for name in names}


@dataclass(frozen=True)
class Need:
    """The setting `key` must pass `test`: by default not be null, 0 or false.

    `words` follow "it is used by", or say what to type instead.
    """

    key: str
    words: str
    test: Callable[[Any], bool] = bool

    def unmet(self, config: Any) -> str:
        """Why a setting with this need has no effect; empty if it has one."""
        value = config
        for name in self.key.split("."):
            node = value if isinstance(value, Mapping) else getattr(value, "__dict__", {})
            value = node.get(name)
        return "" if self.test(value) else f"with {self.key}={shown(value)}: {self.words}"


@dataclass(frozen=True)
class Never(Need):
    """A setting without effect on a command or a rule, with what to type instead."""

    key: str = ""
    words: str = ""

    def unmet(self, config: Any) -> str:
        """Why the setting has no effect."""
        return f"here: {self.words}"


def matching(needs: Mapping[str, Need], key: str) -> list[Need]:
    """The needs of a key, by the pattern of keys; lr.rec.pi has those of lr.pi too."""
    kind = ".".join(name for name in key.split(".") if name not in LAYER_NAMES)
    return [
        need
        for pattern, need in needs.items()
        if fnmatchcase(key, pattern) or fnmatchcase(kind, pattern)
    ]


def met(needs: Mapping[str, Need], config: Any, key: str) -> bool:
    """Whether a configuration meets all needs of a key."""
    return not any(need.unmet(config) for need in matching(needs, key))


def without(needs: Mapping[str, Need], key: str) -> dict[str, Need]:
    """The needs of a command but for one key."""
    return {pattern: need for pattern, need in needs.items() if pattern != key}
