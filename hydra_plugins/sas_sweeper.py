"""Hydra finds its plugins in this namespace: a sweeper that launches what `sas` submitted."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class Submitted(Sweeper):
    """Launches the jobs of the last submission to `hydra.sweep.dir`, all in one batch."""

    def __init__(self, **_: Any) -> None:
        self.launcher: Launcher | None = None
        self.directory = Path()

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Make the launcher that is chosen."""
        self.directory = Path(config.hydra.sweep.dir)
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: Sequence[str]) -> Sequence[JobReturn]:
        """Run the jobs, each in the folder of its name; the error of a failed one is raised."""
        from sascli.cli.words import quoted  # here, because Hydra imports every plugin
        from sascli.jobs import multirun

        assert self.launcher is not None
        submitted = multirun.load(self.directory)
        names = submitted.record["submissions"][-1]["submitted"]
        jobs = [[*submitted.jobs[name], f"hydra.sweep.subdir={quoted(name)}"] for name in names]
        results = self.launcher.launch(jobs, initial_job_idx=0)
        for result in results:
            _ = result.return_value  # raises the error of a job that failed
        return results
