"""`sas plot`: pictures from the tables of one `sas reproduce` directory. It never trains."""

from pathlib import Path

from sascli import figures, runs
from sascli.config import Plot, as_list
from sascli.errors import UserError
from sascli.studies.directories import directory_of, figures_of
from sascli.studies.registry import STUDIES


def plot(config: Plot, _job: Path | None = None) -> None:
    """Draw. Raises UserError with the command that makes a missing table."""
    directory = directory_of(config.from_, Path(config.outputs), config.study)
    study = runs.study_name(runs.manifest_of(directory))
    names = figures_of(directory) if config.figure == "all" else as_list(config.figure)
    for name in names:
        owners = [key for key, entry in STUDIES.items() if name in entry.figures]
        if study and owners and study not in owners:
            raise UserError(f"{name} is a figure of another study: add study={owners[0]}")
    out = Path(config.out or directory / "pictures")
    print(*figures.plot(names, directory, out), sep="\n")
