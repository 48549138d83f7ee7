"""`sas collect`: the tables of a multirun's jobs as one, and how the jobs stand."""

from pathlib import Path

from sascli import collecting, multirun
from sascli.config import Collect


def collect(config: Collect, _job: Path | None = None) -> None:
    """Write the tables and say how the jobs stand. Raises UserError where there is no sweep."""
    outputs = Path(config.outputs)
    sweep = Path(config.sweep) if config.sweep else multirun.newest(outputs)
    print(collecting.collect(sweep))
