"""The commands: an entry below, conf/<name>.yaml and a module with `task(cfg)` make one.

A study is a command of two words, `reproduce credit`, with conf/reproduce/credit.yaml and the
module sascli.commands.reproduce.credit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig


@dataclass(frozen=True)
class Command:
    """What the dispatcher and the help know of a command before its module is imported."""

    summary: str  # one line
    schema: str  # the name of its dataclass in sascli.config
    examples: tuple[tuple[str, str], ...]  # what to type and what it does; the most used first
    argument: str | None = None  # the setting that the first word may be, without its name
    plain: tuple[str, ...] = ()  # settings that are no groups here, though a group has their name


COMMANDS = {
    "train": Command(
        "train networks and leave a run directory of weights, tables and a picture",
        "Train",
        (
            ("sas train", "gBP on scikit-learn's digits"),
            ("sas train model=mnist depth=4", "the published setting: MNIST, 784-100-100-10"),
            ("sas train rule=bp replicas=5", "back-propagation, seeds 0 to 4 side by side"),
            ("sas train width=[40,20] lr=0.02 lr.pi=0.1", "hidden widths; rates of m, Xi and pi"),
            ("sas train -m depth=3,4,5 seed=0,1", "six runs, one after another"),
            ("sas train resume=true", "go on with the newest unfinished run of these settings"),
            ("sas train -m seed=0,1,2,3 hydra/launcher=local", "four runs, one on each core"),
            ("sas train -m seed=0,1,2,3 hydra/launcher=slurm", "four jobs of a SLURM cluster"),
        ),
    ),
    "reproduce credit": Command(
        "regenerate Figs. 2-4 and measure the paper's claims; again: only what is missing",
        "Figures",
        (
            ("sas reproduce credit model=mnist", "every figure at preset=quick"),
            ("sas reproduce credit preset=paper", "the paper's settings, five seeds"),
            ("sas reproduce credit model=digits preset=smoke", "seconds: does everything run?"),
            ("sas reproduce credit -m worker=1,2 hydra/launcher=slurm", "two jobs share the work"),
        ),
    ),
    "reproduce temporal": Command(
        "the recurrent network: both tasks, perturbations, choices, selectivity, kernel, claims",
        "ReproduceTemporal",
        (
            ("sas reproduce temporal", "MNIST row by row and the task at preset=quick"),
            ("sas reproduce temporal model=rnn_digits preset=smoke", "does everything run?"),
        ),
    ),
    "reproduce copi": Command(
        "COPI beside BP and gBP: accuracy, rates, decorrelation, features, compression, claims",
        "ReproduceCopi",
        (
            ("sas reproduce copi model=mnist", "every picture and claim at preset=quick"),
            ("sas reproduce copi model=digits preset=smoke", "seconds: does everything run?"),
        ),
    ),
    "reproduce use": Command(
        "what credit is good for: calibration, pruning, protection of old tasks, with claims",
        "ReproduceUse",
        (
            ("sas reproduce use model=mnist", "every picture and claim at preset=quick"),
            ("sas reproduce use model=digits preset=smoke", "seconds: does everything run?"),
        ),
    ),
    "sweep-datasize": Command(
        "test error and layer statistics against the number of training images and depth",
        "SweepDatasize",
        (
            (
                "sas sweep-datasize model=mnist depth=[4,5] train_size=[1000,10000] seeds=5",
                "four points of five seeds each",
            ),
            (
                "sas sweep-datasize -m worker=1,2 train_size=[200,600,all] hydra/launcher=slurm",
                "two jobs share the points",
            ),
        ),
    ),
    "entropy": Command(
        "entropy per connection of a trained run, by the paper's estimator and the exact one",
        "Entropy",
        (("sas entropy run=latest", "of the newest finished run"),),
    ),
    "perturb": Command(
        "switch connections of a trained run off or on and test again",
        "Perturb",
        (("sas perturb run=latest layer=1", "all four kinds, eleven fractions"),),
    ),
    "evaluate": Command(
        "test a trained run: accuracy, calibration, uncertainty, confusion of classes",
        "Evaluate",
        (
            ("sas evaluate run=latest", "on its own test set"),
            ("sas evaluate model=folder data.root=other/images", "on other images, same classes"),
            ("sas evaluate against=[shuffled,cifar10]", "what is it uncertain about?"),
        ),
        plain=("model",),
    ),
    "prune": Command(
        "drop connections of a trained run by credit; the sparse networks, their size and speed",
        "Prune",
        (
            ("sas prune run=latest", "by pi, |mu|/sigma and magnitude"),
            ("sas prune baseline=my-bp tune.epochs=3", "beside BP, also fine-tuned"),
        ),
    ),
    "continual": Command(
        "learn tasks one after another, old ones protected by credit, by EWC, or not at all",
        "Continual",
        (
            ("sas continual", "five pairs of digits, every method"),
            ("sas continual model=mnist task=permuted", "MNIST, five permutations of the pixels"),
            ("sas continual lr=0.03 strength.ewc=100 methods=[bp,ewc]", "without a search"),
        ),
    ),
    "decorrelation": Command(
        "correlation by layer over a run's training; decorrelated inputs beside ZCA",
        "Decorrelation",
        (("sas decorrelation run=latest", "of the newest finished run, trained by rule=copi"),),
    ),
    "features": Command(
        "receptive fields of a COPI network's units by linear read-out",
        "Features",
        (
            ("sas features run=latest layer=2 unit=[0,1,2]", "three units of the second layer"),
            ("sas features images=all", "the last hidden layer, read from all training images"),
        ),
    ),
    "compress": Command(
        "replace layers of a COPI network by their linear map and test again",
        "Compress",
        (("sas compress run=latest", "the first k layers and the last k, for every k"),),
    ),
    "psychometric": Command(
        "choices of a network of the multisensory task against frequency, fitted sigmoids, slopes",
        "Psychometric",
        (
            ("sas psychometric run=latest", "mean field and five effective networks"),
            ("sas psychometric way=[sampled,redrawn]", "weights drawn once, or at every step"),
        ),
    ),
    "selectivity": Command(
        "which neurons are selective for choice, modality, both or neither, and their responses",
        "Selectivity",
        (("sas selectivity run=latest", "noise-reduced trials of the newest finished run"),),
    ),
    "trajectories": Command(
        "principal components of rates by condition, and of parameters over training",
        "Trajectories",
        (("sas trajectories run=latest", "parameters too, of a run with snapshot_every=10"),),
    ),
    "kernel": Command(
        "the tangent kernel of the recurrent network: infinite width, random networks, training",
        "Kernel",
        (
            ("sas kernel", "17 angles, widths 100 to 2000; lazy training on MNIST"),
            ("sas kernel lazy.width=0 alpha=[0.5]", "without training, one leak"),
        ),
    ),
    "order-parameters": Command(
        "symmetry breaking of one spike-and-slab neuron that learns a sine",
        "OrderParameters",
        (("sas order-parameters", "10,000 inputs, ten networks"),),
    ),
    "plot": Command(
        "draw figures from the tables of `sas reproduce`; never trains",
        "Plot",
        (("sas plot figure=fig2a", "one figure of the newest reproduction"),),
    ),
    "claims": Command(
        "the paper's claims: holds, does not hold, not measured",
        "Claims",
        (("sas claims format=markdown", "of the newest reproduction"),),
    ),
    "runs": Command(
        "run directories: command, model, seeds, status, accuracy, age",
        "Runs",
        (
            ("sas runs", "all, the newest first"),
            ("sas runs status=[failed,killed] match=mnist", "some of them"),
            ("sas runs format=json", "for other programs; csv likewise"),
        ),
    ),
    "collect": Command(
        "one table from the tables of a multirun's jobs, and which jobs are still to be done",
        "Collect",
        (
            ("sas collect", "of the newest multirun"),
            ("sas collect outputs/train/multirun/v001", "of this one"),
        ),
        "sweep",
    ),
}


REPRODUCE = "reproduce"
"""The command whose next word names a study."""

RENAMED = {
    "figures": "reproduce credit",
    "figures-temporal": "reproduce temporal",
    "figures-copi": "reproduce copi",
    "figures-use": "reproduce use",
}
"""What commands of earlier versions are called now."""


def studies() -> list[str]:
    """The studies that `sas reproduce` knows."""
    return [name.split()[1] for name in COMMANDS if " " in name]


def with_study(words: Sequence[str]) -> list[str]:
    """The words, the first two as one where they name a study: `reproduce credit`."""
    named = words[:1] == [REPRODUCE] and words[1:2] and words[1] in studies()
    return [" ".join(words[:2]), *words[2:]] if named else list(words)


def module_of(command: str) -> str:
    """The module that holds the command's `task`."""
    return f"sascli.commands.{command.replace('-', '_').replace(' ', '.')}"


def run(command: str, cfg: DictConfig) -> None:
    """Run a command, whose module is imported only now."""
    import_module(module_of(command)).task(cfg)


def job_directory() -> Path | None:
    """The directory of this job of a multirun; None for a single run, which claims its own."""
    if HydraConfig.initialized() and HydraConfig.get().mode is RunMode.MULTIRUN:
        return Path(HydraConfig.get().runtime.output_dir)
    return None
