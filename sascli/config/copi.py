"""The settings of the measurements of COPI networks, and of their study."""

from dataclasses import dataclass
from typing import Any

from sascli.config.measurements import OnImages
from sascli.config.needs import Need, Never, without
from sascli.config.rule import RuleSettings, rule_settings
from sascli.config.settings import count_or_all, require, setting
from sascli.config.sweeps import Preset, Reproduce


@dataclass
class Decorrelation(OnImages):
    """Correlation over training, and inputs decorrelated."""

    images: int = setting(5, "test images to show", ge=1, le=50)
    replica: int = setting(0, "replica that decorrelates them, counted from 0", ge=0)
    epsilon: float = setting(0.1, "added to ZCA's eigenvalues, in units of their mean", gt=0)


@dataclass
class Compress(OnImages):
    """Layers replaced by their linear map."""

    images: Any = count_or_all(10000, "training images to estimate linear maps from, or all")


@dataclass
class Features(Compress):
    """Receptive fields by linear read-out."""

    layer: int | None = setting(None, "layer, counted from 1; null: the last hidden", ge=1)
    unit: Any = setting(None, "unit from 0, or a list; null: the first 16", ge=0, whole=True)
    replica: int = setting(0, "replica of the units, counted from 0", ge=0)


RULES = ("copi-bp", "copi-fa", "bp-decor", "bp-plain", "bp-adam", "gbp")
"""The rules whose learning rate can be searched in the study of COPI."""


@dataclass
class CopiPreset(Preset):
    """How much of the study is run: limits of the published networks and data."""

    train_size: int | None = setting(None, "most training images; null: any number", ge=1)
    depth: int | None = setting(None, "most layers of neurons; null: any number", ge=2)
    width: int | None = setting(None, "most neurons of a hidden layer; null: any number", ge=1)
    searched: list[str] = setting(
        list(RULES), "rules whose best rate is searched", choices=RULES, empty=True
    )
    rates: list[float] = setting([1.0], "rates to try, in units of the published ones", gt=0)
    rate_size: int = setting(10000, "most training images of the search", ge=1)
    rate_epochs: int = setting(5, "epochs of the search, the first without learning", ge=2)
    rate_seeds: int = setting(1, "seeds of the search for COPI-BP and plain BP", ge=1)
    search_seeds: int = setting(1, "seeds of the search for the other rules", ge=1)
    gains: list[float] = setting([1.0], "gains of COPI-BP to compare, in units of rule.gain", gt=0)
    gain_rates: list[float] = setting([1.0], "Adam's rates, in units of the published one", gt=0)
    gain_epochs: int = setting(10, "epochs of the comparison of gains, at most `epochs`", ge=2)
    gain_seeds: int = setting(1, "seeds of the comparison of gains, the first of `seeds`", ge=1)
    maps: Any = count_or_all(10000, "training images to estimate linear maps from, or all")
    images: int = setting(5, "test images to show decorrelated", ge=1)
    units: int = setting(16, "most units whose receptive fields are shown", ge=1)


@dataclass(frozen=True)
class Limited(Need):
    """A setting that the preset limits: beyond the limit it would be cut."""

    words: str = ""

    def unmet(self, config: Any) -> str:
        """Why the setting has no effect."""
        value, limit = getattr(config, self.key), getattr(config.preset, self.key)
        if limit is None or isinstance(value, list) or (value != "all" and value <= limit):
            return ""
        return f"above preset.{self.key}={limit}: add preset.{self.key}=null"


@dataclass
class ReproduceCopi(Reproduce):
    """The study of COPI beside BP and gBP."""

    needs = without(Reproduce.needs, "rule") | {
        **dict.fromkeys(("lr.m", "lr.pi", "lr.xi"), Never(words="lr and lr.r are the rates")),
        **dict.fromkeys(("decay.pi", "decay.xi"), Never(words="decay is that of COPI's weights")),
        "eval.samples": Never(words="COPI's networks have no distribution"),
        **dict.fromkeys(
            ("rule.credit", "rule.decorrelation"), Never(words="the study compares both")
        ),
        **{key: Limited(key) for key in ("train_size", "depth", "width")},
    }
    preset: CopiPreset = setting(CopiPreset, "group: smoke, quick, paper")

    @property
    def rules(self) -> list[RuleSettings]:
        """The rules that are compared."""
        adam: dict[str, object] = {"name": "bp_decor", "adam": True}
        return [*super().rules, rule_settings(adam), rule_settings({"name": "gbp"})]

    def constraints(self) -> None:
        """As `Reproduce`; the rates include the published one, and the rule is COPI."""
        super().constraints()
        rates, rule = self.preset.rates, self.rule.name
        require(self.lr.get("r") != 0, "lr.r=0: the networks of COPI decorrelate")
        require(1 in rates, f"preset.rates must contain 1, the published rate, not only {rates}")
        require(rule == "copi", f"the study is of rule=copi, not of rule={rule}")
