"""`sas collect`: the tables of a multirun's jobs as one, and how the jobs stand."""

from pathlib import Path

from omegaconf import DictConfig

from sascli import collecting, multirun
from sascli.config import Collect, typed


def task(cfg: DictConfig) -> None:
    """Write the tables and say how the jobs stand. Raises UserError where there is no sweep."""
    config = typed(cfg, Collect)
    outputs = Path(config.outputs)
    sweep = Path(config.sweep) if config.sweep else multirun.newest(outputs)
    print(collecting.collect(sweep))
