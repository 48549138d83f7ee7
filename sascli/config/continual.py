"""The settings of `sas continual`: tasks learned in sequence."""

from dataclasses import dataclass
from typing import Any

from sascli.config.needs import Need, Never
from sascli.config.rule import RuleSettings, rule_settings
from sascli.config.settings import as_list, require, setting
from sascli.config.train import Train, check_resumes_itself, check_single_rates

PROTOCOLS = ("split", "permuted")
METHODS = {"bp": "bp", "ewc": "bp", "gbp": "gbp", "vip": "gbp", "certainty": "gbp"}
"""The learning rule of each method; bp and gbp protect nothing."""


def of(method: str) -> Need:
    """The need of a setting of one method."""
    return Need("methods", f"it is used by the method {method}", lambda names: method in names)


@dataclass
class Strength:
    """How strongly each method protects; the best value of a list is searched."""

    ewc: Any = setting([10**n for n in range(7)], "lambda of the penalty", of("ewc"), ge=0)
    vip: Any = setting(
        [0.001, 0.01, 0.1, 0.3, 0.6], "relative variance that freezes", of("vip"), ge=0
    )
    certainty: Any = setting(
        [0.25, 0.5, 1, 2, 4], "power of the relative variance", of("certainty"), ge=0
    )


@dataclass
class Continual(Train):
    """Tasks in sequence: settings of `sas train`, with `epochs` per task."""

    needs = Train.needs | {
        "eval.*": Never(words="every task is tested once, by the mean field"),
        "snapshot_every": Never(words="the networks of this command are not saved"),
        "capture": Never(words="this command records no steps"),
        "checkpoint_every": Never(words="a method that is finished is not repeated"),
    }
    task: str = setting(
        "split",
        "split: each a pair of classes with its own output layer; "
        "permuted: each all classes, pixels permuted, with the same output layer",
        choices=PROTOCOLS,
    )
    tasks: int = setting(5, "number of tasks", ge=2)
    methods: list[str] = setting(
        list(METHODS),
        "bp, gbp: unprotected; ewc: BP with its penalty; vip: gBP, important connections frozen; "
        "certainty: gBP, steps scaled",
        choices=tuple(METHODS),
    )
    strength: Strength = setting(Strength, "strength of the protection; 0: none")
    lr: Any = setting(0.1, "learning rate as for `sas train`; of a list the best is searched")
    search_seeds: int = setting(1, "seeds of the search, on held-out training images", ge=1)
    seeds: Any = setting(3, "number of seeds (5: 0 to 4), or their list; they train side by side")

    @property
    def rules(self) -> list[RuleSettings]:
        """The learning rules of the methods."""
        return [rule_settings({"name": METHODS[method]}) for method in self.methods]

    def constraints(self) -> None:
        """As `Train`, and those of tasks in sequence."""
        super().constraints()
        check_resumes_itself(self)
        require(self.rule is None, "rule is decided by methods here: for example methods=[gbp,bp]")
        feedforward = self.model.network == "feedforward"
        require(feedforward, "only feed-forward networks learn tasks in sequence: try model=mnist")
        text = "data.split must be test: rates are searched on other training images"
        require(self.data.split == "test", text)
        text = "optim.halve_every would halve the rates of later tasks: leave it null"
        require(self.optim.halve_every is None, text)
        require(
            self.stop_loss is None, "stop_loss would leave later tasks untrained: leave it null"
        )
        require(self.logger is None, "logger shows the runs of `sas train`: leave it out here")
        check_single_rates(self, ("decay",))
        text = f"methods must be different ones of {', '.join(METHODS)}"
        require(len(set(self.methods)) == len(self.methods), text)


def strengths(config: Continual, method: str) -> list[float]:
    """The strengths to try; 0 for a method that protects nothing."""
    return [0.0] if METHODS[method] == method else as_list(getattr(config.strength, method))
