"""`sas train`: one training run, or one job of a multirun."""

from omegaconf import DictConfig

from sascli.commands import job_directory
from sascli.config import Train, check, typed


def task(cfg: DictConfig) -> None:
    """Train as configured. Raises UserError for settings that cannot be."""
    config = typed(cfg, Train)
    check(config)
    from sascli import experiment, figures  # seconds of torch: only for settings that are right

    directory = experiment.run(config, directory=job_directory())
    figures.plot(["overview"], directory, directory, suffixes=[".png"], reference={})
