"""Learning rules: one file each, found by its name."""

import importlib

from sascli.config import RuleSettings
from sascli.rules.base import Rule


def rule_class(settings: RuleSettings) -> type[Rule]:
    """The class of the rule that the settings name."""
    rule: type[Rule] = importlib.import_module(f"{__name__}.{settings.name}").RULE
    return rule
