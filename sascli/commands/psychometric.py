"""`sas psychometric`: choices of a trained network against frequency."""

from functools import partial

from omegaconf import DictConfig

from sascli.commands import job_directory
from sascli.config import Psychometric, check_curves, typed


def task(cfg: DictConfig) -> None:
    """Write psychometric.csv and sigmoids.csv.

    Raises UserError for a run that is not there or is not of the task.
    """
    config = typed(cfg, Psychometric)
    check_curves(config)
    from sascli.behaviour import psychometric
    from sascli.measuring import measure, show

    directory = measure(config, "psychometric", partial(psychometric, config), job_directory())
    show(directory, ["psychometric"])
