"""The settings of the learning rules, read from their files without importing torch."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from omegaconf import OmegaConf

from sascli.config.needs import Need, Never
from sascli.config.settings import setting, typed, unknown

FOLDERS = [Path(__file__).parents[1] / "rules"]
"""The folders of the rules' files."""


@dataclass
class RuleSettings:
    """Settings that every rule has; a rule adds settings by inheriting from this.

    `needs` lists the settings outside `rule` that the rule does not use, so that they are refused
    where they are typed; `lr.pi` includes that of a layer, `init*` everything in `init`.
    """

    needs: ClassVar[dict[str, Need]] = {"lr.r": Never()}
    name: str = setting("", "the learning rule")


def rule_files() -> dict[str, Path]:
    """The files of the learning rules by name: all in the folders that define `RULE`."""
    files = {path.stem: path for folder in FOLDERS for path in folder.glob("[a-z]*.py")}
    return {name: files[name] for name in sorted(files) if "\nRULE = " in files[name].read_text()}


@cache
def rule_schema(name: str) -> type[RuleSettings]:
    """The dataclass of a rule's settings, or that of the rule from which it inherits.

    Importing a rule would import torch, which takes seconds. Instead only the settings classes in
    its file are executed. Raises UserError for an unknown rule.
    """
    files = rule_files()
    if name not in files:
        raise unknown(name, files, "learning rule")
    schema: type[RuleSettings] = RuleSettings
    namespace: dict[str, Any] = {"__name__": f"sascli.rules.{name}"}
    for value in (dataclass, setting, RuleSettings, Need, Never):
        namespace[value.__name__] = value
    for node in ast.parse(files[name].read_text()).body:
        if isinstance(node, ast.ImportFrom):
            package, _, parent = str(node.module).rpartition(".")
            if package == "sascli.rules" and parent in files:
                schema = rule_schema(parent)
                namespace[schema.__name__] = schema
        elif isinstance(node, ast.ClassDef) and namespace.keys() & set(
            map(ast.unparse, node.bases)
        ):
            exec(compile(ast.Module([node], []), str(files[name]), "exec"), namespace)
            schema = namespace[node.name]
    return schema


def rule_settings(rule: Mapping[str, Any] | RuleSettings) -> RuleSettings:
    """A rule's settings from plain values. Raises UserError for an invalid one."""
    if isinstance(rule, RuleSettings):
        return rule
    schema = rule_schema(str(rule.get("name")))
    names = [field.name for field in fields(schema)]
    for key in rule:
        if key not in names:
            raise unknown(key, names, f"setting of the rule {rule.get('name')} called")
    return typed(OmegaConf.create(dict(rule)), schema)
