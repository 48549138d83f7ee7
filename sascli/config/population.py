"""The replicas of a run, by its settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

from sascli.config.layers import LAYERS, RATES, alternatives, per_kind
from sascli.config.train import Train


@dataclass(frozen=True)
class Member:
    """The seed, learning rates and decays of a replica; numbers as `per_kind` returns them."""

    seed: int
    lr: dict[str, float]
    decay: dict[str, float]


def population(config: Train) -> list[Member]:
    """The replicas of a run: every learning rate with every decay and every seed."""
    seeds = config.seeds or list(range(config.seed, config.seed + config.replicas))
    layers = LAYERS[config.model.network]
    rates = [per_kind(lr, "lr", RATES, layers) for lr in alternatives(config.lr)]
    decays = [per_kind(decay, "decay", layers=layers) for decay in alternatives(config.decay)]
    return [Member(seed, lr, decay) for lr in rates for decay in decays for seed in seeds]


def replica_count(config: Train) -> int:
    """The number of replicas, which `population` would list."""
    rates, decays = (len(alternatives(value)) for value in (config.lr, config.decay))
    return rates * decays * len(config.seeds or range(config.replicas))


def varied(config: Train) -> dict[str, list[float]]:
    """Columns that distinguish replicas of different rates; none where all have the same."""
    values = {key: [*map(first, alternatives(getattr(config, key)))] for key in ("lr", "decay")}
    replicas = product(*values.values(), config.seeds or range(config.replicas))
    columns = zip(values, zip(*replicas, strict=True), strict=False)  # those of the seeds apart
    return {key: list(column) for key, column in columns if len(values[key]) > 1}


def first(value: float | Mapping[str, float]) -> float:
    """The number of a value in a list of rates: of a map its default."""
    return float(value["default"] if isinstance(value, Mapping) else value)
