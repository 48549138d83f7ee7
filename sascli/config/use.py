"""The settings of `sas evaluate` and `sas prune`, and of the studies `use` and `convolution`."""

from dataclasses import dataclass

from sascli.config.continual import PROTOCOLS, Continual, Strength
from sascli.config.measurements import OnImages
from sascli.config.needs import Need, without
from sascli.config.settings import check, require, setting
from sascli.config.sweeps import Reproduce, SearchPreset, check_one_rate, scaled
from sascli.config.train import training_of


@dataclass
class ImageSource:
    """Images to test on."""

    default: str | None = setting(None, "digits, mnist, cifar10 or folder; null: the test set")


@dataclass
class Evaluate(OnImages):
    """A trained run on test images: accuracy, calibration, uncertainty."""

    model: ImageSource = setting(ImageSource, "images to test on")
    samples: int = setting(20, "effective networks of the ensemble", ge=1)
    bins: int = setting(15, "bins of confidence in the reliability diagram", ge=1)
    against: list[str] = setting(
        ["shuffled"], "images of other classes: shuffled pixels or a data set", empty=True
    )


CRITERIA = ("pi", "snr", "magnitude")

TUNED = Need("tune.epochs", "it is used with tune.epochs")


@dataclass
class Tune:
    """Fine-tuning of pruned networks by BP."""

    epochs: int = setting(0, "epochs of fine-tuning; 0: none", ge=0)
    lr: float | None = setting(None, "learning rate; null: a tenth of the run's", TUNED, gt=0)


@dataclass
class Prune(OnImages):
    """Sparse networks: connections dropped from a trained run."""

    criterion: list[str] = setting(
        list(CRITERIA), "keep small pi, large |mu|/sigma (snr) or magnitude", choices=CRITERIA
    )
    keep: list[float] = setting(
        [0.8, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02], "fractions of connections to keep", gt=0, le=1
    )
    threshold: list[float] = setting(
        [1.0, 0.9, 0.5], "also drop connections with pi >= this", gt=0, le=1, empty=True
    )
    tune: Tune = setting(Tune, "fine-tuning")
    baseline: str | None = setting(None, "a BP run with the same images, to prune by magnitude")


@dataclass
class SequencePreset:
    """How much of `sas continual` is run, for each protocol."""

    tasks: int = setting(5, "number of tasks", ge=2)
    epochs: int = setting(1, "epochs per task", ge=1)
    batch_size: int = setting(100, "images per mini-batch", ge=1)
    rates: list[float] = setting([1.0], "learning rates to search, in units of lr", gt=0)
    strength: Strength = setting(Strength, "strengths to search")
    search_seeds: int = setting(1, "seeds of the search", ge=1)


@dataclass
class UsePreset(SearchPreset):
    """How much of the study is run: settings of `sas evaluate`, `prune` and `continual`."""

    samples: int = setting(20, "effective networks of the ensemble", ge=1)
    bins: int = setting(15, "bins of confidence", ge=1)
    against: list[str] = setting(["shuffled"], "images of other classes", empty=True)
    keep: list[float] = setting([0.5, 0.1], "fractions of connections to keep", gt=0, le=1)
    threshold: list[float] = setting([1.0], "also drop pi >= this", gt=0, le=1, empty=True)
    tune_epochs: int = setting(3, "epochs of fine-tuning", ge=0)
    continual: SequencePreset = setting(SequencePreset, "tasks in sequence")


@dataclass
class ReproduceUse(Reproduce):
    """The study of what credit is good for."""

    needs = without(Reproduce.needs, "data.root")  # there are also the images of preset.against
    preset: UsePreset = setting(UsePreset, "group: smoke, quick, paper")

    def constraints(self) -> None:
        """As `Reproduce`, and those of each part."""
        super().constraints()
        check_one_rate(self.lr)
        for part in (self.evaluate, self.prune, *self.continual):
            check(part)

    @property
    def evaluate(self) -> Evaluate:
        """The settings of the evaluation."""
        preset = self.preset
        return Evaluate(samples=preset.samples, bins=preset.bins, against=preset.against)

    @property
    def prune(self) -> Prune:
        """The settings of the pruning."""
        preset = self.preset
        tune = Tune(preset.tune_epochs)
        return Prune(keep=preset.keep, threshold=preset.threshold, tune=tune)

    @property
    def continual(self) -> list[Continual]:
        """The settings of the tasks in sequence, one per protocol."""
        shared = vars(training_of(self)) | vars(self.preset.continual)
        shared |= {"rule": None, "lr": scaled(self.lr, shared.pop("rates"))}
        return [Continual(**shared, task=protocol) for protocol in PROTOCOLS]


@dataclass
class ConvolutionPreset(SearchPreset):
    """How much of the study is run."""

    samples: int = setting(10, "effective networks and draws of a perturbation", ge=1)
    fractions: list[float] = setting([0.0, 1.0], "fractions of the weights perturbed", ge=0, le=1)
    keep: list[float] = setting([0.5, 0.1], "fractions of connections to keep", gt=0, le=1)
    tune_epochs: int = setting(0, "epochs of fine-tuning of pruned networks", ge=0)

    @property
    def prune(self) -> Prune:
        """The settings of the pruning."""
        return Prune(keep=self.keep, threshold=[], tune=Tune(self.tune_epochs))


@dataclass
class ReproduceConvolution(Reproduce):
    """The study of a convolutional network."""

    preset: ConvolutionPreset = setting(ConvolutionPreset, "group: smoke, quick, paper")

    def constraints(self) -> None:
        """As `Reproduce`, and those of the search and of the network."""
        super().constraints()
        check_one_rate(self.lr)
        check(self.preset.prune)
        text = "this study needs a convolutional network: model=mnist_conv or model=cifar10_conv"
        require(self.model.network == "convolutional", text)
        text = "eval.samples must be at least 1: claim 3 is about effective networks"
        require(self.eval.samples >= 1, text)
