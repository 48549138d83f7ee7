"""Hydra finds its plugins in this namespace: a sweeper that launches what `sas` submitted."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, read_write

if TYPE_CHECKING:
    from sascli.jobs.multirun import Multirun


class Submitted(Sweeper):
    """Launches the jobs of a submission to `hydra.sweep.dir`, by number, all in one batch."""

    def __init__(self, submission: int, **_: Any) -> None:
        self.submission = submission  # not the last: another process may have submitted since
        self.launcher: Launcher | None = None
        self.submitted: Multirun | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Make the chosen launcher; submitit's files of a submission have their own folder."""
        from sascli.jobs import multirun  # here, because Hydra imports every plugin

        self.submitted = multirun.load(Path(config.hydra.sweep.dir))
        if "submitit_folder" in config.hydra.launcher:
            folder = self.submitted.directory / multirun.SUBMISSIONS / str(self.submission) / "%j"
            with read_write(config):
                config.hydra.launcher.submitit_folder = str(folder)
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: Sequence[str]) -> Sequence[JobReturn]:
        """Run each job in the folder of its name. Raises the error of a job that failed."""
        from sascli.config.composition import quoted

        assert self.launcher is not None
        assert self.submitted is not None
        names = self.submitted.record["submissions"][self.submission]["submitted"]
        lines = self.submitted.jobs
        jobs = [[*lines[name], f"hydra.sweep.subdir={quoted(name)}"] for name in names]
        results = self.launcher.launch(jobs, initial_job_idx=0)
        for result in results:
            _ = result.return_value  # raises the error of a job that failed
        return results
