"""The settings of a training run, and what the types alone let through."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sascli.config.settings import as_list, seed_list, setting, unknown
from sascli.errors import UserError

KINDS = ("m", "pi", "xi")

RATES = (*KINDS, "r")
"""What has a learning rate of its own; r is the decorrelation of COPI."""


@dataclass
class Model:
    """The data set and the kind of network made for it."""

    name: str = setting("digits", "name of the model, part of the run's name")
    source: str = setting("digits", "digits, mnist, cifar10 or folder")
    network: str = setting("feedforward", "kind of network")
    image_size: int | None = setting(None, "folder: resize images to this many pixels a side")
    grey: bool = setting(False, "folder: turn colour images to grey")


@dataclass
class Init:
    """Where the parameters start (published runs: N(0, 2/784), 0, Uniform(0, 0.01))."""

    m_var: float | None = setting(None, "variance of the initial m; null: 2 / number of inputs")
    pi: float = setting(0.0, "initial spike mass")
    xi_max: float = setting(0.01, "initial Xi is drawn from Uniform(0, xi_max)")


@dataclass
class Optim:
    """The optimiser's own settings; rates and decays are `lr` and `decay`."""

    name: str = setting("adamw", "adamw: Adam with decoupled decay")
    beta1: float = setting(0.9, "decay rate of the first moment")
    beta2: float = setting(0.999, "decay rate of the second moment")
    eps: float = setting(1e-8, "added to the root of the second moment")


@dataclass
class Evaluation:
    """How the network is tested."""

    samples: int = setting(10, "effective networks drawn for ensemble.csv")
    mean_every: int = setting(10, "epochs between evaluations of the mean network")
    redraw: str = setting("once", "effective networks: weights drawn once")


@dataclass
class DataSettings:
    """Where images are and which of them test."""

    root: str = setting("data", "folder of the data sets; default $SAS_DATA, else ./data")
    split: str = setting("test", "test, or validation: the last training images instead")


@dataclass
class Train:
    """One training run: the settings that every model, rule and command share."""

    model: Model = setting(Model, "group: digits, mnist, cifar10, folder")
    rule: dict[str, Any] = setting(dict, "group: the learning rule and its own settings")
    optim: Optim = setting(Optim, "group: the optimiser")
    depth: int = setting(4, "layers of neurons, input and output included; at least 2")
    width: Any = setting(100, "neurons of a hidden layer: a number, or the list of all widths")
    train_size: Any = setting("all", "T, the number of training images, or all")
    test_size: Any = setting("all", "V, the number of test images, or all")
    epochs: int = setting(100, "passes over the training images")
    batch_size: int = setting(500, "images of a mini-batch; the last of an epoch may be smaller")
    lr: Any = setting(0.1, "learning rate: a number, or lr.m, lr.pi, lr.xi; a list: side by side")
    decay: Any = setting(1e-4, "decoupled L2 decay, as lr: a number, decay.m ..., or a list")
    init: Init = setting(Init, "initial parameters")
    eval: Evaluation = setting(Evaluation, "evaluation")
    data: DataSettings = setting(DataSettings, "data sets")
    checkpoint_every: int = setting(10, "epochs between checkpoints")
    snapshot_every: int = setting(0, "epochs between kept copies of the weights; 0: none")
    seed: int = setting(0, "seed of the first replica; replica r has seed + r")
    replicas: int = setting(1, "independent networks trained side by side")
    seeds: list[int] | None = setting(None, "the replicas' seeds one by one, instead of seed")
    device: str = setting("auto", "auto, cpu, cuda or cuda:N")
    threads: int | None = setting(None, "CPU threads; null: torch's choice")
    precision: str = setting("float32", "float32 or float64")
    resume: Any = setting(
        False, "true: go on with the newest unfinished run of these settings; or the path of a run"
    )
    name: str | None = setting(None, "run name; null: <model>-<rule>-L<depth>-T<train_size>")
    outputs: str = setting("outputs", "where run directories are made; default $SAS_OUTPUTS")


def per_kind(value: Any, what: str, kinds: Iterable[str] = KINDS) -> dict[str, float]:
    """One number per kind of parameter from a number or a map with a `default`."""
    given = dict(value) if isinstance(value, Mapping) else {"default": value}
    for key in given:
        if key not in (*kinds, "default"):
            raise unknown(key, (*kinds, "default"), f"{what} for")
    numbers = {}
    for kind in kinds:
        number = given.get(kind)
        number = given.get("default") if number is None else number
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not number >= 0:
            raise UserError(f"{what}.{kind} must be a number >= 0, not {number!r}")
        numbers[kind] = float(number)
    return numbers


def alternatives(value: Any) -> list[Any]:
    """The numbers or maps that a list of rates, or a map whose `default` is one, stands for."""
    if isinstance(value, Mapping) and isinstance(value.get("default"), (list, tuple)):
        return [{**value, "default": one} for one in value["default"]]
    return as_list(value)


def hidden_widths(width: Any, depth: int) -> list[int]:
    """Widths of the depth - 2 hidden layers."""
    widths = list(width) if isinstance(width, (list, tuple)) else [width] * (depth - 2)
    if len(widths) != depth - 2:
        raise UserError(
            f"width lists {len(widths)} hidden layers, but depth={depth} has {depth - 2}"
        )
    for n in widths:
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise UserError(f"width must be a whole number >= 1 or a list of them, not {n!r}")
    return widths


def check(config: Train) -> None:
    """Refuse what the types alone let through. Raises UserError."""
    if config.depth < 2:
        raise UserError(f"depth must be at least 2 (input and output), not {config.depth}")
    hidden_widths(config.width, config.depth)
    for name in ("train_size", "test_size"):
        size = getattr(config, name)
        whole = isinstance(size, int) and not isinstance(size, bool)
        if size != "all" and not (whole and size >= 1):
            raise UserError(f"{name} must be a whole number >= 1 or 'all', not {size!r}")
    for name, low in (
        ("epochs", 1),
        ("batch_size", 1),
        ("replicas", 1),
        ("checkpoint_every", 1),
        ("snapshot_every", 0),
        ("seed", 0),
    ):
        if getattr(config, name) < low:
            raise UserError(f"{name} must be at least {low}, not {getattr(config, name)}")
    for name, value, choices in (
        ("precision", config.precision, ("float32", "float64")),
        ("data.split", config.data.split, ("test", "validation")),
        ("optim.name", config.optim.name, ("adamw",)),
        ("eval.redraw", config.eval.redraw, ("once",)),
    ):
        if value not in choices:
            raise unknown(value, choices, name)
    if not 0 <= config.init.pi <= 1:
        raise UserError(f"init.pi is a probability, not {config.init.pi}")
    if config.init.xi_max < 0 or (config.init.m_var or 0) < 0:
        raise UserError("init.m_var and init.xi_max are variances and cannot be negative")
    if config.eval.samples < 0 or config.eval.mean_every < 1:
        raise UserError("eval.samples must be at least 0 and eval.mean_every at least 1")
    if config.seeds is not None:
        seeds = seed_list(config.seeds)
        if len(set(seeds)) < len(seeds) or min(seeds) < 0:
            raise UserError(f"seeds must be different whole numbers >= 0, not {config.seeds}")
    for name in ("lr", "decay"):
        for value in alternatives(getattr(config, name)):
            per_kind(value, name, RATES if name == "lr" else KINDS)


def run_name(config: Train) -> str:
    """`name`, or by default <model>-<rule>-L<depth>-T<train_size>."""
    rule = config.rule["name"]
    return config.name or f"{config.model.name}-{rule}-L{config.depth}-T{config.train_size}"
