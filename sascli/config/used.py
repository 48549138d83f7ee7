"""Nothing that was typed is silently ignored: a setting without effect is refused."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field, fields, is_dataclass
from typing import Any

from sascli.config.needs import Need, Never, matching, met
from sascli.config.rule import RuleSettings, rule_files, rule_schema
from sascli.config.settings import shown
from sascli.config.train import Train
from sascli.errors import UserError


def check_used(configs: Sequence[Any], typed: Mapping[str, Any]) -> None:
    """Raises UserError for a typed setting without effect on any of the configurations."""
    if text := without_effect(configs, typed):
        raise UserError(text)


def without_effect(configs: Sequence[Any], typed: Mapping[str, Any]) -> str:
    """Which typed setting none of the configurations uses, and why; empty if there is none.

    `typed` has the values by dotted key. null turns a setting off, and so does false where that is
    the default: they say what happens.
    """
    for key, value in typed.items():
        reasons = [reason(config, key, off=is_off(config, key, value)) for config in configs]
        if reasons and all(reasons):
            return f"{key}={shown(value)} has no effect {reasons[0]}"
    source = typed.get("model.source")
    if source is not None and not typed.keys() & {"name", "model.name"}:
        for model in (config.model for config in configs if config.model.name != source):
            return (
                f"model.source={source} would keep the network and the name of {model.name}: "
                f"write model={source}, or add name=NAME"
            )
    return ""


def reason(config: Any, key: str, *, off: bool = False) -> str:
    """Why a configuration does not use a setting; empty if it does."""
    head, _, rest = key.partition(".")
    inner = getattr(config, head, None)
    if isinstance(inner, Train) and (text := reason(inner, rest, off=off)):
        return text
    needs = [*matching(getattr(config, "needs", {}), key)]
    if not off:
        needs += field_needs(config, key)
    if text := next(filter(None, (need.unmet(config) for need in needs)), ""):
        return text
    rules = getattr(config, "rules", [])
    if off or not rules or any(uses(rule, config, key) for rule in rules):
        return ""
    names = " and ".join(f"rule={rule.name}" for rule in rules)
    return f"with {names}: it is used by {users(key)}"


def is_off(config: Any, key: str, value: Any) -> bool:
    """Whether a value turns a setting off: null, and false where that is the default."""
    on = any(entry.default is True for entry in fields_of(config, key))
    return value is None or (value is False and not on)


def field_needs(config: Any, key: str) -> Iterator[Need]:
    """The needs declared beside the fields on the way to a key."""
    needs = (entry.metadata.get("need") for entry in fields_of(config, key))
    return (need for need in needs if need)


def fields_of(config: Any, key: str) -> Iterator[Field[Any]]:
    """The fields on the way to a key."""
    node = config
    for name in key.split("."):
        entry = {f.name: f for f in fields(node)}.get(name) if is_dataclass(node) else None
        if entry is None:
            return
        yield entry
        node = getattr(node, name)


def uses(rule: RuleSettings, config: Any, key: str) -> bool:
    """Whether a rule uses a setting."""
    return met(rule.needs, config, key)


def users(key: str) -> str:
    """The rules that use a setting, in words."""
    names = []
    for name in rule_files():
        needs = matching(rule_schema(name).needs, key)
        if not any(isinstance(need, Never) for need in needs):
            names.append(" with ".join([f"rule={name}", *(need.words for need in needs)]))
    return ", ".join(names) or "no rule"
