"""The settings of many runs together: `sas sweep-datasize` and `sas reproduce`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sascli.config.layers import alternatives
from sascli.config.settings import as_list, setting
from sascli.config.train import Train
from sascli.errors import UserError


@dataclass
class ManyRuns(Train):
    """What the commands that train many points share."""

    worker: int | None = setting(None, "any number: workers of the same settings share the work")
    seeds: Any = setting(3, "how many seeds (5: 0 to 4), or their list; they train side by side")

    def constraints(self) -> None:
        """As `Train`; replicas are distinguished by their seeds alone."""
        super().constraints()
        if isinstance(self.resume, str):
            raise UserError("resume is true or false here: true resumes the run of these settings")
        check_single_rates(self)


@dataclass
class SweepDatasize(ManyRuns):
    """Test error and layer statistics against T and depth."""

    depth: Any = setting(4, "a depth, or a list of them", ge=2, whole=True)
    train_size: Any = setting("all", "a T, or a list of them", ge=1, whole=True, word="all")

    def constraints(self) -> None:
        """As `ManyRuns`, for every depth."""
        for depth in as_list(self.depth):
            super(SweepDatasize, replace(self, depth=depth)).constraints()


@dataclass
class Preset:
    """What the preset of every study has."""

    name: str = setting("quick", "name of the preset, part of the directory's")
    cut: str = setting("", "what is cut against the publication, and why")


@dataclass
class SearchPreset(Preset):
    """A preset with a search of learning rates."""

    rates: list[float] = setting(
        [1.0], "learning rates tried for either rule, in units of lr", gt=0
    )
    search_seeds: int = setting(1, "seeds of that search", ge=1)


@dataclass
class CreditPreset(SearchPreset):
    """How much of the reproduction is run. Sizes are in units of the model's T.

    BP is trained, and its rate searched, at every one of `sizes`. Where the data are too few for
    the largest size, all are scaled down in proportion.
    """

    sizes: list[float] = setting([1.0], "training sizes of Fig. 2b", gt=0)
    depths: list[int] = setting([4], "depths of the inset of Fig. 2b", ge=2)
    deep: int = setting(5, "depth of Figs. 3c and 4b", ge=2)
    deep_sizes: list[float] = setting([1.0], "training sizes of Fig. 3c", gt=0)
    other_seeds: int | None = setting(
        None, "how many seeds train at depths and T other than the model's; null: all", ge=1
    )
    samples: int = setting(10, "effective networks and draws of a perturbation", ge=1)
    fractions: list[float] = setting([0.0, 1.0], "fractions of the weights perturbed", ge=0, le=1)


@dataclass
class Reproduce(ManyRuns):
    """Settings of `sas train` and what every study has besides its preset."""

    preset: Preset = setting(Preset, "group: smoke, quick, paper")


@dataclass
class ReproduceCredit(Reproduce):
    """Figs. 2-4: settings of `sas train` and of a preset."""

    preset: CreditPreset = setting(CreditPreset, "group: smoke, quick, paper")

    def constraints(self) -> None:
        """As `Reproduce`, and what the search and Fig. 2b need."""
        super().constraints()
        check_one_rate(self.lr)
        if self.eval.samples < 1:
            raise UserError("eval.samples must be at least 1: Fig. 2b shows sampled networks")


def scaled(lr: Any, factors: list[float]) -> list[float]:
    """Learning rates in units of a setting `lr`."""
    unit = alternatives(lr)[0]
    unit = unit["default"] if isinstance(unit, Mapping) else unit
    return [float(f"{unit * factor:.3g}") for factor in factors]


def check_single_rates(config: Train) -> None:
    """Refuse lists of rates and decays."""
    for name in ("lr", "decay"):
        if len(alternatives(getattr(config, name))) > 1:
            raise UserError(f"{name} must be one number here; `sas train` takes a list")


def check_one_rate(lr: Any) -> None:
    """Refuse rates that differ by parameter or layer where the one rate is searched."""

    def differs(rate: Any) -> bool:
        if not isinstance(rate, Mapping):
            return rate is not None
        return any(differs(value) for key, value in rate.items() if key != "default")

    rate = alternatives(lr)[0]
    if isinstance(rate, Mapping) and differs(rate):
        raise UserError("lr must be one number here, the same for all: rates are searched")
