"""The settings of `sas sweep-datasize` and of what every study of `sas reproduce` shares."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from sascli.config.layers import alternatives
from sascli.config.needs import Never
from sascli.config.population import first
from sascli.config.settings import as_list, count_or_all, require, setting, unknown
from sascli.config.train import Train, check_resumes_itself, check_single_rates


@dataclass
class ManyRuns(Train):
    """Settings that the commands that train many points share."""

    worker: int | None = setting(None, "any number; workers with the same settings share the work")
    seeds: Any = setting(3, "number of seeds (5: 0 to 4), or their list; they train side by side")

    def constraints(self) -> None:
        """As `Train`; replicas are distinguished by their seeds alone."""
        super().constraints()
        check_resumes_itself(self)
        check_single_rates(self)


@dataclass
class SweepDatasize(ManyRuns):
    """Test error and layer statistics against T and depth."""

    depth: Any = setting(4, "a depth, or a list of them", ge=2, whole=True)
    train_size: Any = count_or_all("all", "a T, or a list of them")

    def constraints(self) -> None:
        """As `ManyRuns`, for every depth."""
        for depth in as_list(self.depth):
            super(SweepDatasize, replace(self, depth=depth)).constraints()


@dataclass
class Preset:
    """Settings of the preset of every study."""

    name: str = setting("quick", "name of the preset, part of the directory's name", folder=True)
    cut: str = setting("", "what is less than in the publication, and why")


@dataclass
class SearchPreset(Preset):
    """A preset with a search of learning rates."""

    rates: list[float] = setting([1.0], "learning rates to search, in units of lr", gt=0)
    search_seeds: int = setting(1, "seeds of the search", ge=1)


@dataclass
class CreditPreset(SearchPreset):
    """How much of the study is run. Sizes are in units of the model's T.

    BP is trained, and its rate searched, at each of `sizes`. If there are too few images for the
    largest size, all are scaled down in proportion.
    """

    sizes: list[float] = setting([1.0], "training sizes of Fig. 2b", gt=0)
    depths: list[int] = setting([4], "depths of the inset of Fig. 2b", ge=2)
    deep: int = setting(5, "depth of Figs. 3c and 4b", ge=2)
    deep_sizes: list[float] = setting([1.0], "training sizes of Fig. 3c", gt=0)
    other_seeds: int | None = setting(None, "seeds at other depths and T; null: all", ge=1)
    samples: int = setting(10, "effective networks and draws of a perturbation", ge=1)
    fractions: list[float] = setting([0.0, 1.0], "fractions of the weights perturbed", ge=0, le=1)


@dataclass
class Reproduce(ManyRuns):
    """Settings of every study: those of `sas train` and a preset."""

    needs = ManyRuns.needs | {
        "name": Never(words="a study's directory is named by its model and preset"),
        "rule": Never(words="the study trains gbp and bp"),
        "resume": Never(words="a study always continues a directory of the same settings"),
    }
    preset: Preset = setting(Preset, "group: smoke, quick, paper")

    def constraints(self) -> None:
        """As `ManyRuns`, on the test images."""
        super().constraints()
        text = "data.split must be test: rates are searched on other training images"
        require(self.data.split == "test", text)


@dataclass
class ReproduceCredit(Reproduce):
    """Figs. 2-4: settings of `sas train` and of a preset."""

    preset: CreditPreset = setting(CreditPreset, "group: smoke, quick, paper")

    def constraints(self) -> None:
        """As `Reproduce`, and those of the search and of Fig. 2b."""
        super().constraints()
        check_one_rate(self.lr)
        text = "eval.samples must be at least 1: Fig. 2b shows effective networks"
        require(self.eval.samples >= 1, text)


@dataclass
class AtlasPreset(CreditPreset):
    """How much of the atlas is run: the credit study, and the settings around the published one.

    A setting is written as in `sas train`, its words separated by spaces. `lr=[...]` means the
    best of these rates on held-out images.
    """

    vary: dict[str, list[str]] = setting(dict, "settings that are tried, by the factor varied")
    together: dict[str, list[str]] = setting(
        dict, "factors whose settings are also judged together, by the name of that row"
    )
    setting_seeds: int = setting(3, "seeds of a setting", ge=1)
    setting_search_seeds: int = setting(1, "seeds of the search of its rates", ge=1)
    setting_samples: int = setting(4, "effective networks and draws of its perturbation", ge=1)


@dataclass
class ReproduceAtlas(ReproduceCredit):
    """The claims at settings around the published one."""

    preset: AtlasPreset = setting(AtlasPreset, "group: smoke, quick, paper")

    def constraints(self) -> None:
        """As `ReproduceCredit`; the factors that are judged together exist."""
        super().constraints()
        for factor in chain.from_iterable(self.preset.together.values()):
            if factor not in self.preset.vary:
                raise unknown(factor, self.preset.vary, "factor in preset.vary")


def scaled(lr: Any, factors: list[float]) -> list[float]:
    """Learning rates in units of a setting `lr`."""
    unit = first(alternatives(lr)[0])
    return [float(f"{unit * factor:.3g}") for factor in factors]


def check_one_rate(lr: Any) -> None:
    """Raises UserError for rates that differ by parameter or layer: a single rate is searched."""

    def differs(rate: Any) -> bool:
        if not isinstance(rate, Mapping):
            return rate is not None
        return any(differs(value) for key, value in rate.items() if key != "default")

    rate = alternatives(lr)[0]
    uniform = not isinstance(rate, Mapping) or not differs(rate)
    require(uniform, "lr must be one number here, the same for all: rates are searched")
