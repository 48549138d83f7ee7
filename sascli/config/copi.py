"""The settings of what is measured on networks that decorrelate, and of their study."""

from dataclasses import dataclass
from typing import Any

from sascli.config.measurements import OnImages
from sascli.config.settings import setting
from sascli.config.sweeps import Preset, Reproduce
from sascli.errors import UserError


@dataclass
class Decorrelation(OnImages):
    """Correlation over training, and inputs decorrelated."""

    images: int = setting(5, "test images that are shown", ge=1, le=50)
    replica: int = setting(0, "which replica decorrelates them, counted from 0", ge=0)
    epsilon: float = setting(0.1, "added to ZCA's eigenvalues, in units of their mean", gt=0)


@dataclass
class Compress(OnImages):
    """Layers replaced by their linear map."""

    images: Any = setting(
        10000,
        "training images that linear maps are read from, or all",
        ge=1,
        whole=True,
        word="all",
    )


@dataclass
class Features(Compress):
    """Receptive fields by linear read-out."""

    layer: int | None = setting(
        None, "layer of the units, counted from 1; null: the last hidden", ge=1
    )
    unit: Any = setting(
        None, "unit, counted from 0, or a list of them; null: the first 16", ge=0, whole=True
    )
    replica: int = setting(0, "whose units, counted from 0", ge=0)


RULES = ("copi-bp", "copi-fa", "bp-decor", "bp-plain", "bp-adam", "gbp")
"""The rules whose learning rate can be searched in the study of COPI."""


@dataclass
class CopiPreset(Preset):
    """How much of the study is run: the published network and data, or no more than so much."""

    train_size: int | None = setting(None, "training images at most; null: any number", ge=1)
    depth: int | None = setting(None, "layers of neurons at most; null: any number", ge=2)
    width: int | None = setting(None, "neurons of a hidden layer at most; null: any number", ge=1)
    searched: list[str] = setting(
        list(RULES),
        "rules that are also trained at their best rate on held-out images",
        choices=RULES,
        empty=True,
    )
    rates: list[float] = setting(
        [1.0], "learning rates tried, in units of each rule's published one; with 1", gt=0
    )
    rate_size: int = setting(10000, "training images of a rate's trial at most", ge=1)
    rate_epochs: int = setting(
        5, "epochs of a trial, COPI's first without learning included", ge=2
    )
    rate_seeds: int = setting(1, "seeds of a trial of COPI-BP and of plain BP", ge=1)
    search_seeds: int = setting(1, "seeds of a trial of the other rules", ge=1)
    gains: list[float] = setting([1.0], "gains of COPI-BP compared, in units of rule.gain", gt=0)
    gain_rates: list[float] = setting(
        [1.0], "learning rates of Adam beside them, in units of its published one", gt=0
    )
    gain_epochs: int = setting(10, "epochs of that comparison; epochs at most", ge=2)
    gain_seeds: int = setting(1, "seeds of that comparison, the first of seeds", ge=1)
    maps: Any = setting(
        10000,
        "training images that linear maps are read from, or all",
        ge=1,
        whole=True,
        word="all",
    )
    images: int = setting(5, "test images that are shown decorrelated", ge=1)
    units: int = setting(16, "units whose receptive fields are shown, at most", ge=1)


@dataclass
class ReproduceCopi(Reproduce):
    """The study of COPI beside BP and gBP."""

    preset: CopiPreset = setting(CopiPreset, "group: smoke, quick, paper")

    def constraints(self) -> None:
        """As `Reproduce`; the published rate is among those tried, and the rule is COPI."""
        super().constraints()
        rates = self.preset.rates
        if 1 not in rates:
            raise UserError(f"preset.rates must contain 1, the published one, not only {rates}")
        if self.rule.name != "copi":
            raise UserError(f"the study is of rule=copi, not of rule={self.rule.name}")
