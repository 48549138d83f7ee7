"""The settings of the learning rules, each read from its rule's file without importing torch."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sascli.config.settings import setting, unknown
from sascli.errors import UserError

FOLDERS = [Path(__file__).parents[1] / "rules"]
"""Where the files of rules are."""


@dataclass
class RuleSettings:
    """Settings that every rule has; a rule adds its own by inheriting from this."""

    name: str = setting("", "the learning rule")


def rule_files() -> dict[str, Path]:
    """The files of the learning rules by name: all in the folders that define `RULE`."""
    files = {path.stem: path for folder in FOLDERS for path in folder.glob("[a-z]*.py")}
    return {name: files[name] for name in sorted(files) if "\nRULE = " in files[name].read_text()}


def rule_names() -> list[str]:
    """The learning rules."""
    return list(rule_files())


@cache
def rule_schema(name: str) -> type[RuleSettings]:
    """The dataclass of a rule's settings, that of the rule it inherits from where it has none.

    The file of a rule imports torch, which takes seconds, so it is not imported: only its
    settings classes are executed. Raises UserError for an unknown rule.
    """
    if name not in rule_names():
        raise unknown(name, rule_names(), "learning rule")
    schema: type[RuleSettings] = RuleSettings
    file = rule_files()[name]
    namespace = {
        "__name__": f"sascli.rules.{name}",
        "dataclass": dataclass,
        "setting": setting,
        "RuleSettings": RuleSettings,
    }
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("sascli.rules."):
            parent = str(node.module).rpartition(".")[2]
            if parent in rule_names():
                schema = rule_schema(parent)
                namespace[schema.__name__] = schema
        elif isinstance(node, ast.ClassDef) and any(
            isinstance(base, ast.Name) and base.id in namespace for base in node.bases
        ):
            exec(compile(ast.Module([node], []), str(file), "exec"), namespace)
            schema = cast(type[RuleSettings], namespace[node.name])
    return schema


def rule_settings(rule: Mapping[str, Any] | RuleSettings) -> RuleSettings:
    """A rule's settings from plain values, checked. Raises UserError for an invalid one."""
    if isinstance(rule, RuleSettings):
        return rule
    schema = rule_schema(str(rule.get("name")))
    names = [field.name for field in fields(schema)]
    for key in rule:
        if key not in names:
            raise unknown(key, names, f"setting of the rule {rule.get('name')} called")
    try:
        merged = OmegaConf.merge(OmegaConf.structured(schema), dict(rule))
        return cast(RuleSettings, OmegaConf.to_object(merged))
    except OmegaConfBaseException as error:
        raise UserError(f"rule: {str(error).splitlines()[0]}") from error
