"""`sas trajectories`: rates and parameters along their principal components."""

from functools import partial

from omegaconf import DictConfig

from sascli.commands import job_directory
from sascli.config import Trajectories, check_recording, typed


def task(cfg: DictConfig) -> None:
    """Write trajectories.csv, synapses.csv and components.csv.

    Raises UserError for a run that is not there or is not of the task.
    """
    config = typed(cfg, Trajectories)
    check_recording(config)
    from sascli.behaviour import trajectories
    from sascli.measuring import measure, show

    directory = measure(config, "trajectories", partial(trajectories, config), job_directory())
    followed = (directory / "synapses.csv").exists()
    show(directory, ["trajectories", "synapses"] if followed else ["trajectories"])
