"""A study's directory, from nothing to the report: claimed, trained, measured, drawn, judged."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from sascli import claims, figures, output, runs
from sascli.config import Figures, Reproduce, as_list, seed_list
from sascli.data import Data
from sascli.measure import record
from sascli.measure.run import TrainedRun
from sascli.studies import report
from sascli.studies.directories import judge, name_of
from sascli.studies.registry import STUDIES
from sascli.training import directories as training_directories
from sascli.training import run as training_run
from sascli.training import sweep
from sascli.training.devices import describe, spread
from sascli.training.sweep import Point
from sascli.training.workers import share


class Reproduction(ABC):
    """What a study trains and measures; both keep what the directory already has."""

    name: ClassVar[str]  # in sascli.studies.registry.STUDIES

    def __init__(self, config: Reproduce, data: Data | None = None) -> None:
        """Load all images of the model where no `data` are given. Raises UserError."""
        if data is None:
            settings = replace(config, train_size="all", test_size="all")
            data = training_run.load_data(settings, training_run.pick_device("cpu"))
        self.config, self.data = config, data

    @property
    @abstractmethod
    def reference(self) -> Mapping[str, object]:
        """The point at which figures are drawn and claims judged, kept in the manifest."""

    @abstractmethod
    def planned(self) -> list[Point]:
        """What `train` trains at most: the outcome of a search decides about some points."""

    @abstractmethod
    def train(self, directory: Path) -> Mapping[str, object]:
        """Train everything and gather the tables; return further entries of the manifest.

        Several workers may call it at the same time.
        """

    @abstractmethod
    def measure(self, directory: Path) -> None:
        """Measure the trained networks and write the other tables, in a single process."""

    def gather(self, points: Mapping[str, Sequence[Point]], directory: Path) -> None:
        """Write tables of trained runs together, each by its name from the runs of its points."""
        tables = {name: sweep.gather(name, points[name], directory / "runs") for name in points}
        record.write(directory, tables)

    def trained(self, directory: Path, points: Iterable[Point]) -> list[TrainedRun]:
        """The trained runs of points."""
        device, root = training_run.pick_device(self.config.device), self.config.data.root
        return [TrainedRun(directory / "runs" / point.name, device, root) for point in points]

    @classmethod
    def run(cls, config: Reproduce, _job: Path | None = None) -> Path:
        """`sas reproduce NAME`; the study's directory."""
        return reproduce(cls(config))


def reproduce(study: Reproduction) -> Path:
    """Run what is missing, draw every figure, write claims and report; the directory."""
    if study.config.worker is not None:
        spread(study.config.worker, study.config.device)
        return share(
            parent_of(study),
            training_directories.same_settings(study.config),
            lambda directory: begin(directory, study),
            study.train,
            lambda directory: finish(directory, study),
            study.data.checksum,
        )
    directory = claim(study)
    finish(directory, study)
    return directory


def finish(directory: Path, study: Reproduction) -> None:
    """`reproduce` in a directory. Raises BusyError where another process has it."""
    with runs.lock(directory):
        begin(directory, study)
        with runs.recorded(directory, "the same command") as entries:
            entries |= study.train(directory)
            study.measure(directory)
        present(directory, study.config.figures)


def claim(study: Reproduction) -> Path:
    """The directory of the same settings and data, unfinished before finished, or a new one."""
    parent, same = parent_of(study), training_directories.same_settings(study.config)
    return runs.of_settings(parent, same, study.data.checksum) or runs.claim(parent)


def parent_of(study: Reproduction) -> Path:
    """The folder of all versions for a model and preset."""
    config = study.config
    folder = f"{config.model.name}-{config.preset.name}"
    return Path(config.outputs) / "reproduce" / study.name / folder


def begin(directory: Path, study: Reproduction) -> None:
    """Write manifest and settings; a resumed directory keeps its start."""
    config = study.config
    training_directories.begin(
        directory,
        config,
        {},
        kind="reproduce",
        study=study.name,
        model=config.model.name,
        preset=config.preset.name,
        cut=config.preset.cut,
        reference=study.reference,
        seeds=seed_list(config.seeds),
        **describe(training_run.pick_device(config.device), config.precision),
        data={"name": study.data.name, "checksum": study.data.checksum},
    )


def present(directory: Path, settings: Figures) -> None:
    """Write pictures, claims and report, which shows PNGs, from the tables alone."""
    study = STUDIES[name_of(runs.manifest_of(directory))]
    settings = replace(settings, format=[*as_list(settings.format), "png"])
    pictures = figures.plot(study.figures, directory, directory / "pictures", settings)
    table = judge(directory)
    runs.write_table(directory / "claims.csv", table)
    with runs.replacing(directory / "claims.md", "w") as file:
        file.write(claims.as_markdown(table))
    page = report.write(directory, pictures, table)
    print(*pictures, page, claims.as_text(table, output.width()), sep="\n")
