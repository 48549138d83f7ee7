"""The typed schema under the YAML: what can be set, what it means, and what is refused."""

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any, TypeVar, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sascli.errors import UserError

Settings = TypeVar("Settings")

KINDS = ("m", "pi", "xi")
RATES = (*KINDS, "r")
"""What has a learning rate of its own; r is the decorrelation of COPI."""
UNHASHED = ("resume", "device", "threads", "outputs", "worker")


def setting(default: Any = MISSING, help: str = "") -> Any:
    """A dataclass field whose meaning `sas COMMAND --help` prints."""
    if isinstance(default, (list, type)):
        factory = default if isinstance(default, type) else default.copy
        return field(default_factory=factory, metadata={"help": help})
    return field(default=default, metadata={"help": help})


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


def typed(cfg: DictConfig, schema: type[Settings]) -> Settings:
    """The composed configuration as a dataclass, interpolations resolved."""
    try:
        merged = OmegaConf.merge(OmegaConf.structured(schema), cfg)
        return cast(Settings, OmegaConf.to_object(merged))
    except OmegaConfBaseException as error:
        raise UserError(f"{error.full_key}: {str(error).splitlines()[0]}") from error


def unknown(key: str, known: Iterable[str], what: str) -> UserError:
    """The error for a name that does not exist, with the nearest that does."""
    names = sorted(known)
    near = difflib.get_close_matches(key, names, n=1)
    hints = [f"did you mean '{near[0]}'?"] if near else []
    if len(names) <= 12:
        hints.append(f"known: {', '.join(names) or 'none'}")
    return UserError(f"there is no {what} '{key}'; {' '.join(hints) or '--help lists them'}")


def rule_settings(rule: Mapping[str, Any], schema: type[Settings]) -> Settings:
    """A rule's node, checked against the dataclass that the rule's file carries."""
    names = [own.name for own in fields(cast(Any, schema))]
    for key in rule:
        if key not in names:
            raise unknown(key, names, f"setting of the rule {rule.get('name')} called")
    try:
        merged = OmegaConf.merge(OmegaConf.structured(schema), dict(rule))
        return cast(Settings, OmegaConf.to_object(merged))
    except Exception as error:
        raise UserError(f"rule: {str(error).splitlines()[0]}") from error


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


def check_sweep(config: Train) -> None:
    """As `check`; the replicas of a sweep are told apart by their seeds alone."""
    check(config)
    for name in ("lr", "decay"):
        if len(alternatives(getattr(config, name))) > 1:
            raise UserError(f"{name} must be one number here; `sas train` takes a list")


def check_figures(config: "Figures") -> None:
    """As `check_sweep`, and what a preset must hold."""
    check_sweep(config)
    preset = config.preset
    for name in ("sizes", "deep_sizes", "rates"):
        numbers = getattr(preset, name)
        if not numbers or min(numbers) <= 0:
            raise UserError(f"preset.{name} must be a list of numbers > 0, not {numbers}")
    if not preset.fractions or not all(0 <= fraction <= 1 for fraction in preset.fractions):
        raise UserError(f"preset.fractions must lie in [0, 1], not {preset.fractions}")
    if preset.samples < 1 or preset.search_seeds < 1:
        raise UserError("preset.samples and preset.search_seeds must be at least 1")


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


def alternatives(value: Any) -> list[Any]:
    """The numbers or maps that a list of rates, or a map whose `default` is one, stands for."""
    if isinstance(value, Mapping) and isinstance(value.get("default"), (list, tuple)):
        return [{**value, "default": one} for one in value["default"]]
    return as_list(value)


def varied(config: Train) -> dict[str, list[float]]:
    """Columns that tell replicas of different rates apart; none where all have the same."""
    columns = {}
    for name in ("lr", "decay"):
        if len(alternatives(getattr(config, name))) > 1:
            columns[name] = [getattr(member, name)["m"] for member in population(config)]
    return columns


def run_name(config: Train) -> str:
    """`name`, or by default <model>-<rule>-L<depth>-T<train_size>."""
    rule = config.rule["name"]
    return config.name or f"{config.model.name}-{rule}-L{config.depth}-T{config.train_size}"


def plain(config: Any) -> dict[str, Any]:
    """The settings as nested dictionaries of plain values."""
    return asdict(config)


def config_hash(config: Any) -> str:
    """16 hexadecimal digits of the settings that decide the numbers."""
    kept = {key: value for key, value in plain(config).items() if key not in UNHASHED}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


@dataclass
class SweepDatasize(Train):
    """Test error and layer statistics against T and depth."""

    depth: Any = setting(4, "a depth, or a list of them")
    train_size: Any = setting("all", "a T, or a list of them")
    seeds: Any = setting(3, "how many seeds (5: 0 to 4), or their list; they train side by side")


@dataclass
class Preset:
    """How much of the reproduction is run. Sizes are in units of the model's own T.

    Where the data are too few for the largest size, all are scaled down in proportion.
    """

    name: str = setting("quick", "name of the preset, part of the directory's")
    sizes: list[float] = setting([1.0], "training sizes of Fig. 2b")
    depths: list[int] = setting([4], "depths of the inset of Fig. 2b")
    deep: int = setting(5, "depth of Figs. 3c and 4b")
    deep_sizes: list[float] = setting([1.0], "training sizes of Fig. 3c")
    rates: list[float] = setting([1.0], "learning rates tried for either rule, in units of lr")
    search_seeds: int = setting(1, "seeds of that search")
    samples: int = setting(10, "effective networks and draws of a perturbation")
    fractions: list[float] = setting([0.0, 1.0], "fractions of the weights perturbed")


@dataclass
class Figures(Train):
    """The whole reproduction: settings of `sas train` and of a preset."""

    preset: Preset = setting(Preset, "group: smoke, quick, paper")
    worker: int | None = setting(None, "any number: workers of the same settings share the work")
    seeds: Any = setting(3, "how many seeds (5: 0 to 4), or their list; they train side by side")


@dataclass
class FromRun:
    """What the commands that measure a trained network share."""

    run: str = setting("latest", "a run directory, a run's name, or latest")
    device: str = setting("auto", "auto, cpu, cuda or cuda:N")
    threads: int | None = setting(None, "CPU threads; null: torch's choice")
    name: str | None = setting(None, "name of the result; null: the run's")
    outputs: str = setting("outputs", "where runs and results are; default $SAS_OUTPUTS")


@dataclass
class Where:
    """Where a run's images are now."""

    root: str | None = setting(None, "folder of the data sets; null: as when it was trained")


@dataclass
class Entropy(FromRun):
    """Entropy per connection."""

    estimator: list[str] = setting(["paper", "mixed"], "paper (Eq. 8) and mixed (exact)")


@dataclass
class Perturb(FromRun):
    """Targeted perturbation of one layer."""

    layer: Any = setting(1, "layer, counted from 1, a list of layers, or all")
    kind: list[str] = setting(
        ["vip_off", "uip_on", "random_off", "other_off"], "what is switched off or on"
    )
    fractions: list[float] = setting([0.0, 1.0], "fractions of the weights perturbed")
    samples: int = setting(10, "effective networks and draws that each point averages")
    tolerance: float = setting(0.0, "pi <= tolerance and Xi <= tolerance make a VIP")
    draw: int = setting(0, "another number, another series of networks and draws")
    data: Where = setting(Where, "data sets")


@dataclass
class FromFigures:
    """What the commands that read a directory of `sas figures` share."""

    from_: str | None = setting(None, "directory of `sas figures`; null: the newest")
    outputs: str = setting("outputs", "where it is looked for; default $SAS_OUTPUTS")


@dataclass
class Plot(FromFigures):
    """Pictures from tables."""

    figure: Any = setting("all", "a figure, a list of them, or all")
    out: str | None = setting(None, "where the pictures go; null: beside the tables")


@dataclass
class Claims(FromFigures):
    """The paper's claims, measured."""

    other: str | None = setting(None, "directory of another data set, for claim 15")
    format: str = setting("text", "text, csv or markdown")


@dataclass
class Runs:
    """The run directories that there are."""

    command: Any = setting(None, "only of this command, or of these; null: all")
    status: Any = setting(None, "only of this status, or of these; null: all")
    match: str | None = setting(None, "only with this in their path, mnist say; null: all")
    format: str = setting("text", "text, csv or json")
    outputs: str = setting("outputs", "where they are; default $SAS_OUTPUTS")


@dataclass
class Collect:
    """The tables of a multirun's jobs together."""

    sweep: str | None = setting(None, "directory of a multirun; null: the newest")
    outputs: str = setting("outputs", "where it is looked for; default $SAS_OUTPUTS")


def seed_list(seeds: Any) -> list[int]:
    """`seeds=5` means 0 to 4; a list is itself. Raises UserError."""
    whole = isinstance(seeds, int) and not isinstance(seeds, bool)
    listed = list(range(seeds)) if whole else seeds
    if not isinstance(listed, list) or not listed or not all(type(s) is int for s in listed):
        raise UserError(f"seeds must be a number of seeds or a list of them, not {seeds!r}")
    return listed


def as_list(value: Any) -> list[Any]:
    """A list, or one value as a list of it."""
    return list(value) if isinstance(value, (list, tuple)) else [value]
