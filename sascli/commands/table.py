"""The table of commands: purpose, settings and function of each."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from operator import attrgetter
from typing import Any

from sascli import config
from sascli.studies.registry import STUDIES


@dataclass(frozen=True)
class Command:
    """A row: what dispatcher and help need before the command's module is imported.

    `work` is MODULE:FUNCTION. It is called with the settings and the directory of a multirun's
    job (None outside of multiruns), and returns the directory with its tables. A function of
    `sascli.measure` is instead called by `sascli.measure.record.measure`.
    """

    summary: str  # one line
    work: str
    examples: tuple[tuple[str, str], ...]  # command line and effect; the most common first
    pictures: tuple[str, ...] = ()  # figures drawn beside the tables, if their tables exist
    overview: str = ""  # MODULE:FUNCTION that makes a table for the terminal from the tables
    argument: str | None = None  # the setting that the first word sets without its name
    plain: tuple[str, ...] = ()  # settings of a group's name that are not groups here


def schema_of(command: str) -> type:
    """The dataclass of a command's settings: the command's name in camel case."""
    name = "".join(word.capitalize() for word in command.replace("-", " ").split())
    return getattr(config, name)  # type: ignore[no-any-return]


def function(name: str) -> Callable[..., Any]:
    """Import the function MODULE:FUNCTION, or the method MODULE:CLASS.METHOD."""
    module, _, attribute = name.partition(":")
    return attrgetter(attribute)(import_module(module))  # type: ignore[no-any-return]


COMMANDS = {
    "train": Command(
        "train networks and leave a run directory of weights, tables and a picture",
        "sascli.training.run:run",
        (
            ("sas train", "gBP on scikit-learn's digits"),
            ("sas train model=mnist depth=4", "the published setting: MNIST, 784-100-100-10"),
            ("sas train rule=bp replicas=5", "back-propagation, seeds 0 to 4 side by side"),
            ("sas train width=[40,20] lr=0.02 lr.pi=0.1", "hidden widths; rates of m, Xi and pi"),
            ("sas train -m depth=3,4,5 seed=0,1", "six runs, one after another"),
            ("sas train resume=true", "continue the newest unfinished run of these settings"),
            ("sas train -m seed=0,1,2,3 hydra/launcher=local", "four runs, one on each core"),
            ("sas train -m seed=0,1,2,3 hydra/launcher=slurm", "four jobs on a SLURM cluster"),
        ),
        pictures=("overview",),
    ),
    **{
        f"reproduce {name}": Command(
            study.summary, f"sascli.studies.{name}:{name.capitalize()}.run", study.examples
        )
        for name, study in STUDIES.items()
    },
    "sweep-datasize": Command(
        "test error and layer statistics against the number of training images and depth",
        "sascli.training.sweep:sweep_datasize",
        (
            ("sas sweep-datasize depth=[4,5] train_size=[200,all] seeds=5", "four points"),
            ("sas sweep-datasize -m worker=1,2 hydra/launcher=slurm", "two jobs share the work"),
        ),
    ),
    "entropy": Command(
        "entropy per connection of a trained run, by the paper's estimator and the exact one",
        "sascli.measure.credit:entropy",
        (("sas entropy run=latest", "of the newest finished run"),),
    ),
    "perturb": Command(
        "switch connections of a trained run off or on and test again",
        "sascli.measure.credit:perturb",
        (("sas perturb run=latest layer=1", "all four kinds, eleven fractions"),),
    ),
    "evaluate": Command(
        "test a trained run: accuracy, calibration, uncertainty, confusion of classes",
        "sascli.measure.evaluate:evaluate",
        (
            ("sas evaluate run=latest", "on its test set"),
            ("sas evaluate model=folder data.root=other/images", "other images, same classes"),
            ("sas evaluate against=[shuffled,cifar10]", "uncertainty on other images"),
        ),
        plain=("model",),
        pictures=("confusion", "reliability", "uncertainty"),
        overview="sascli.measure.evaluate:overview",
    ),
    "prune": Command(
        "prune connections of a trained run by credit; size and speed of the sparse networks",
        "sascli.measure.prune:prune",
        (
            ("sas prune run=latest", "by pi, |mu|/sigma and magnitude"),
            ("sas prune baseline=my-bp tune.epochs=3", "beside BP, also fine-tuned"),
        ),
        pictures=("pruning", "sparse"),
        overview="sascli.measure.prune:overview",
    ),
    "continual": Command(
        "learn tasks in sequence, old ones protected by credit, by EWC, or not at all",
        "sascli.continual:run",
        (
            ("sas continual", "five pairs of digits, every method"),
            ("sas continual model=mnist task=permuted", "MNIST, five permutations of the pixels"),
            ("sas continual lr=0.03 strength.ewc=100 methods=[bp,ewc]", "without a search"),
        ),
        pictures=("continual", "continual_matrix"),
        overview="sascli.continual:overview",
    ),
    "decorrelation": Command(
        "correlation by layer over a run's training; decorrelated inputs beside ZCA",
        "sascli.measure.copi:decorrelation",
        (("sas decorrelation run=latest", "of the newest finished run, trained by rule=copi"),),
        pictures=("decorrelation", "decorrelated"),
    ),
    "features": Command(
        "receptive fields of a COPI network's units by linear read-out",
        "sascli.measure.copi:features",
        (
            ("sas features run=latest layer=2 unit=[0,1,2]", "three units of the second layer"),
            ("sas features images=all", "the last hidden layer, fitted to all training images"),
        ),
        pictures=("features",),
    ),
    "compress": Command(
        "replace layers of a COPI network by their linear map and test again",
        "sascli.measure.copi:compress",
        (("sas compress run=latest", "the first k layers and the last k, for every k"),),
        pictures=("compression",),
    ),
    "psychometric": Command(
        "choices of a network of the multisensory task against frequency, fitted sigmoids, slopes",
        "sascli.measure.task:psychometric",
        (
            ("sas psychometric run=latest", "mean field and five effective networks"),
            ("sas psychometric way=[sampled,redrawn]", "weights drawn once, or every step"),
        ),
        pictures=("psychometric",),
    ),
    "selectivity": Command(
        "neurons selective for choice, modality, both or neither, and their responses",
        "sascli.measure.task:selectivity",
        (("sas selectivity run=latest", "noise-reduced trials of the newest finished run"),),
        pictures=("selectivity", "neurons"),
    ),
    "trajectories": Command(
        "principal components of rates by condition and of parameters over training",
        "sascli.measure.task:trajectories",
        (("sas trajectories run=latest", "also parameters, of a run with snapshot_every=10"),),
        pictures=("trajectories", "synapses"),
    ),
    "kernel": Command(
        "the tangent kernel of the recurrent network: infinite width, random networks, training",
        "sascli.measure.theory:kernel",
        (
            ("sas kernel", "17 angles, widths 100 to 2000; lazy training on MNIST"),
            ("sas kernel lazy.width=0 alpha=[0.5]", "without training, one leak"),
        ),
        pictures=("kernel", "lazy"),
    ),
    "order-parameters": Command(
        "symmetry breaking of one spike-and-slab neuron that learns a sine",
        "sascli.measure.theory:order_parameter_tables",
        (("sas order-parameters", "10,000 inputs, ten networks"),),
        pictures=("order_parameters",),
    ),
    "plot": Command(
        "draw figures from the tables of `sas reproduce`; never trains",
        "sascli.commands.plot:plot",
        (("sas plot figure=fig2a", "one figure of the newest reproduction"),),
    ),
    "claims": Command(
        "the paper's claims: holds, does not hold, not measured",
        "sascli.commands.claims:print_claims",
        (("sas claims format=markdown", "of the newest reproduction"),),
    ),
    "runs": Command(
        "run directories: rule, rate, depth, T, epochs, seeds, status, accuracy, age",
        "sascli.commands.runs:print_runs",
        (
            ("sas runs", "all, newest first"),
            ("sas runs status=[failed,killed] match=mnist", "a selection"),
            ("sas runs format=json", "for other programs, as csv"),
        ),
    ),
    "clean": Command(
        "old versions of run directories and what deleting them would free",
        "sascli.jobs.clean:clean",
        (
            ("sas clean", "list them; measured runs and the newest finished ones are kept"),
            ("sas clean confirm=true", "delete them"),
        ),
    ),
    "plan": Command(
        "what a command would train: runs, steps, time and disk; trains nothing",
        "sascli.commands.plan:print_plan",
        (
            ("sas plan train model=mnist", "time from a few real steps"),
            ("sas plan reproduce credit preset=paper", "every run of a study"),
        ),
        argument="command",
    ),
    "collect": Command(
        "one table from the tables of a multirun's jobs, and the status of every job",
        "sascli.jobs.collect:run",
        (
            ("sas collect", "of the newest multirun"),
            ("sas collect outputs/train/multirun/v001", "of this multirun"),
        ),
        argument="sweep",
    ),
}
