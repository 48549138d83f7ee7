"""The settings of tasks learned in sequence: `sas continual`."""

from dataclasses import dataclass
from typing import Any

from sascli.config.layers import alternatives
from sascli.config.settings import as_list, setting
from sascli.config.train import Train
from sascli.errors import UserError

PROTOCOLS = ("split", "permuted")
METHODS = {"bp": "bp", "ewc": "bp", "gbp": "gbp", "vip": "gbp", "certainty": "gbp"}
"""The rule that each method protects; bp and gbp protect nothing."""


@dataclass
class Strength:
    """How strongly each method protects; where there are several, the best is searched."""

    ewc: Any = setting([10**n for n in range(7)], "lambda of the penalty", ge=0)
    vip: Any = setting(
        [0.001, 0.01, 0.1, 0.3, 0.6], "relative variance below which it freezes", ge=0
    )
    certainty: Any = setting(
        [0.25, 0.5, 1, 2, 4], "power of the relative variance that scales steps", ge=0
    )


@dataclass
class Continual(Train):
    """Tasks in sequence: settings of `sas train`, epochs being those of each task."""

    task: str = setting(
        "split",
        "split: a pair of classes each, with an output layer of its own; "
        "permuted: all classes, the pixels permuted, one output layer",
        choices=PROTOCOLS,
    )
    tasks: int = setting(5, "how many, one after another", ge=2)
    methods: list[str] = setting(
        list(METHODS),
        "bp, gbp: unprotected; ewc: BP with its penalty; vip: gBP, important connections frozen; "
        "certainty: gBP, steps scaled",
        choices=tuple(METHODS),
    )
    strength: Strength = setting(Strength, "how strongly old tasks are protected; 0: not at all")
    lr: Any = setting(0.1, "learning rate as for `sas train`; a list: the best is searched")
    search_seeds: int = setting(1, "seeds of that search, on training images held out", ge=1)
    seeds: Any = setting(3, "how many seeds (5: 0 to 4), or their list; they train side by side")

    def constraints(self) -> None:
        """As `Train`, and what tasks in sequence need."""
        super().constraints()
        if self.rule is not None:
            raise UserError("rule is decided by methods here: for example methods=[gbp,bp]")
        if self.model.network != "feedforward":
            raise UserError(
                "only feed-forward networks learn tasks in sequence: for example model=mnist"
            )
        if isinstance(self.resume, str):
            raise UserError("resume is true or false here: true resumes the run of these settings")
        if self.data.split != "test":
            raise UserError("data.split must be test: rates are searched on other training images")
        if self.optim.halve_every is not None:
            raise UserError(
                "optim.halve_every would halve the rates of later tasks: leave it null"
            )
        if self.stop_loss is not None:
            raise UserError("stop_loss would leave later tasks unlearned: leave it null")
        if len(alternatives(self.decay)) > 1:
            raise UserError("decay must be one number here; `sas train` takes a list")
        if len(set(self.methods)) < len(self.methods):
            raise UserError(f"methods must be different ones of {', '.join(METHODS)}")


def strengths(config: Continual, method: str) -> list[float]:
    """The strengths to be tried; an unprotected rule has one, 0."""
    return [0.0] if METHODS[method] == method else as_list(getattr(config.strength, method))
