"""`sas collect`: the tables of a multirun's jobs as one, and the status of the jobs."""

from pathlib import Path

from sascli.config import Collect
from sascli.jobs import multirun
from sascli.jobs.collect import collect as collected


def collect(config: Collect, _job: Path | None = None) -> None:
    """Write the tables and print the status of the jobs. Raises UserError without a multirun."""
    outputs = Path(config.outputs)
    directory = Path(config.sweep) if config.sweep else multirun.newest(outputs)
    print(collected(directory))
