"""`sas plot`: pictures from the tables of one `sas reproduce` directory. It never trains."""

from pathlib import Path

from sascli import figures, runs
from sascli.config import Plot, as_list
from sascli.errors import UserError
from sascli.studies.registry import STUDIES, directory_of, figures_of, study_of


def plot(config: Plot, _job: Path | None = None) -> None:
    """Draw. Raises UserError naming the command that makes a missing table."""
    directory = directory_of(config.from_, Path(config.outputs), config.study)
    manifest = runs.manifest_of(directory)
    study = study_of(manifest)
    names = figures_of(directory) if config.figure == "all" else as_list(config.figure)
    for name in names:
        of = [key for key, other in STUDIES.items() if name in other.figures]
        if runs.study_name(manifest) and name not in study.figures and of:
            raise UserError(f"{name} is a figure of another study: add study={of[0]}")
    for path in figures.plot(names, directory, Path(config.out or directory / "pictures")):
        print(path)
