"""The settings of what is measured on networks that decorrelate, and of their study."""

from dataclasses import dataclass
from typing import Any

from sascli.config.measurements import OnImages
from sascli.config.settings import setting, unknown
from sascli.config.sweeps import AnyPreset, Study, check_positive, check_sweep
from sascli.errors import UserError


@dataclass
class Decorrelation(OnImages):
    """Correlation over training, and inputs decorrelated."""

    images: int = setting(5, "test images that are shown")
    replica: int = setting(0, "which replica decorrelates them, counted from 0")
    epsilon: float = setting(0.1, "added to ZCA's eigenvalues, in units of their mean")


@dataclass
class Compress(OnImages):
    """Layers replaced by their linear map."""

    images: Any = setting(10000, "training images that linear maps are read from, or all")


@dataclass
class Features(Compress):
    """Receptive fields by linear read-out."""

    layer: int | None = setting(None, "layer of the units, counted from 1; null: the last hidden")
    unit: Any = setting(None, "unit, counted from 0, or a list of them; null: the first 16")
    replica: int = setting(0, "whose units, counted from 0")


RULES = ("copi-bp", "copi-fa", "bp-decor", "bp-plain", "bp-adam", "gbp")
"""The rules whose learning rate can be searched in the study of COPI."""


@dataclass
class CopiPreset(AnyPreset):
    """How much of the study is run: the published network and data, or no more than so much."""

    train_size: int | None = setting(None, "training images at most; null: any number")
    depth: int | None = setting(None, "layers of neurons at most; null: any number")
    width: int | None = setting(None, "neurons of a hidden layer at most; null: any number")
    searched: list[str] = setting(
        list(RULES), "rules that are also trained at their best rate on held-out images"
    )
    rates: list[float] = setting(
        [1.0], "learning rates tried, in units of each rule's published one; with 1"
    )
    rate_size: int = setting(10000, "training images of a rate's trial at most")
    rate_epochs: int = setting(5, "epochs of a trial, COPI's first without learning included")
    rate_seeds: int = setting(1, "seeds of a trial of COPI-BP and of plain BP")
    search_seeds: int = setting(1, "seeds of a trial of the other rules")
    gains: list[float] = setting([1.0], "gains of COPI-BP compared, in units of rule.gain")
    gain_rates: list[float] = setting(
        [1.0], "learning rates of Adam beside them, in units of its published one"
    )
    gain_epochs: int = setting(10, "epochs of that comparison; epochs at most")
    gain_seeds: int = setting(1, "seeds of that comparison, the first of seeds")
    maps: Any = setting(10000, "training images that linear maps are read from, or all")
    images: int = setting(5, "test images that are shown decorrelated")
    units: int = setting(16, "units whose receptive fields are shown, at most")


@dataclass
class FiguresCopi(Study):
    """The study of COPI beside BP and gBP."""

    preset: CopiPreset = setting(CopiPreset, "group: smoke, quick, paper")


def check_figures_copi(config: FiguresCopi) -> None:
    """As `check_sweep`, and constraints of a preset that types cannot express."""
    check_sweep(config)
    preset = config.preset
    for name in ("rates", "gains", "gain_rates"):
        check_positive(f"preset.{name}", getattr(preset, name))
    if 1 not in preset.rates:
        raise UserError(f"preset.rates must contain 1, the published one, not only {preset.rates}")
    for rule in preset.searched:
        if rule not in RULES:
            raise unknown(rule, RULES, "preset.searched")
    for name in ("train_size", "width", "rate_size", "rate_seeds", "search_seeds", "gain_seeds",
                 "images", "units"):  # fmt: skip
        number = getattr(preset, name)
        if number is not None and number < 1:
            raise UserError(f"preset.{name} must be at least 1, not {number}")
    for name in ("depth", "rate_epochs", "gain_epochs"):  # COPI learns from the second epoch on
        number = getattr(preset, name)
        if number is not None and number < 2:
            raise UserError(f"preset.{name} must be at least 2, not {number}")
    if preset.maps != "all" and (type(preset.maps) is not int or preset.maps < 1):
        raise UserError(f"preset.maps must be a whole number >= 1 or 'all', not {preset.maps!r}")
    if config.rule.name != "copi":
        raise UserError(f"the study is of rule=copi, not of rule={config.rule.name}")
