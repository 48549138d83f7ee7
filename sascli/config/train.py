"""The settings of a training run, and the constraints that bounds cannot express."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sascli.config.layers import KINDS, LAYERS, RATES, alternatives, per_kind
from sascli.config.rule import rule_settings
from sascli.config.settings import check, is_amount, seed_list, setting, unknown
from sascli.errors import UserError

IDENTITY = "identity"
"""In the place of a variance of the initial m: m is the unit matrix."""


@dataclass
class Model:
    """The data set and the kind of network made for it."""

    name: str = setting("digits", "name of the model, part of the run's name")
    source: str = setting("digits", "digits, mnist, cifar10, folder or multisensory")
    network: str = setting(
        "feedforward", "kind of network: feedforward or recurrent", choices=tuple(LAYERS)
    )
    image_size: int | None = setting(None, "folder: resize images to this many pixels a side")
    grey: bool = setting(False, "folder: turn colour images to grey")
    n_in: int | None = setting(None, "recurrent: pixels that enter at a time; null: a row", ge=1)
    dt: float = setting(1.0, "recurrent: time step, in the unit of tau; multisensory: ms")
    tau: float = setting(10.0, "recurrent: time constant of the neurons")
    sigma: float = setting(0.0, "recurrent: noise of the neurons", ge=0)
    start: float = setting(0.0, "recurrent: h(0)")
    loss: str = setting(
        "mean",
        "multisensory: squared error, mean over unmasked targets, or half_per_step: "
        "sum / (2 trials x time steps), padding counted",
        choices=("mean", "half_per_step"),
    )
    ordinary_inputs: bool = setting(False, "recurrent: input weights are m alone, pi = Xi = 0")


@dataclass
class Init:
    """Where the parameters start (published runs: N(0, 2/784), 0, Uniform(0, 0.01))."""

    m_var: Any = setting(
        None, "variance of the initial m; null: 2 / number of inputs; recurrent: by layer"
    )
    pi: float = setting(0.0, "initial spike mass, a probability", ge=0, le=1)
    xi_max: Any = setting(0.01, "initial Xi is drawn from Uniform(0, xi_max); or by layer")


@dataclass
class Optim:
    """The settings of the optimiser; rates and decays are `lr` and `decay`."""

    name: str = setting(
        "adamw",
        "adamw: Adam with decoupled decay; rmsprop: with coupled decay",
        choices=("adamw", "rmsprop"),
    )
    beta1: float = setting(0.9, "decay rate of the first moment; adamw alone", ge=0, lt=1)
    beta2: float = setting(0.999, "decay rate of the second moment", ge=0, lt=1)
    eps: float = setting(1e-8, "added to the root of the second moment", ge=0)
    eps_inside: bool = setting(False, "rmsprop: eps is added inside the root, as published")
    pi: str | None = setting(
        None, "rmsprop: sgd, plain gradient descent on pi; null: as m and xi", choices=("sgd",)
    )
    clip: float | None = setting(
        None, "largest spectral norm of a matrix's gradient; null: any", gt=0
    )
    halve_every: int | None = setting(
        None, "epochs after which rates are halved; null: never", ge=1
    )
    halve: list[str] = setting(
        ["m", "pi", "xi"], "the kinds whose rates are halved", choices=KINDS, empty=True
    )
    halve_early: bool = setting(
        False, "halve in epochs halve_every, 2 halve_every ..., as published; not after them"
    )


@dataclass
class Evaluation:
    """How the network is tested."""

    samples: int = setting(10, "effective networks drawn for ensemble.csv", ge=0)
    mean_every: int = setting(10, "epochs between evaluations of the mean network", ge=1)
    redraw: str = setting(
        "once",
        "effective networks: weights drawn once, or at every time step",
        choices=("once", "step"),
    )


@dataclass
class DataSettings:
    """Where images are and which of them test."""

    root: str = setting("data", "folder of the data sets; default $SAS_DATA, else ./data")
    split: str = setting(
        "test",
        "test, or validation: the last training images instead",
        choices=("test", "validation"),
    )


@dataclass
class Train:
    """One training run: the settings that every model, rule and command share."""

    model: Model = setting(Model, "group: digits, mnist, ..., rnn_rows, multisensory")
    rule: Any = setting(None, "group: the learning rule and its own settings")
    optim: Optim = setting(Optim, "group: the optimiser")
    depth: int = setting(4, "layers of neurons, input and output included; recurrent: 3", ge=2)
    width: Any = setting(100, "neurons of a hidden layer: a number, or the list of all widths")
    train_size: Any = setting(
        "all", "T, the number of training images, or all", ge=1, whole=True, word="all"
    )
    test_size: Any = setting(
        "all", "V, the number of test images, or all", ge=1, whole=True, word="all"
    )
    epochs: int = setting(100, "passes over the training images", ge=1)
    stop_loss: float | None = setting(
        None, "training loss of an epoch below which a replica stops; null: none does", ge=0
    )
    stop_after: int = setting(0, "epochs that every replica trains before stop_loss counts", ge=0)
    batch_size: int = setting(
        500, "images of a mini-batch; the last of an epoch may be smaller", ge=1
    )
    batches: int | None = setting(None, "mini-batches of an epoch; null: every image once", ge=1)
    lr: Any = setting(
        0.1,
        "learning rate: a number, or lr.m, lr.pi, lr.xi, lr.r (COPI's R); a list: side by side",
    )
    decay: Any = setting(1e-4, "decoupled L2 decay, as lr: a number, decay.m ..., or a list")
    init: Init = setting(Init, "initial parameters")
    eval: Evaluation = setting(Evaluation, "evaluation")
    data: DataSettings = setting(DataSettings, "data sets")
    checkpoint_every: int = setting(10, "epochs between checkpoints", ge=1)
    snapshot_every: int = setting(0, "epochs between snapshots of the weights; 0: none", ge=0)
    seed: int = setting(0, "seed of the first replica; replica r has seed + r", ge=0)
    replicas: int = setting(1, "independent networks trained side by side", ge=1)
    seeds: list[int] | None = setting(
        None, "the replicas' seeds one by one, instead of seed", empty=True
    )
    device: str = setting("auto", "auto, cpu, cuda or cuda:N")
    threads: int | None = setting(None, "CPU threads; null: torch's choice", ge=1)
    precision: str = setting("float32", "float32 or float64", choices=("float32", "float64"))
    resume: Any = setting(
        False,
        "true: resume the newest unfinished run of these settings; or a run's path or name",
    )
    name: str | None = setting(None, "run name; null: <model>-<rule>-L<depth>-T<train_size>")
    outputs: str = setting("outputs", "where run directories are made; default $SAS_OUTPUTS")

    def __post_init__(self) -> None:
        """The rule's settings as their dataclass. Raises UserError for an invalid one."""
        if isinstance(self.rule, Mapping):
            self.rule = rule_settings(self.rule)

    def constraints(self) -> None:
        """Raises UserError for settings that do not fit one another."""
        hidden_widths(self.width, self.depth)
        if self.rule is not None:
            check(self.rule, "rule.")
        if self.name is not None and (not self.name or ".." in self.name.split("/")):
            raise UserError(f"name must be the name of a folder, not {self.name!r}")
        if self.optim.pi == "sgd" and self.optim.name == "adamw":
            raise UserError("optim.pi is null or, with optim=rmsprop, sgd")
        if self.optim.eps_inside and self.optim.name != "rmsprop":
            raise UserError("optim.eps_inside needs optim=rmsprop: add optim.eps_inside=false")
        if self.seeds is not None:
            seeds = seed_list(self.seeds)
            if len(set(seeds)) < len(seeds) or min(seeds) < 0:
                raise UserError(f"seeds must be different whole numbers >= 0, not {self.seeds}")
        self._check_time()
        self._check_numbers()

    def _check_time(self) -> None:
        """Whether network and settings of time fit each other."""
        model = self.model
        if model.network != "recurrent":
            if self.eval.redraw == "step":
                raise UserError(
                    "eval.redraw=step needs a recurrent network, for example model=rnn_rows"
                )
            return
        if self.depth != 3:
            raise UserError("a recurrent network has depth 3 (in, rec, out): leave depth out")
        if not 0 < model.dt <= model.tau:
            raise UserError(
                f"model.dt must be > 0 and at most model.tau={model.tau}, not {model.dt}"
            )

    def _check_numbers(self) -> None:
        """Whether rates, decays and initial variances are numbers >= 0, layer by layer."""
        layers = LAYERS[self.model.network]
        for name, words in (("m_var", (None, IDENTITY) if layers else (None,)), ("xi_max", ())):
            for value in initial(self, name):
                if value not in words and not is_amount(value):
                    raise UserError(f"init.{name} is a variance, a number >= 0, not {value!r}")
        for name, kinds in (("lr", RATES), ("decay", KINDS)):
            if not alternatives(getattr(self, name)):
                raise UserError(f"{name} needs at least one value")
            for value in alternatives(getattr(self, name)):
                per_kind(value, name, kinds, layers)


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


def run_name(config: Train) -> str:
    """`name`, or by default <model>-<rule>-L<depth>-T<train_size>."""
    rule = config.rule.name
    return config.name or f"{config.model.name}-{rule}-L{config.depth}-T{config.train_size}"
