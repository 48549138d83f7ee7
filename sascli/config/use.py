"""The settings of what credit is used for: tests, pruning, and with tasks in sequence a study."""

from dataclasses import dataclass

from sascli.config.continual import PROTOCOLS, Continual, Strength
from sascli.config.measurements import OnImages
from sascli.config.settings import check, setting
from sascli.config.sweeps import Reproduce, SearchPreset, check_one_rate, scaled
from sascli.config.train import training_of


@dataclass
class ImageSource:
    """Images to test on."""

    default: str | None = setting(
        None, "digits, mnist, cifar10 or folder, with the run's classes; null: the run's test set"
    )


@dataclass
class Evaluate(OnImages):
    """A trained run on test images: accuracy, calibration, uncertainty."""

    model: ImageSource = setting(ImageSource, "images to test on")
    samples: int = setting(20, "effective networks whose mean prediction is the ensemble's", ge=1)
    bins: int = setting(15, "bins of confidence of the reliability diagram", ge=1)
    against: list[str] = setting(
        ["shuffled"],
        "what is not of these classes: shuffled (pixels), or a data set's name",
        empty=True,
    )


CRITERIA = ("pi", "snr", "magnitude")


@dataclass
class Tune:
    """Fine-tuning of pruned networks by BP."""

    epochs: int = setting(0, "epochs of fine-tuning, beside the networks as cut; 0: none", ge=0)
    lr: float | None = setting(None, "its learning rate; null: a tenth of the run's", gt=0)


@dataclass
class Prune(OnImages):
    """Connections dropped from a trained run, and the sparse networks that are left."""

    criterion: list[str] = setting(
        list(CRITERIA),
        "what stays: small pi, large |mu|/sigma (snr), VIPs first; or magnitude",
        choices=CRITERIA,
    )
    keep: list[float] = setting(
        [0.8, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02], "fractions of the connections that stay", gt=0, le=1
    )
    threshold: list[float] = setting(
        [1.0, 0.9, 0.5],
        "besides, every connection with pi at or above this is dropped",
        gt=0,
        le=1,
        empty=True,
    )
    tune: Tune = setting(Tune, "fine-tuning")
    baseline: str | None = setting(None, "a BP run of the same images, to prune by magnitude")


@dataclass
class Sequence:
    """How much of `sas continual` is run, under every protocol."""

    tasks: int = setting(5, "how many, one after another", ge=2)
    epochs: int = setting(1, "epochs of each task", ge=1)
    batch_size: int = setting(100, "images per mini-batch; a task needs many steps", ge=1)
    rates: list[float] = setting(
        [1.0], "learning rates tried for every method, in units of lr", gt=0
    )
    strength: Strength = setting(Strength, "strengths tried for each method that protects")
    search_seeds: int = setting(1, "seeds of that search", ge=1)


@dataclass
class UsePreset(SearchPreset):
    """How much of the study is run: settings of `sas evaluate`, `prune` and `continual`."""

    samples: int = setting(20, "effective networks of the ensemble", ge=1)
    bins: int = setting(15, "bins of confidence", ge=1)
    against: list[str] = setting(["shuffled"], "what is not of these classes", empty=True)
    keep: list[float] = setting([0.5, 0.1], "fractions of the connections that stay", gt=0, le=1)
    threshold: list[float] = setting(
        [1.0], "connections with pi at or above this are dropped", gt=0, le=1, empty=True
    )
    tune_epochs: int = setting(3, "epochs of fine-tuning", ge=0)
    continual: Sequence = setting(Sequence, "tasks in sequence")


@dataclass
class ReproduceUse(Reproduce):
    """The study of what the credit is good for."""

    preset: UsePreset = setting(UsePreset, "group: smoke, quick, paper")

    def constraints(self) -> None:
        """As `Reproduce`, and those of every part."""
        super().constraints()
        check_one_rate(self.lr)
        for part in (self.evaluate, self.prune, *self.continual):
            check(part)

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
            "rule": None,
            "epochs": own.epochs,
            "batch_size": own.batch_size,
            "lr": scaled(self.lr, own.rates),
            "tasks": own.tasks,
            "strength": own.strength,
            "search_seeds": own.search_seeds,
        }
        return [Continual(**shared, task=protocol) for protocol in PROTOCOLS]
