"""The settings of a training run, and the constraints that bounds cannot express."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from math import inf
from typing import Any, ClassVar

from sascli.config.figures import Figures
from sascli.config.layers import KINDS, LAYERS, RATES, alternatives, per_kind
from sascli.config.needs import Need, met
from sascli.config.rule import RuleSettings, rule_settings
from sascli.config.settings import (
    check,
    count_or_all,
    is_amount,
    require,
    seed_list,
    setting,
    shown,
    unknown,
)

MOST_LAYERS = 10_000
IDENTITY = "identity"
"""Instead of a variance of the initial m: m is the identity matrix."""
FAN_IN = "fan_in"
"""Instead of a variance of the initial m: 2 / (neurons upstream), in every layer."""

RECURRENT = Need(
    "model.network",
    "it is used by recurrent networks, for example model=rnn_rows",
    "recurrent".__eq__,
)
CONVOLUTIONAL = Need(
    "model.network",
    "it is used by convolutional networks, for example model=mnist_conv",
    "convolutional".__eq__,
)
PREFACTOR = Need(
    "model.network",
    "it is used by feed-forward and convolutional networks",
    lambda network: network != "recurrent",
)
TASK = Need("model.source", "it is used by model=multisensory", "multisensory".__eq__)
FOLDER = Need("model.source", "it is used by model=folder", "folder".__eq__)
FILES = Need(
    "model.source",
    "it is used by images in files, for example model=mnist",
    lambda source: source not in ("digits", "multisensory"),
)
ADAMW = Need("optim.name", "it is used by optim=adamw", "adamw".__eq__)
MOMENTS = Need(
    "optim.name", "it is used by optim=adamw and optim=rmsprop", lambda name: name != "sgd"
)
RMSPROP = Need("optim.name", "it is used by optim=rmsprop", "rmsprop".__eq__)
HIDDEN_LAYERS = Need("depth", "there are hidden layers from depth=3 on", lambda depth: depth != 2)
STOPS = Need("stop_loss", "it is used with stop_loss", lambda loss: loss is not None)
HALVED = Need("optim.halve_every", "it is used with optim.halve_every")
INPUTS_VARY = Need(
    "model.ordinary_inputs",
    "input weights have m only; model.ordinary_inputs=false changes that",
    lambda ordinary: not ordinary,
)
SEEDS_UNSET = Need(
    "seeds",
    "the seeds are those of `seeds`, a list such as seeds=[3,4,5]",
    lambda seeds: seeds is None,
)


@dataclass
class Model:
    """The data set and the kind of network for it."""

    name: str = setting("digits", "name of the model, part of the run's name", folder=True)
    source: str = setting("digits", "digits, mnist, cifar10, folder or multisensory")
    network: str = setting(
        "feedforward", "feedforward, recurrent or convolutional", choices=tuple(LAYERS)
    )
    prefactor: bool = setting(
        True, "not recurrent: pre-activations / root of neurons upstream", PREFACTOR
    )
    kernel: int = setting(3, "convolutional: pixels per side of a kernel", CONVOLUTIONAL, ge=1)
    stride: int = setting(2, "convolutional: pixels between positions", CONVOLUTIONAL, ge=1)
    image_size: int | None = setting(
        None, "folder: pixels per side, to which images are resized", FOLDER
    )
    grey: bool = setting(False, "folder: convert colour images to grey", FOLDER)
    n_in: int | None = setting(
        None, "recurrent: pixels per time step; null: a row", RECURRENT, ge=1
    )
    dt: float = setting(
        1.0, "recurrent: time step, in the unit of tau; multisensory: ms", RECURRENT
    )
    tau: float = setting(10.0, "recurrent: time constant of the neurons", RECURRENT, gt=0, lt=inf)
    sigma: float = setting(0.0, "recurrent: noise of the neurons", RECURRENT, ge=0)
    start: float = setting(0.0, "recurrent: h(0)", RECURRENT)
    loss: str = setting(
        "mean",
        "multisensory: squared error, mean over unmasked targets; or half_per_step: its sum / "
        "(2 trials x time steps), padding included",
        TASK,
        choices=("mean", "half_per_step"),
    )
    ordinary_inputs: bool = setting(
        False, "recurrent: input weights have m only, pi = Xi = 0", RECURRENT
    )


@dataclass
class Init:
    """The initial parameters (published runs: m ~ N(0, 2/784), pi = 0, Xi ~ Uniform(0, 0.01))."""

    m_var: Any = setting(
        None,
        "variance of the initial m; null: 2 / inputs; fan_in: 2 / neurons upstream; or by layer",
    )
    pi: float = setting(0.0, "initial spike mass, a probability", ge=0, le=1)
    xi_max: Any = setting(0.01, "initial Xi is drawn from Uniform(0, xi_max); or by layer")


@dataclass
class Optim:
    """The settings of the optimiser; rates and decays are `lr` and `decay`."""

    name: str = setting(
        "adamw",
        "Adam with decoupled, rmsprop with coupled decay; sgd: plain gradient descent",
        choices=("adamw", "rmsprop", "sgd"),
    )
    beta1: float = setting(0.9, "decay rate of the first moment; adamw only", ADAMW, ge=0, lt=1)
    beta2: float = setting(0.999, "decay rate of the second moment", MOMENTS, ge=0, lt=1)
    eps: float = setting(1e-8, "added to the root of the second moment", MOMENTS, ge=0)
    eps_inside: bool = setting(
        False, "rmsprop: eps is added inside the root, as published", RMSPROP
    )
    pi: str | None = setting(
        None, "rmsprop: sgd for pi; null: as m, xi", RMSPROP, choices=("sgd",)
    )
    clip: float | None = setting(None, "largest spectral norm of a gradient; null: any", gt=0)
    halve_every: int | None = setting(None, "epochs between halvings of rates; null: never", ge=1)
    halve: list[str] = setting(
        list(KINDS), "kinds of rates to halve", HALVED, choices=KINDS, empty=True
    )
    halve_early: bool = setting(
        False, "halve before, not after, those epochs, as published", HALVED
    )


@dataclass
class Evaluation:
    """How the network is tested."""

    samples: int = setting(10, "effective networks for ensemble.csv", ge=0)
    mean_every: int = setting(10, "epochs between evaluations of the mean network", ge=1)
    redraw: str = setting(
        "once", "draw weights once or at every step", RECURRENT, choices=("once", "step")
    )


@dataclass
class DataSettings:
    """Where images are and which of them test."""

    root: str = setting("data", "folder of the data sets; default $SAS_DATA, else ./data")
    split: str = setting(
        "test", "test, or validation: the last training images", choices=("test", "validation")
    )


@dataclass
class Train:
    """One training run: the settings that every model, rule and command share.

    `needs` are those of settings by layer, and those that differ from command to command.
    """

    needs: ClassVar[dict[str, Need]] = dict.fromkeys(
        ("lr.in.pi", "lr.in.xi", "decay.in.pi", "decay.in.xi", "init.xi_max.in"), INPUTS_VARY
    ) | {"data.root": FILES}
    model: Model = setting(Model, "group: digits, mnist, ..., rnn_rows, multisensory")
    rule: Any = setting(None, "group: the learning rule and its own settings")
    optim: Optim = setting(Optim, "group: the optimiser")
    depth: int = setting(4, "layers of neurons, input and output included; recurrent: 3", ge=2)
    width: Any = setting(
        100, "neurons or channels per hidden layer: a number or a list", HIDDEN_LAYERS, empty=True
    )
    train_size: Any = count_or_all("all", "T, the number of training images, or all")
    test_size: Any = count_or_all("all", "V, the number of test images, or all")
    epochs: int = setting(100, "passes over the training images", ge=1)
    stop_loss: float | None = setting(
        None, "training loss that stops a replica; null: never", ge=0
    )
    stop_after: int = setting(0, "epochs before stop_loss applies", STOPS, ge=0)
    batch_size: int | None = setting(
        500, "images per mini-batch; null: 200, less for an epoch of at least 20 steps", ge=1
    )
    batches: int | None = setting(None, "mini-batches per epoch; null: every image once", ge=1)
    lr: Any = setting(0.1, "learning rate, or lr.m, lr.pi, lr.xi, lr.r; a list: side by side")
    decay: Any = setting(1e-4, "L2 decay, as lr: a number, decay.m ..., or a list")
    init: Init = setting(Init, "initial parameters")
    eval: Evaluation = setting(Evaluation, "evaluation")
    data: DataSettings = setting(DataSettings, "data sets")
    checkpoint_every: int | None = setting(
        None, "epochs between checkpoints; null: at most 5 % of the time, every 10 minutes", ge=1
    )
    snapshot_every: int = setting(0, "epochs between snapshots of the weights; 0: none", ge=0)
    seed: int = setting(0, "seed of the first replica; replica r has seed + r", SEEDS_UNSET, ge=0)
    replicas: int = setting(1, "independent networks trained side by side", SEEDS_UNSET, ge=1)
    seeds: list[int] | None = setting(None, "seed of each replica, instead of seed", empty=True)
    device: str = setting("auto", "auto, cpu, cuda or cuda:N")
    threads: int | None = setting(None, "CPU threads; null: torch's choice", ge=1)
    precision: str = setting(
        "float32",
        "float32, tf32 (a GPU multiplies matrices with 10 bits of mantissa) or float64",
        choices=("float32", "tf32", "float64"),
    )
    capture: str = setting(
        "auto",
        "replay steps as CUDA graphs: auto (recurrent or few networks), always or never",
        choices=("auto", "always", "never"),
    )
    resume: Any = setting(False, "true: the newest unfinished run of these settings; or a run")
    name: str | None = setting(
        None, "run name; null: <model>-<rule>-L<depth>-T<train_size>", folder=True
    )
    outputs: str = setting("outputs", "where run directories are made; default $SAS_OUTPUTS")
    figures: Figures = setting(Figures, "pictures")
    logger: str | None = setting(
        None,
        "also show training in tensorboard or mlflow; null: neither",
        choices=("tensorboard", "mlflow"),
    )

    def __post_init__(self) -> None:
        """The rule's settings as their dataclass. Raises UserError for an invalid one.

        Where a command's settings do not decide the rule, earlier versions had an empty one.
        """
        if isinstance(self.rule, Mapping):
            self.rule = rule_settings(self.rule) if self.rule else None

    @property
    def rules(self) -> list[RuleSettings]:
        """The learning rules; none where the command's settings do not decide them."""
        return [] if self.rule is None else [self.rule]

    def constraints(self) -> None:
        """Raises UserError for settings that do not fit together."""
        hidden_widths(self.width, self.depth)
        if self.rule is not None:
            check(self.rule, "rule.")
        require(self.name != "latest", "name=latest: run=latest means the newest run; rename it")
        rmsprop = self.optim.name == "rmsprop"
        require(rmsprop or self.optim.pi is None, "optim.pi is null or, with optim=rmsprop, sgd")
        text = "optim.eps_inside needs optim=rmsprop: add optim.eps_inside=false"
        require(rmsprop or not self.optim.eps_inside, text)
        text = f"resume must be true, false or the path or name of a run, not {shown(self.resume)}"
        require(self.resume is None or isinstance(self.resume, (bool, str)), text)
        if self.seeds is not None:
            seeds = seed_list(self.seeds)
            different = len(set(seeds)) == len(seeds) and min(seeds) >= 0
            require(different, f"seeds must be different whole numbers >= 0, not {self.seeds}")
        if self.model.network == "recurrent":
            dt, tau = self.model.dt, self.model.tau
            text = "a recurrent network has depth 3 (in, rec, out): add depth=3"
            require(self.depth == 3, text)
            require(0 < dt <= tau, f"model.dt must be > 0 and at most model.tau={tau}, not {dt}")
        else:
            text = "eval.redraw=step needs a recurrent network, for example model=rnn_rows"
            require(self.eval.redraw == "once", text)
        if self.model.network == "convolutional":
            require(
                self.depth > 2, "a convolutional network has at least depth 3: leave depth out"
            )
            text = "model=multisensory has no images to convolve: leave model.network out"
            require(self.model.source != "multisensory", text)
        self._check_numbers()

    def _check_numbers(self) -> None:
        """Raises UserError unless rates, decays and initial variances are numbers >= 0."""
        layers = LAYERS[self.model.network]
        for name, words in (("m_var", (None, IDENTITY if layers else FAN_IN)), ("xi_max", ())):
            for value in initial(self, name):
                text = f"init.{name} is a variance, a number >= 0, not {value!r}"
                require(value in words or is_amount(value), text)
        for name, kinds in (("lr", RATES), ("decay", KINDS)):
            values = alternatives(getattr(self, name))
            require(bool(values), f"{name} needs at least one value")
            for value in values:
                per_kind(value, name, kinds, layers)
            self._check_list(name, kinds)

    def _check_list(self, name: str, kinds: Iterable[str]) -> None:
        """Raises UserError for a list as default that no parameter of the rules has."""
        value, layers = getattr(self, name), LAYERS[self.model.network]
        if not isinstance(value, Mapping) or not isinstance(value.get("default"), (list, tuple)):
            return
        zeros, ones = (
            per_kind({**value, "default": number}, name, kinds, layers) for number in (0, 1)
        )
        keys = [
            key for key in zeros
            if ("." in key or not layers) and met(self.needs, self, f"{name}.{key}")
            and any(met(rule.needs, self, f"{name}.{key}") for rule in self.rules)
        ]  # fmt: skip
        names = ", ".join(f"{name}.{key}" for key in keys)
        text = f"{name}={shown(value['default'])} has no effect beside {names}: leave it out"
        require(not keys or any(zeros[key] != ones[key] for key in keys), text)


def check_single_rates(config: Train, names: Iterable[str] = ("lr", "decay")) -> None:
    """Raises UserError for lists of learning rates or decays."""
    for name in names:
        text = f"{name} must be one number here; `sas train` takes a list"
        require(len(alternatives(getattr(config, name))) == 1, text)


def check_resumes_itself(config: Train) -> None:
    """Raises UserError for the path or name of a run to resume."""
    text = "resume is true or false here: true resumes the run of these settings"
    require(not isinstance(config.resume, str), text)


def hidden_widths(width: Any, depth: int) -> list[int]:
    """Widths of the depth - 2 hidden layers."""
    require(depth <= MOST_LAYERS, f"depth={depth} is above {MOST_LAYERS}")
    widths = list(width) if isinstance(width, (list, tuple)) else [width] * (depth - 2)
    text = f"width lists {len(widths)} hidden layers, but depth={depth} has {depth - 2}"
    require(len(widths) == depth - 2, text)
    for n in widths:
        text = f"width must be a whole number >= 1 or a list of them, not {n!r}"
        require(type(n) is int and n >= 1, text)
    return widths


def initial(config: Train, name: str) -> list[Any]:
    """init.m_var or init.xi_max of every layer; None for a layer that a map omits."""
    value, layers = getattr(config.init, name), LAYERS[config.model.network]
    if not isinstance(value, Mapping):
        return [value] * (len(layers) or config.depth - 1)
    for key in value:
        if key not in layers:
            raise unknown(key, layers, f"init.{name} for")
    return [value.get(layer) for layer in layers]


def training_of(config: Train) -> Train:
    """The settings of `sas train` in those of a command with more."""
    return Train(**{f.name: getattr(config, f.name) for f in fields(Train)})


def run_name(config: Train) -> str:
    """`name`, or by default <model>-<rule>-L<depth>-T<train_size>."""
    rule = config.rule.name
    return config.name or f"{config.model.name}-{rule}-L{config.depth}-T{config.train_size}"
