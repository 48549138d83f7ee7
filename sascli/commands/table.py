"""The table of commands: settings, function and pictures of each."""

import atexit
import gc
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from operator import attrgetter
from typing import Any

from sascli import config
from sascli.studies.registry import STUDIES


@dataclass(frozen=True)
class Command:
    """A row: what the dispatcher needs before the command's module is imported.

    Summary and examples are the first comments of the command's YAML.
    `work` is MODULE:FUNCTION. It is called with the settings and the directory of a multirun's
    job (None outside of multiruns), and returns the directory with its tables. A function of
    `sascli.measure` is instead called by `sascli.measure.record.measure`.
    """

    work: str
    pictures: tuple[str, ...] = ()  # figures drawn beside the tables, if their tables exist
    overview: str = ""  # MODULE:FUNCTION that makes a table or a text for the terminal from tables
    argument: str | None = None  # the setting that the first word sets without its name
    several: bool = False  # the argument is a list, which all words before the settings make
    plain: tuple[str, ...] = ()  # settings of a group's name that are not groups here


def schema_of(command: str) -> type:
    """The dataclass of a command's settings: the command's name in camel case."""
    name = "".join(word.capitalize() for word in command.replace("-", " ").split())
    return getattr(config, name)  # type: ignore[no-any-return]


def function(name: str) -> Callable[..., Any]:
    """Import the function MODULE:FUNCTION, or the method MODULE:CLASS.METHOD.

    What a first import makes stays to the end: no garbage collection searches it.
    """
    module, _, attribute = name.partition(":")
    if module not in sys.modules:
        gc.disable()
        import_module(module)
        gc.freeze()
        gc.enable()
        atexit.register(_unfreeze)
    return attrgetter(attribute)(import_module(module))  # type: ignore[no-any-return]


def _unfreeze() -> None:
    """Let the exit collect what triton would print as leaks; torchvision imports it."""
    if "triton" in sys.modules:
        gc.unfreeze()


COMMANDS = {
    "train": Command(
        "sascli.training.run:run",
        pictures=("overview",),
        overview="sascli.analysis.rates:overview",
    ),
    **{
        f"reproduce {name}": Command(f"sascli.studies.{name}:{name.capitalize()}.run")
        for name in STUDIES
    },
    "sweep-datasize": Command("sascli.training.sweep:sweep_datasize"),
    "entropy": Command(
        "sascli.measure.credit:entropy",
        pictures=("entropy",),
        overview="sascli.measure.credit:entropy_overview",
    ),
    "perturb": Command(
        "sascli.measure.credit:perturb",
        pictures=("perturbation",),
        overview="sascli.measure.credit:perturbation_overview",
    ),
    "evaluate": Command(
        "sascli.measure.evaluate:evaluate",
        plain=("model",),
        pictures=("confusion", "reliability", "uncertainty"),
        overview="sascli.measure.evaluate:overview",
    ),
    "prune": Command(
        "sascli.measure.prune:prune",
        pictures=("pruning", "sparse"),
        overview="sascli.measure.prune:overview",
    ),
    "continual": Command(
        "sascli.continual:run",
        pictures=("continual", "continual_matrix"),
        overview="sascli.continual:overview",
    ),
    "decorrelation": Command(
        "sascli.measure.copi:decorrelation", pictures=("decorrelation", "decorrelated")
    ),
    "features": Command("sascli.measure.copi:features", pictures=("features",)),
    "compress": Command("sascli.measure.copi:compress", pictures=("compression",)),
    "psychometric": Command("sascli.measure.task:psychometric", pictures=("psychometric",)),
    "selectivity": Command("sascli.measure.task:selectivity", pictures=("selectivity", "neurons")),
    "trajectories": Command(
        "sascli.measure.task:trajectories", pictures=("trajectories", "synapses")
    ),
    "kernel": Command("sascli.measure.theory:kernel", pictures=("kernel", "lazy")),
    "order-parameters": Command(
        "sascli.measure.theory:order_parameter_tables", pictures=("order_parameters",)
    ),
    "plot": Command("sascli.commands.plot:plot"),
    "compare": Command(
        "sascli.commands.compare:compare",
        pictures=("comparison",),
        overview="sascli.commands.compare:overview",
        argument="runs",
        several=True,
    ),
    "claims": Command("sascli.commands.claims:print_claims"),
    "runs": Command("sascli.commands.runs:print_runs"),
    "clean": Command("sascli.jobs.clean:clean"),
    "plan": Command("sascli.commands.plan:print_plan", argument="command"),
    "collect": Command("sascli.jobs.collect:run", argument="sweep"),
}
