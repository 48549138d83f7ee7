"""One run: from settings to a finished run directory, new or gone on with."""

from collections.abc import Sequence
from pathlib import Path

import torch
from omegaconf import OmegaConf

from sascli import rules, runs
from sascli.analysis.histograms import histograms
from sascli.analysis.layers import layers
from sascli.config import (
    Train,
    config_hash,
    decisive,
    initial,
    plain,
    population,
    run_name,
    typed,
    varied,
)
from sascli.data import Data, load
from sascli.data.tasks import multisensory
from sascli.errors import DivergedError, UserError
from sascli.rules.base import Rule, Setup
from sascli.training import checkpoint
from sascli.training.memory import free, peak_memory
from sascli.training.networks import initial_variances, make_network
from sascli.training.progress import Part, Progress
from sascli.training.replicas import some
from sascli.training.split import Population, Trained


def run(config: Train, directory: Path | None = None, progress: Part | None = None) -> Path:
    """Train as configured and return the run directory, a new version unless it resumes.

    With a `directory`, that one is used, and continued if it holds an unfinished run of the same
    settings; with a `progress`, that one counts the epochs. Raises UserError for settings that
    cannot be, before any work.
    """
    settings, kind = config.rule, rules.rule_class(config.rule)
    if config.model.network not in kind.networks:
        raise UserError(f"rule={settings.name} cannot train a {config.model.network} network")
    device = pick_device(config.device)
    set_threads(config.threads)
    torch.set_flush_denormal(True)  # moments of dead pixels decay to denormals: 10 x slower
    directory = directory or resumed(config)
    if directory is not None and finished(config, directory):
        if progress is None:
            print(f"{directory} is finished already")
        else:
            progress.skip(config.epochs)
        return directory
    begun = directory is not None and runs.begun(directory)
    data = load_data(config, device, recorded_data(directory) if directory and begun else None)
    if directory is not None and begun:
        same_data(directory, data)
    members = setup(config, data)

    def make(own: Setup, where: torch.device) -> Rule:
        return kind(make_network(config, data, len(own.seeds), where), settings, own)

    make(some(members, slice(1)), torch.device("cpu"))  # refuses what cannot be
    directory = directory or runs.claim(Path(config.outputs) / "train" / run_name(config))
    go_on = None if progress else f"sas train ... resume={directory}"
    with runs.lock(directory):
        begin(directory, config, data, device)
        with runs.recorded(directory, go_on) as found:
            free(device)
            with progress or Progress(config.epochs, "epochs") as counted:
                whole = Population(config, data, make, members, directory, directory)
                try:
                    trained = whole.train(counted)
                except DivergedError as error:
                    runs.describe(directory, diverged=error.epoch)
                    raise
            finish(config, directory, members.seeds, trained)
            found["peak_memory"] = peak_memory(device, trained.together)
            found["stopped"] = trained.ends
    if progress is None:
        print(f"run directory: {directory}", flush=True)
    return directory


def resumed(config: Train) -> Path | None:
    """The run that `resume` means, None for a new one."""
    if isinstance(config.resume, str):
        return runs.locate(config.resume, Path(config.outputs), unfinished=True)
    if not config.resume:
        return None
    parent = Path(config.outputs) / "train" / run_name(config)
    return runs.of_settings(parent, config_hash(config))


def finished(config: Train, directory: Path) -> bool:
    """Whether the run in `directory` has nothing left to do.

    Settings that an earlier version did not have are as it behaved, the schema's defaults. Raises
    UserError when its settings are others than these, `epochs` that grow excepted.
    """
    if not runs.begun(directory):
        return False
    manifest = runs.manifest_of(directory)
    complete = typed(OmegaConf.create(runs.read_json(directory / runs.CONFIG)), Train)
    before, after = decisive(plain(complete)), decisive(plain(config))
    different = sorted(key for key in after if after[key] != before.get(key))
    if "epochs" in different and after["epochs"] > before["epochs"]:
        different.remove("epochs")
    if different:
        raise UserError(f"{directory} was run with another {', '.join(different)}")
    return bool(manifest["status"] == "finished") and after["epochs"] == before["epochs"]


def recorded_data(directory: Path) -> str:
    """The name of the data that the run in a directory was begun with."""
    return str(runs.manifest_of(directory)["data"]["name"])


def same_data(directory: Path, data: Data) -> None:
    """Refuse images that a run was not begun with: its test images may be among them."""
    before = runs.manifest_of(directory)["data"]["checksum"]
    if before != data.checksum:
        raise UserError(
            f"{directory} is of other images: theirs have the checksum {before}, those that are "
            f"there now {data.checksum}"
        )


def begin(directory: Path, config: Train, data: Data, device: torch.device) -> None:
    """The manifest and the resolved settings; a resumed run keeps its start.

    In an order that a kill between the two cannot make a run without settings, or one that is
    to have more epochs and counts as finished.
    """
    resumes = runs.begun(directory)
    about = {"config_hash": config_hash(config), **runs.running(), "diverged": None}
    if resumes:
        runs.describe(directory, **about)
    runs.write_json(directory / runs.CONFIG, plain(config))
    if not resumes:
        runs.describe(
            directory,
            **runs.provenance(),
            kind="train",
            model=config.model.name,
            rule=config.rule.name,
            seeds=[member.seed for member in population(config)],
            **varied(config),
            device=str(device),
            device_name=torch.cuda.get_device_name(device) if device.type == "cuda" else None,
            threads=torch.get_num_threads(),
            data=data.description,
            start=runs.now(),
            warnings=[],
            **about,
        )


def finish(config: Train, directory: Path, seeds: Sequence[int], trained: Trained) -> None:
    """What a trained network leaves: weights and tables."""
    network, entropy = trained.network, trained.entropy
    checkpoint.save_weights(directory / checkpoint.WEIGHTS, network, seeds)
    for name, table in {
        "layers": layers(network, seeds, entropy),
        "histograms": histograms(network, seeds, entropy),
        "ensemble": trained.ensemble,
    }.items():
        runs.write_table(directory / f"{name}.csv", table, varied(config))


def pick_device(name: str) -> torch.device:
    """The device that `device` means; auto is the GPU where there is one. Raises UserError."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"device must be auto, cpu, cuda or cuda:N, not '{name}'") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"device={name}, but there are {torch.cuda.device_count()} CUDA devices")
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"device must be auto, cpu, cuda or cuda:N, not '{name}'")
    return device


def set_threads(number: int | None) -> None:
    """Let torch use so many threads of the CPU, its own choice for None. Raises UserError."""
    if number is not None and number < 1:
        raise UserError(f"threads must be at least 1 or null, not {number}")
    if number is not None:
        torch.set_num_threads(number)


def load_data(config: Train, device: torch.device, recorded: str | None = None) -> Data:
    """The model's data set as tensors on the device. Raises UserError where they do not fit.

    `recorded` is the name of the data in a run's manifest, for a run that is read or resumed.
    """
    try:
        if config.model.source == "multisensory":
            return multisensory(config, device)
        return load(
            config.model.source,
            root=Path(config.data.root),
            train_size=config.train_size,
            test_size=config.test_size,
            split=config.data.split,
            image_size=config.model.image_size,
            grey=config.model.grey,
            recorded=recorded,
            device=device,
            dtype=getattr(torch, config.precision),
        )
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"the data do not fit into the memory of {device}: lower train_size or test_size, or "
            "train with device=cpu"
        ) from error


def setup(config: Train, data: Data) -> Setup:
    """What the rule needs of the settings; a batch larger than T becomes T, with a warning."""
    size = len(data.train_y)
    if config.batch_size > size:
        print(f"warning: batch_size {config.batch_size} is more than T; using {size}", flush=True)
    members = population(config)
    return Setup(
        seeds=[member.seed for member in members],
        batch_size=min(config.batch_size, size),
        lr={kind: [member.lr[kind] for member in members] for kind in members[0].lr},
        decay={kind: [member.decay[kind] for member in members] for kind in members[0].decay},
        optim=config.optim,
        m_var=initial_variances(config, data),
        pi=config.init.pi,
        xi_max=initial(config, "xi_max"),
    )
