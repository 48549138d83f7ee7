"""`sas kernel`: the neural tangent kernel, of infinite width and of random networks."""

from functools import partial

from omegaconf import DictConfig

from sascli.commands import job_directory
from sascli.config import Kernel, check_widths, typed


def task(cfg: DictConfig) -> None:
    """Write kernel.csv, kernel_decay.csv and lazy.csv. Raises UserError as `check_widths`."""
    config = typed(cfg, Kernel)
    check_widths(config)
    from sascli.measuring import (  # seconds of torch: for settings that are right
        experiment_of,
        show,
    )
    from sascli.theory import kernel_tables

    tables = partial(kernel_tables, root=config.data.root)
    directory = experiment_of(config, "kernel", tables, job_directory())
    show(directory, ["kernel", "lazy"] if config.lazy.width else ["kernel"])
