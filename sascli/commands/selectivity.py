"""`sas selectivity`: what the neurons of a trained network are selective for."""

from functools import partial

from omegaconf import DictConfig

from sascli.commands import job_directory
from sascli.config import Selectivity, check_recording, typed


def task(cfg: DictConfig) -> None:
    """Write selectivity.csv and responses.csv.

    Raises UserError for a run that is not there or is not of the task.
    """
    config = typed(cfg, Selectivity)
    check_recording(config)
    from sascli.behaviour import selectivity
    from sascli.measuring import measure, show

    directory = measure(config, "selectivity", partial(selectivity, config), job_directory())
    show(directory, ["selectivity", "neurons"])
