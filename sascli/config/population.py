"""The replicas that the settings of a run stand for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sascli.config.layers import LAYERS, RATES, alternatives, per_kind
from sascli.config.train import Train


@dataclass(frozen=True)
class Member:
    """What one replica of a population is trained with: numbers as `per_kind` gives them."""

    seed: int
    lr: dict[str, float]
    decay: dict[str, float]


def population(config: Train) -> list[Member]:
    """The replicas of a run: every rate of a list with every decay and every seed."""
    seeds = config.seeds or list(range(config.seed, config.seed + config.replicas))
    layers = LAYERS[config.model.network]
    rates = [per_kind(lr, "lr", RATES, layers) for lr in alternatives(config.lr)]
    decays = [per_kind(decay, "decay", layers=layers) for decay in alternatives(config.decay)]
    return [Member(seed, lr, decay) for lr in rates for decay in decays for seed in seeds]


def varied(config: Train) -> dict[str, list[float]]:
    """Columns that tell replicas of different rates apart; none where all have the same."""
    lrs, decays = ([own(value) for value in alternatives(v)] for v in (config.lr, config.decay))
    count = len(population(config)) // (len(lrs) * len(decays))
    each = [(lr, decay) for lr in lrs for decay in decays for _ in range(count)]
    columns = {}
    if len(lrs) > 1:
        columns["lr"] = [lr for lr, _ in each]
    if len(decays) > 1:
        columns["decay"] = [decay for _, decay in each]
    return columns


def own(value: Any) -> float:
    """The number that one value of a list stands for."""
    return float(value["default"] if isinstance(value, Mapping) else value)
