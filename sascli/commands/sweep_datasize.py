"""`sas sweep-datasize`: test error and layer statistics against T and depth."""

from dataclasses import replace

from omegaconf import DictConfig

from sascli.commands import job_directory
from sascli.config import SweepDatasize, as_list, check_sweep, typed
from sascli.errors import UserError


def task(cfg: DictConfig) -> None:
    """Train every depth with every T, a row of datasize.csv as each is finished.

    Raises UserError for any point that cannot be, before the first is trained.
    """
    config = typed(cfg, SweepDatasize)
    depths, sizes = as_list(config.depth), as_list(config.train_size)
    if not depths or not sizes:
        raise UserError("depth and train_size need at least one value each")
    for depth in depths:
        for size in sizes:
            check_sweep(replace(config, depth=depth, train_size=size))
    from sascli import sweeps  # seconds of torch: only for settings that are right

    directory = sweeps.sweep_datasize(config, job_directory())
    print(f"{directory}/datasize.csv")
