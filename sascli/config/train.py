"""The settings of a training run, and what the types alone let through."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sascli.config.layers import KINDS, LAYERS, RATES, alternatives, per_kind
from sascli.config.rule import rule_settings
from sascli.config.settings import amount, seed_list, setting, unknown
from sascli.errors import UserError

IDENTITY = "identity"
"""In the place of a variance of the initial m: m is the unit matrix."""


@dataclass
class Model:
    """The data set and the kind of network made for it."""

    name: str = setting("digits", "name of the model, part of the run's name")
    source: str = setting("digits", "digits, mnist, cifar10, folder or multisensory")
    network: str = setting("feedforward", "kind of network: feedforward or recurrent")
    image_size: int | None = setting(None, "folder: resize images to this many pixels a side")
    grey: bool = setting(False, "folder: turn colour images to grey")
    n_in: int | None = setting(None, "recurrent: pixels that enter at a time; null: a row")
    dt: float = setting(1.0, "recurrent: time step, in the unit of tau; multisensory: ms")
    tau: float = setting(10.0, "recurrent: time constant of the neurons")
    sigma: float = setting(0.0, "recurrent: the neurons' own noise")
    start: float = setting(0.0, "recurrent: h(0)")
    loss: str = setting(
        "mean",
        "multisensory: squared error, mean over unmasked targets, or half_per_step: "
        "sum / (2 trials x time steps), padding counted",
    )
    ordinary_inputs: bool = setting(False, "recurrent: input weights are m alone, pi = Xi = 0")


@dataclass
class Init:
    """Where the parameters start (published runs: N(0, 2/784), 0, Uniform(0, 0.01))."""

    m_var: Any = setting(
        None, "variance of the initial m; null: 2 / number of inputs; recurrent: by layer"
    )
    pi: float = setting(0.0, "initial spike mass")
    xi_max: Any = setting(0.01, "initial Xi is drawn from Uniform(0, xi_max); or by layer")


@dataclass
class Optim:
    """The optimiser's own settings; rates and decays are `lr` and `decay`."""

    name: str = setting("adamw", "adamw: Adam with decoupled decay; rmsprop: with coupled decay")
    beta1: float = setting(0.9, "decay rate of the first moment; adamw alone")
    beta2: float = setting(0.999, "decay rate of the second moment")
    eps: float = setting(1e-8, "added to the root of the second moment")
    eps_inside: bool = setting(False, "rmsprop: eps is added inside the root, as published")
    pi: str | None = setting(None, "rmsprop: sgd, plain gradient descent on pi; null: as m and xi")
    clip: float | None = setting(None, "largest spectral norm of a matrix's gradient; null: any")
    halve_every: int | None = setting(None, "epochs after which rates are halved; null: never")
    halve: list[str] = setting(["m", "pi", "xi"], "the kinds whose rates are halved")
    halve_early: bool = setting(
        False, "halve in epochs halve_every, 2 halve_every ..., as published; not after them"
    )


@dataclass
class Evaluation:
    """How the network is tested."""

    samples: int = setting(10, "effective networks drawn for ensemble.csv")
    mean_every: int = setting(10, "epochs between evaluations of the mean network")
    redraw: str = setting("once", "effective networks: weights drawn once, or at every time step")


@dataclass
class DataSettings:
    """Where images are and which of them test."""

    root: str = setting("data", "folder of the data sets; default $SAS_DATA, else ./data")
    split: str = setting("test", "test, or validation: the last training images instead")


@dataclass
class Train:
    """One training run: the settings that every model, rule and command share."""

    model: Model = setting(Model, "group: digits, mnist, ..., rnn_rows, multisensory")
    rule: Any = setting(None, "group: the learning rule and its own settings")
    optim: Optim = setting(Optim, "group: the optimiser")
    depth: int = setting(4, "layers of neurons, input and output included; recurrent: 3")
    width: Any = setting(100, "neurons of a hidden layer: a number, or the list of all widths")
    train_size: Any = setting("all", "T, the number of training images, or all")
    test_size: Any = setting("all", "V, the number of test images, or all")
    epochs: int = setting(100, "passes over the training images")
    stop_loss: float | None = setting(
        None, "training loss of an epoch below which a replica stops; null: none does"
    )
    stop_after: int = setting(0, "epochs that every replica trains before stop_loss counts")
    batch_size: int = setting(500, "images of a mini-batch; the last of an epoch may be smaller")
    batches: int | None = setting(None, "mini-batches of an epoch; null: every image once")
    lr: Any = setting(
        0.1,
        "learning rate: a number, or lr.m, lr.pi, lr.xi, lr.r (COPI's R); a list: side by side",
    )
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
        False,
        "true: the newest unfinished run of these settings goes on; or a run's path or name",
    )
    name: str | None = setting(None, "run name; null: <model>-<rule>-L<depth>-T<train_size>")
    outputs: str = setting("outputs", "where run directories are made; default $SAS_OUTPUTS")

    def __post_init__(self) -> None:
        """The rule's settings as their dataclass. Raises UserError for an invalid one."""
        if isinstance(self.rule, Mapping):
            self.rule = rule_settings(self.rule)


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


def initial(config: Train, name: str) -> list[Any]:
    """init.m_var or init.xi_max of every layer, None where a map leaves it open."""
    value, layers = getattr(config.init, name), LAYERS[config.model.network]
    if not isinstance(value, Mapping):
        return [value] * (len(layers) or config.depth - 1)
    for key in value:
        if key not in layers:
            raise unknown(key, layers, f"init.{name} for")
    return [value.get(layer) for layer in layers]


def training_of(config: Train) -> Train:
    """The settings of `sas train` among those of a command that has more."""
    return Train(**{name: getattr(config, name) for name in Train.__dataclass_fields__})


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
    for name, number, low in (
        ("epochs", config.epochs, 1),
        ("batch_size", config.batch_size, 1),
        ("batches", config.batches, 1),
        ("replicas", config.replicas, 1),
        ("checkpoint_every", config.checkpoint_every, 1),
        ("snapshot_every", config.snapshot_every, 0),
        ("seed", config.seed, 0),
        ("threads", config.threads, 1),
        ("eval.samples", config.eval.samples, 0),
        ("eval.mean_every", config.eval.mean_every, 1),
        ("optim.halve_every", config.optim.halve_every, 1),
        ("stop_loss", config.stop_loss, 0),
        ("stop_after", config.stop_after, 0),
        ("model.n_in", config.model.n_in, 1),
        ("model.sigma", config.model.sigma, 0),
    ):
        if number is not None and number < low:
            raise UserError(f"{name} must be at least {low}, not {number}")
    for name, value, choices in (
        ("precision", config.precision, ("float32", "float64")),
        ("data.split", config.data.split, ("test", "validation")),
        ("optim.name", config.optim.name, ("adamw", "rmsprop")),
        ("eval.redraw", config.eval.redraw, ("once", "step")),
        ("model.network", config.model.network, tuple(LAYERS)),
        ("model.loss", config.model.loss, ("mean", "half_per_step")),
        *(("optim.halve", kind, KINDS) for kind in config.optim.halve),
    ):
        if value not in choices:
            raise unknown(value, choices, name)
    check_time(config)
    for name, beta in (("beta1", config.optim.beta1), ("beta2", config.optim.beta2)):
        if not 0 <= beta < 1:
            raise UserError(f"optim.{name} must be in [0, 1), not {beta}")
    if not config.optim.eps >= 0:
        raise UserError(f"optim.eps must be at least 0, not {config.optim.eps}")
    if config.name is not None and (not config.name or ".." in config.name.split("/")):
        raise UserError(f"name must be the name of a folder, not {config.name!r}")
    if config.optim.pi not in (None, "sgd") or (config.optim.pi and config.optim.name == "adamw"):
        raise UserError("optim.pi is null or, with optim=rmsprop, sgd")
    if config.optim.eps_inside and config.optim.name != "rmsprop":
        raise UserError("optim.eps_inside needs optim=rmsprop: add optim.eps_inside=false")
    if config.optim.clip is not None and not config.optim.clip > 0:
        raise UserError(f"optim.clip must be a number > 0 or null, not {config.optim.clip}")
    if not 0 <= config.init.pi <= 1:
        raise UserError(f"init.pi is a probability, not {config.init.pi}")
    layers = LAYERS[config.model.network]
    for name, open_to in (("m_var", (None, IDENTITY) if layers else (None,)), ("xi_max", ())):
        for value in initial(config, name):
            if value in open_to:
                continue
            if not amount(value):
                raise UserError(f"init.{name} is a variance, a number >= 0, not {value!r}")
    if config.seeds is not None:
        seeds = seed_list(config.seeds)
        if len(set(seeds)) < len(seeds) or min(seeds) < 0:
            raise UserError(f"seeds must be different whole numbers >= 0, not {config.seeds}")
    for name in ("lr", "decay"):
        if not alternatives(getattr(config, name)):
            raise UserError(f"{name} needs at least one value")
        for value in alternatives(getattr(config, name)):
            per_kind(value, name, RATES if name == "lr" else KINDS, layers)


def check_time(config: Train) -> None:
    """Refuse what a network that runs in time, or one that does not, cannot have."""
    model = config.model
    if model.network != "recurrent":
        if config.eval.redraw == "step":
            raise UserError("eval.redraw=step needs a recurrent network, model=rnn_rows say")
        return
    if config.depth != 3:
        raise UserError("a recurrent network has depth 3 (in, rec, out): leave depth out")
    if not 0 < model.dt <= model.tau:
        raise UserError(f"model.dt must be > 0 and at most model.tau={model.tau}, not {model.dt}")


def run_name(config: Train) -> str:
    """`name`, or by default <model>-<rule>-L<depth>-T<train_size>."""
    rule = config.rule.name
    return config.name or f"{config.model.name}-{rule}-L{config.depth}-T{config.train_size}"
