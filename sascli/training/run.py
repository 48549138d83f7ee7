"""One training run: from settings to a finished run directory, new or resumed."""

import os
import re
import shlex
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import torch

from sascli import rules, runs
from sascli.analysis.histograms import histograms
from sascli.analysis.layers import layers
from sascli.config import Train, initial, run_name, varied
from sascli.config import population as members_of
from sascli.core.precision import dtype_of
from sascli.data import Data, load
from sascli.data.tasks import multisensory
from sascli.errors import DivergedError, UserError, out_of_memory
from sascli.rules.base import Rule, Setup
from sascli.training import checkpoint, devices, loggers, split
from sascli.training.directories import begin, changes, different, resumed, settings_of
from sascli.training.memory import check_fits, free, peak_memory
from sascli.training.networks import initial_variances, network_maker
from sascli.training.population import Population, Trained
from sascli.training.progress import Part, Progress

LARGEST_BATCH, STEPS = 200, 20
"""Images per mini-batch, and steps per epoch at least, where `batch_size` is null."""


def run(config: Train, directory: Path | None = None, progress: Part | None = None) -> Path:
    """Train as configured and return the run directory, a new version unless it resumes one.

    A given `directory` is used, and continued if it contains an unfinished run of the same
    settings; a given `progress` counts the epochs. Raises UserError for invalid settings, before
    any work.
    """
    check_network(config)
    loggers.check_packages(config.logger)
    device = pick_device(config.device)
    set_threads(config.threads)
    used = devices.describe(device, config.precision)
    torch.set_flush_denormal(True)  # moments of dead pixels decay to denormals: 10 x slower
    parent = parent_of(config)
    directory = directory or resumed(parent, config, partial(load_data, config, device))
    if directory is not None and is_finished(config, directory):
        if progress is None:
            print(f"{directory} is already finished")
        else:
            progress.skip(config.epochs)
        return directory
    data = load_data(config, device, directory)
    replicas, make_rule = setup(config, data), rule_maker(config, data)
    make_rule(replicas.select(slice(1)), torch.device("cpu"))  # raises UserError if invalid
    directory = directory or runs.claim(parent)
    rates = varied(config)
    population = Population(data, replicas, make_rule, config, rates, directory, directory)
    hint = None if progress else shlex.join(("sas", "train", f"resume={directory}"))
    with runs.lock(directory):
        status = {"diverged": None, "threads": torch.get_num_threads(), **used}
        begin(directory, config, manifest(config, population), **status)
        with (
            runs.recorded(directory, hint) as results,
            nullcontext(progress) if progress else Progress(config.epochs, "epochs") as counter,
        ):
            free(device)
            with loggers.logger(config, directory) as show:
                try:
                    trained = split.train(replace(population, show=show), counter)
                except DivergedError as error:
                    runs.describe(directory, diverged=error.epoch)
                    raise
                save_results(population, trained)
            results["peak_memory"] = peak_memory(device, trained.together)
            results["stopped"] = trained.ends
    if progress is None:
        print(f"run directory: {directory}", flush=True)
    return directory


def check_network(config: Train) -> None:
    """Raises UserError where the rule cannot train a network of this kind."""
    if config.model.network not in rules.rule_class(config.rule).networks:
        raise UserError(f"rule={config.rule.name} cannot train a {config.model.network} network")


def parent_of(config: Train) -> Path:
    """The folder of all versions of a run."""
    return Path(config.outputs) / "train" / run_name(config)


def is_finished(config: Train, directory: Path) -> bool:
    """Whether the run in `directory` has trained all its epochs.

    Raises UserError when its settings are different, except for `epochs` that grow.
    """
    if not runs.begun(directory):
        return False
    before = settings_of(directory, Train)
    if differing := changes(before, config):
        raise different(directory, differing)
    status = runs.manifest_of(directory)["status"]
    return bool(status == "finished" and config.epochs == before.epochs)


def manifest(config: Train, population: Population) -> dict[str, object]:
    """The entries of a new run's manifest."""
    return {
        "kind": "train",
        "model": config.model.name,
        "rule": config.rule.name,
        "seeds": population.setup.seeds,
        **population.rates,
        "data": population.data.description,
        "warnings": [
            *population.data.warnings,
            *batch_size(config, len(population.data.train_y))[1],
        ],
    }


def save_results(population: Population, trained: Trained) -> None:
    """Write the weights and the tables of a trained population."""
    directory, seeds = population.directory, population.setup.seeds
    network, entropy = trained.network, trained.entropy
    checkpoint.save_weights(directory / checkpoint.WEIGHTS, network, seeds)
    for name, table in {
        "layers": layers(network, seeds, entropy),
        "histograms": histograms(network, seeds, entropy),
        "ensemble": trained.ensemble,
    }.items():
        runs.write_table(directory / f"{name}.csv", table, population.rates)


def pick_device(name: str) -> torch.device:
    """The device that `device` names; auto is the process's GPU if there is one.

    Raises UserError.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise UserError(f"device must be auto, cpu, cuda or cuda:N, not '{name}'")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"device={name}, but there are {torch.cuda.device_count()} CUDA devices")
    gpu = device.type == "cuda" and device.index is None
    return torch.device("cuda", torch.cuda.current_device()) if gpu else device


def set_threads(number: int | None) -> None:
    """Set torch's number of CPU threads, at most one for each core; None leaves it."""
    if number is not None:
        cores = os.cpu_count() or number
        if number > cores:
            warn_once(f"threads={number}, but there are {cores} cores: using {cores}")
        torch.set_num_threads(min(number, cores))


def load_data(config: Train, device: torch.device, run: Path | None = None) -> Data:
    """The model's data set as tensors on the device, the same as of a `run` that has begun.

    Raises UserError for data that do not fit on the device, or that are not the run's.
    """
    # before the first operation makes the threads, which would not flush; see `run`
    torch.set_flush_denormal(True)
    recorded = runs.manifest_of(run)["data"] if run is not None and runs.begun(run) else {}
    try:
        if config.model.source == "multisensory":
            data: Data = multisensory(config, device)
        else:
            data = load(
                config.model.source,
                root=Path(config.data.root),
                train_size=config.train_size,
                test_size=config.test_size,
                split=config.data.split,
                image_size=config.model.image_size,
                grey=config.model.grey,
                recorded=recorded.get("name"),
                device=device,
                dtype=dtype_of(config.precision),
            )
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        raise UserError(
            f"the data do not fit into the memory of {device}: lower train_size or test_size, or "
            "train with device=cpu"
        ) from error
    for text in data.warnings:
        warn_once(text)
    expected = recorded.get("checksum", data.checksum)
    if data.checksum != expected:  # the run's test images may be among new training images
        raise UserError(
            f"image checksum changed: expected {expected} of {run}, found {data.checksum}"
        )
    return data


def rule_maker(config: Train, data: Data) -> Callable[[Setup, torch.device], Rule]:
    """The function that makes the rule, with its network, of the replicas of a setup."""
    rule, settings = rules.rule_class(config.rule), config.rule
    make_network = network_maker(config, data)

    def make(replicas: Setup, device: torch.device) -> Rule:
        return rule(make_network(len(replicas.seeds), device), settings, replicas)

    return make


@cache
def warn_once(text: str) -> None:
    """Print a warning, once in a process that trains many points."""
    print(f"warning: {text}", flush=True)


def batch_size(config: Train, size: int) -> tuple[int, list[str]]:
    """Images per mini-batch for T = `size`, and the warning where the settings have another.

    Without one it is LARGEST_BATCH, less where an epoch would have fewer than STEPS steps; a
    batch larger than T becomes T.
    """
    number = config.batch_size
    if number is None:
        number = max(1, min(LARGEST_BATCH, size // STEPS))
        text = f"batch_size={number}: {STEPS} steps an epoch with T={size}"
        return number, [text] if number < LARGEST_BATCH else []
    if number > size:
        return size, [f"batch_size {number} exceeds T; using {size}"]
    return number, []


def steps(config: Train, size: int) -> int:
    """Optimiser steps of a training run on `size` images."""
    batches = -(-size // batch_size(config, size)[0])
    return config.epochs * min(batches, config.batches or batches)


def setup(config: Train, data: Data) -> Setup:
    """The rule's setup of all replicas; a batch size that is not the settings' is reported."""
    batch, warnings = batch_size(config, len(data.train_y))
    check_fits(config, data, batch)
    members = members_of(config)
    for text in warnings:
        print(f"warning: {text}", flush=True)
    return Setup(
        seeds=[member.seed for member in members],
        batch_size=batch,
        lr={kind: [member.lr[kind] for member in members] for kind in members[0].lr},
        decay={kind: [member.decay[kind] for member in members] for kind in members[0].decay},
        optim=config.optim,
        m_var=initial_variances(config, data),
        pi=config.init.pi,
        xi_max=initial(config, "xi_max"),
    )
