"""A directory of a study, from nothing to the page: claimed, trained, measured, drawn, judged."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from sascli import claims, figures, runs
from sascli.config import Reproduce, config_hash, plain, seed_list
from sascli.data import Data
from sascli.studies import report
from sascli.studies.registry import study_of
from sascli.training import run as training_run
from sascli.training.workers import share


class Reproduction(ABC):
    """What a study runs. Either half keeps what it finds done in the directory."""

    study: ClassVar[str]  # its name in sascli.studies.registry.STUDIES

    def __init__(self, config: Reproduce, data: Data) -> None:
        self.config, self.data = config, data

    @property
    @abstractmethod
    def reference(self) -> dict[str, Any]:
        """What the manifest tells pictures and claims to be drawn at."""

    @abstractmethod
    def train(self, directory: Path) -> dict[str, Any]:
        """Train everything, gather the tables; what the manifest is to tell of it.

        Several workers may be at it.
        """

    @abstractmethod
    def measure(self, directory: Path) -> None:
        """Measure what is trained, leaving the other tables: one process alone."""


def reproduce(work: Reproduction) -> Path:
    """Run what is missing, draw everything, write claims and page; the directory."""
    if work.config.worker is not None:
        return share(
            parent_of(work),
            config_hash(work.config),
            lambda own: begin(own, work),
            work.train,
            lambda own: finish(own, work),
            work.data.checksum,
        )
    directory = claim(work)
    finish(directory, work)
    return directory


def finish(directory: Path, work: Reproduction) -> None:
    """What `reproduce` does, in a directory. Raises BusyError where another process is at it."""
    with runs.lock(directory):
        begin(directory, work)
        with runs.recorded(directory, "the same command") as told:
            told |= work.train(directory)
            work.measure(directory)
        present(directory)


def claim(work: Reproduction) -> Path:
    """The directory of the same settings and data, unfinished before finished, or a new one."""
    parent, wanted = parent_of(work), config_hash(work.config)
    return runs.of_settings(parent, wanted, work.data.checksum) or runs.claim(parent)


def parent_of(work: Reproduction) -> Path:
    """Where the versions of a model and preset lie."""
    config = work.config
    return (
        Path(config.outputs)
        / "reproduce"
        / work.study
        / f"{config.model.name}-{config.preset.name}"
    )


def begin(directory: Path, work: Reproduction) -> None:
    """The manifest; a directory that is gone on with keeps its start."""
    config, own = work.config, runs.provenance()
    started = (directory / runs.MANIFEST).exists()
    runs.describe(
        directory,
        **({} if started else own | {"start": runs.now()}),
        kind="reproduce",
        study=work.study,
        model=config.model.name,
        preset=config.preset.name,
        cut=config.preset.cut,
        config_hash=config_hash(config),
        reference=work.reference,
        seeds=seed_list(config.seeds),
        device=str(training_run.pick_device(config.device)),
        data={"name": work.data.name, "checksum": work.data.checksum},
        **runs.running(),
    )
    runs.write_json(directory / runs.CONFIG, plain(config))


def present(directory: Path) -> None:
    """Pictures, claims and the page, from the tables alone."""
    study = study_of(runs.manifest_of(directory))
    pictures = figures.plot(study.figures, directory, directory / "pictures")
    tables, reference = figures.read_tables(directory), figures.reference_of(directory)
    table = claims.evaluate(tables, reference, register=study.claims)
    runs.write_table(directory / "claims.csv", table)
    with runs.replacing(directory / "claims.md", "w") as file:
        file.write(claims.as_markdown(table))
    page = report.write(directory, pictures, table)
    for path in [*pictures, page]:
        print(path)
    print(claims.as_text(table))
