"""The settings of what credit is used for: tests, pruning, and with tasks in sequence a study."""

from dataclasses import dataclass

from sascli.config.continual import PROTOCOLS, Continual, Strength, check_continual
from sascli.config.measurements import OnImages
from sascli.config.settings import need_values, setting, unknown
from sascli.config.sweeps import Searched, Study, check_positive, check_rate, check_sweep, scaled
from sascli.config.train import training_of
from sascli.errors import UserError


@dataclass
class Images:
    """Images to test on."""

    default: str | None = setting(
        None, "digits, mnist, cifar10 or folder, with the run's classes; null: the run's test set"
    )


@dataclass
class Evaluate(OnImages):
    """A trained run on test images: accuracy, calibration, uncertainty."""

    model: Images = setting(Images, "images to test on")
    samples: int = setting(20, "effective networks whose mean prediction is the ensemble's")
    bins: int = setting(15, "bins of confidence of the reliability diagram")
    against: list[str] = setting(
        ["shuffled"], "what is not of these classes: shuffled (pixels), or a data set's name"
    )


def check_evaluate(config: Evaluate) -> None:
    """Refuse what the types alone let through. Raises UserError."""
    if config.samples < 1 or config.bins < 1:
        raise UserError("samples and bins must be at least 1")


CRITERIA = ("pi", "snr", "magnitude")


@dataclass
class Tune:
    """Fine-tuning of pruned networks by BP."""

    epochs: int = setting(0, "epochs of fine-tuning, beside the networks as cut; 0: none")
    lr: float | None = setting(None, "its learning rate; null: a tenth of the run's")


@dataclass
class Prune(OnImages):
    """Connections dropped from a trained run, and the sparse networks that are left."""

    criterion: list[str] = setting(
        list(CRITERIA), "what stays: small pi, large |mu|/sigma (snr), VIPs first; or magnitude"
    )
    keep: list[float] = setting(
        [0.8, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02], "fractions of the connections that stay"
    )
    threshold: list[float] = setting(
        [1.0, 0.9, 0.5], "besides, every connection with pi at or above this is dropped"
    )
    tune: Tune = setting(Tune, "fine-tuning")
    baseline: str | None = setting(None, "a BP run of the same images, to prune by magnitude")


def check_prune(config: Prune) -> None:
    """Refuse what the types alone let through. Raises UserError."""
    need_values(config, "criterion", "keep")
    for name in config.criterion:
        if name not in CRITERIA:
            raise unknown(name, CRITERIA, "criterion")
    for name in ("keep", "threshold"):
        if not all(0 < level <= 1 for level in getattr(config, name)):
            raise UserError(f"{name} must be numbers in (0, 1], not {getattr(config, name)}")
    if config.tune.epochs < 0 or (config.tune.lr is not None and config.tune.lr <= 0):
        raise UserError("tune.epochs must be at least 0 and tune.lr above 0")


@dataclass
class Sequence:
    """How much of `sas continual` is run, under every protocol."""

    tasks: int = setting(5, "how many, one after another")
    epochs: int = setting(1, "epochs of each task")
    batch_size: int = setting(100, "images per mini-batch; a task needs many steps")
    rates: list[float] = setting([1.0], "learning rates tried for every method, in units of lr")
    strength: Strength = setting(Strength, "strengths tried for each method that protects")
    search_seeds: int = setting(1, "seeds of that search")


@dataclass
class UsePreset(Searched):
    """How much of the study is run: settings of `sas evaluate`, `prune` and `continual`."""

    samples: int = setting(20, "effective networks of the ensemble")
    bins: int = setting(15, "bins of confidence")
    against: list[str] = setting(["shuffled"], "what is not of these classes")
    keep: list[float] = setting([0.5, 0.1], "fractions of the connections that stay")
    threshold: list[float] = setting([1.0], "connections with pi at or above this are dropped")
    tune_epochs: int = setting(3, "epochs of fine-tuning")
    continual: Sequence = setting(Sequence, "tasks in sequence")


@dataclass
class FiguresUse(Study):
    """The study of what the credit is good for."""

    preset: UsePreset = setting(UsePreset, "group: smoke, quick, paper")

    @property
    def evaluate(self) -> Evaluate:
        """The settings of the evaluation."""
        own = self.preset
        return Evaluate(samples=own.samples, bins=own.bins, against=own.against)

    @property
    def prune(self) -> Prune:
        """The settings of the pruning."""
        own = self.preset
        return Prune(keep=own.keep, threshold=own.threshold, tune=Tune(own.tune_epochs))

    @property
    def continual(self) -> list[Continual]:
        """The settings of the tasks in sequence, protocol by protocol."""
        own = self.preset.continual
        shared = vars(training_of(self)) | {
            "rule": {},
            "epochs": own.epochs,
            "batch_size": own.batch_size,
            "lr": scaled(self.lr, own.rates),
            "tasks": own.tasks,
            "strength": own.strength,
            "search_seeds": own.search_seeds,
        }
        return [Continual(**shared, task=protocol) for protocol in PROTOCOLS]


def check_figures_use(config: FiguresUse) -> None:
    """As `check_sweep`, and what a preset must hold. Raises UserError."""
    check_sweep(config)
    check_positive("preset.rates", config.preset.rates)
    if config.preset.search_seeds < 1:
        raise UserError("preset.search_seeds must be at least 1")
    check_evaluate(config.evaluate)
    check_prune(config.prune)
    check_positive("preset.continual.rates", config.preset.continual.rates)
    for protocol in config.continual:
        check_continual(protocol)
    check_rate(config)
