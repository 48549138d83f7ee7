"""`sas plot`: pictures from the tables of one `sas figures` directory. It never trains."""

from pathlib import Path

from omegaconf import DictConfig

from sascli import figures, runs
from sascli.config import Plot, as_list, typed
from sascli.figures import directory_of
from sascli.studies import study_of


def task(cfg: DictConfig) -> None:
    """Draw. Raises UserError naming the command that makes a missing table."""
    config = typed(cfg, Plot)
    directory = directory_of(config.from_, Path(config.outputs), config.study)
    study = study_of(runs.manifest_of(directory))
    names = study.figures if config.figure == "all" else as_list(config.figure)
    for path in figures.plot(names, directory, Path(config.out or directory / "pictures")):
        print(path)
