"""The replicas that the settings of a run stand for."""

from dataclasses import dataclass

from sascli.config.train import RATES, Train, alternatives, per_kind


@dataclass(frozen=True)
class Member:
    """What one replica of a population is trained with: one number per kind of parameter."""

    seed: int
    lr: dict[str, float]
    decay: dict[str, float]


def population(config: Train) -> list[Member]:
    """The replicas of a run: every rate of a list with every decay and every seed."""
    seeds = config.seeds or list(range(config.seed, config.seed + config.replicas))
    rates = [per_kind(lr, "lr", RATES) for lr in alternatives(config.lr)]
    decays = [per_kind(decay, "decay") for decay in alternatives(config.decay)]
    return [Member(seed, lr, decay) for lr in rates for decay in decays for seed in seeds]


def varied(config: Train) -> dict[str, list[float]]:
    """Columns that tell replicas of different rates apart; none where all have the same."""
    columns = {}
    for name in ("lr", "decay"):
        if len(alternatives(getattr(config, name))) > 1:
            columns[name] = [getattr(member, name)["m"] for member in population(config)]
    return columns
