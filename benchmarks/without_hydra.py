"""Imports of sascli on a machine without OmegaConf, which reads its settings from YAML alone."""

import sys
from contextlib import suppress
from importlib import import_module
from types import ModuleType


def stand_in() -> None:
    """Let modules import OmegaConf where it is missing; whoever calls it gets an error."""
    with suppress(ImportError):
        import_module("omegaconf")
        return
    omegaconf, errors = ModuleType("omegaconf"), ModuleType("omegaconf.errors")
    names = {omegaconf: ("OmegaConf", "DictConfig"), errors: ("OmegaConfBaseException",)}
    for module, classes in names.items():
        for name in classes:
            setattr(module, name, type(name, (Exception,), {}))
        sys.modules[module.__name__] = module
