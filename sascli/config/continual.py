"""The settings of tasks learned in sequence: `sas continual`."""

from dataclasses import dataclass
from typing import Any

from sascli.config.layers import alternatives
from sascli.config.settings import as_list, setting, unknown
from sascli.config.train import Train, check
from sascli.errors import UserError

PROTOCOLS = ("split", "permuted")
METHODS = {"bp": "bp", "ewc": "bp", "gbp": "gbp", "vip": "gbp", "certainty": "gbp"}
"""The rule that each method protects; bp and gbp protect nothing."""


@dataclass
class Strength:
    """How strongly each method protects; where there are several, the best is searched."""

    ewc: Any = setting([10**n for n in range(7)], "lambda of the penalty")
    vip: Any = setting([0.001, 0.01, 0.1, 0.3, 0.6], "relative variance below which it freezes")
    certainty: Any = setting(
        [0.25, 0.5, 1, 2, 4], "power of the relative variance that scales steps"
    )


@dataclass
class Continual(Train):
    """Tasks in sequence: settings of `sas train`, epochs being those of each task."""

    task: str = setting(
        "split",
        "split: a pair of classes each, with an output layer of its own; "
        "permuted: all classes, the pixels permuted, one output layer",
    )
    tasks: int = setting(5, "how many, one after another")
    methods: list[str] = setting(
        list(METHODS),
        "bp, gbp: unprotected; ewc: BP with its penalty; vip: gBP, important connections frozen; "
        "certainty: gBP, steps scaled",
    )
    strength: Strength = setting(Strength, "how strongly old tasks are protected; 0: not at all")
    lr: Any = setting(0.1, "learning rate as for `sas train`; a list: the best is searched")
    search_seeds: int = setting(1, "seeds of that search, on training images held out")
    seeds: Any = setting(3, "how many seeds (5: 0 to 4), or their list; they train side by side")


def strengths(config: Continual, method: str) -> list[float]:
    """The strengths to be tried; an unprotected rule has one, 0."""
    return [0.0] if METHODS[method] == method else as_list(getattr(config.strength, method))


def check_continual(config: Continual) -> None:
    """As `check`, and what tasks in sequence need. Raises UserError."""
    check(config)
    if config.rule:
        raise UserError("rule is decided by methods here: methods=[gbp,bp], say")
    if config.model.network != "feedforward":
        raise UserError("only feed-forward networks learn tasks in sequence: model=mnist, say")
    if isinstance(config.resume, str):
        raise UserError("resume is true or false here: the run of the same settings goes on")
    if config.data.split != "test":
        raise UserError("data.split=validation is what rates and strengths are searched on here")
    if config.optim.halve_every is not None:
        raise UserError("optim.halve_every would halve the rates of later tasks: leave it null")
    if config.stop_loss is not None:
        raise UserError("stop_loss would leave later tasks unlearned: leave it null")
    if len(alternatives(config.decay)) > 1:
        raise UserError("decay must be one number here; `sas train` takes a list")
    if config.task not in PROTOCOLS:
        raise unknown(config.task, PROTOCOLS, "task")
    if config.tasks < 2 or config.search_seeds < 1:
        raise UserError("tasks must be at least 2 and search_seeds at least 1")
    if not config.methods or len(set(config.methods)) < len(config.methods):
        raise UserError(f"methods must be different ones of {', '.join(METHODS)}")
    for method in config.methods:
        if method not in METHODS:
            raise unknown(method, METHODS, "method")
        tried = strengths(config, method)
        if not tried or not all(type(s) in (int, float) and s >= 0 for s in tried):
            raise UserError(f"strength.{method} must be numbers >= 0, not {tried}")
