"""The settings of what is measured on networks that decorrelate, and of their study."""

from dataclasses import dataclass
from typing import Any

from sascli.config.measurements import OnImages
from sascli.config.settings import setting
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


@dataclass
class CopiPreset(AnyPreset):
    """How much of the study is run: the published network and data, or no more than so much."""

    train_size: int | None = setting(None, "training images at most; null: any number")
    depth: int | None = setting(None, "layers of neurons at most; null: any number")
    width: int | None = setting(None, "neurons of a hidden layer at most; null: any number")
    rates: list[float] = setting(
        [1.0], "learning rates tried, in units of each rule's own; with 1"
    )
    rate_size: int = setting(10000, "training images of a rate's trial at most")
    rate_epochs: int = setting(5, "epochs of a trial, COPI's first without learning included")
    rate_seeds: int = setting(1, "seeds of a trial")
    images: int = setting(5, "test images that are shown decorrelated")
    units: int = setting(16, "units whose receptive fields are shown, at most")


@dataclass
class FiguresCopi(Study):
    """The study of COPI beside BP and gBP."""

    preset: CopiPreset = setting(CopiPreset, "group: smoke, quick, paper")


def check_figures_copi(config: FiguresCopi) -> None:
    """As `check_sweep`, and what a preset must hold."""
    check_sweep(config)
    preset = config.preset
    check_positive("preset.rates", preset.rates)
    if 1 not in preset.rates:
        raise UserError(f"preset.rates must contain 1, COPI's own rate, not only {preset.rates}")
    for name in ("train_size", "width", "rate_size", "rate_seeds", "images", "units"):
        number = getattr(preset, name)
        if number is not None and number < 1:
            raise UserError(f"preset.{name} must be at least 1, not {number}")
    for name in ("depth", "rate_epochs"):  # COPI learns from the second epoch on
        number = getattr(preset, name)
        if number is not None and number < 2:
            raise UserError(f"preset.{name} must be at least 2, not {number}")
    if config.rule.name != "copi":
        raise UserError(f"the study is of rule=copi, not of rule={config.rule.name}")
