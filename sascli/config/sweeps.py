"""The settings of many runs together: `sas sweep-datasize` and `sas figures`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sascli.config.layers import alternatives
from sascli.config.settings import setting
from sascli.config.train import Train, check
from sascli.errors import UserError


@dataclass
class Sweep(Train):
    """What the commands that train many points share."""

    worker: int | None = setting(None, "any number: workers of the same settings share the work")
    seeds: Any = setting(3, "how many seeds (5: 0 to 4), or their list; they train side by side")


@dataclass
class SweepDatasize(Sweep):
    """Test error and layer statistics against T and depth."""

    depth: Any = setting(4, "a depth, or a list of them")
    train_size: Any = setting("all", "a T, or a list of them")


@dataclass
class AnyPreset:
    """What the preset of every study has."""

    name: str = setting("quick", "name of the preset, part of the directory's")
    cut: str = setting("", "what is smaller than in the publication, and why; for the manifest")


@dataclass
class Study(Sweep):
    """Settings of `sas train` and what every study has besides its preset."""

    preset: AnyPreset = setting(AnyPreset, "group: smoke, quick, paper")


@dataclass
class Searched(AnyPreset):
    """A preset with a search of learning rates."""

    rates: list[float] = setting([1.0], "learning rates tried for either rule, in units of lr")
    search_seeds: int = setting(1, "seeds of that search")


@dataclass
class Preset(Searched):
    """How much of the reproduction is run. Sizes are in units of the model's own T.

    Where the data are too few for the largest size, all are scaled down in proportion.
    """

    sizes: list[float] = setting([1.0], "training sizes of Fig. 2b")
    depths: list[int] = setting([4], "depths of the inset of Fig. 2b")
    deep: int = setting(5, "depth of Figs. 3c and 4b")
    deep_sizes: list[float] = setting([1.0], "training sizes of Fig. 3c")
    samples: int = setting(10, "effective networks and draws of a perturbation")
    fractions: list[float] = setting([0.0, 1.0], "fractions of the weights perturbed")


@dataclass
class Figures(Study):
    """The whole reproduction: settings of `sas train` and of a preset."""

    preset: Preset = setting(Preset, "group: smoke, quick, paper")


def scaled(lr: Any, factors: list[float]) -> list[float]:
    """Learning rates in units of a setting `lr`."""
    unit = alternatives(lr)[0]
    unit = unit["default"] if isinstance(unit, Mapping) else unit
    return [float(f"{unit * factor:.3g}") for factor in factors]


def check_sweep(config: Train) -> None:
    """As `check`; the replicas of a sweep are told apart by their seeds alone."""
    check(config)
    if isinstance(config.resume, str):
        raise UserError("resume is true or false here: the run of the same settings goes on")
    for name in ("lr", "decay"):
        if len(alternatives(getattr(config, name))) > 1:
            raise UserError(f"{name} must be one number here; `sas train` takes a list")


def check_rate(config: Study) -> None:
    """Refuse rates of their own for kinds or layers where the one rate is searched."""

    def some(lr: Any) -> bool:
        if not isinstance(lr, Mapping):
            return lr is not None
        return any(some(value) for key, value in lr.items() if key != "default")

    lr = alternatives(config.lr)[0]
    if isinstance(lr, Mapping) and some(lr):
        raise UserError("lr must be one number here, the same for all: rates are searched")


def check_figures(config: Figures) -> None:
    """As `check_sweep`, and what a preset must hold."""
    check_sweep(config)
    check_rate(config)
    if config.eval.samples < 1:
        raise UserError("eval.samples must be at least 1: Fig. 2b shows sampled networks")
    preset = config.preset
    for name in ("sizes", "deep_sizes", "rates"):
        check_positive(f"preset.{name}", getattr(preset, name))
    check_fractions(preset.fractions)
    if preset.samples < 1 or preset.search_seeds < 1:
        raise UserError("preset.samples and preset.search_seeds must be at least 1")


def check_positive(name: str, numbers: list[float]) -> None:
    """Refuse an empty list, and one with a number that is not above 0."""
    if not numbers or min(numbers) <= 0:
        raise UserError(f"{name} must be a list of numbers > 0, not {numbers}")


def check_fractions(fractions: list[float]) -> None:
    """Refuse fractions of a preset outside [0, 1], and none at all."""
    if not fractions or not all(0 <= fraction <= 1 for fraction in fractions):
        raise UserError(f"preset.fractions must lie in [0, 1], not {fractions}")
