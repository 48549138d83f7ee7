"""`sas reproduce use`: what the credit is good for, at a preset, from nothing to the page."""

from omegaconf import DictConfig

from sascli.config import ReproduceUse, check_figures_use, typed


def task(cfg: DictConfig) -> None:
    """Run what is missing, draw, and print the claims. Raises UserError as `sas train` does."""
    config = typed(cfg, ReproduceUse)
    check_figures_use(config)
    from sascli.reproduction import reproduce  # seconds of torch: only for settings that are right
    from sascli.reproduction.use import Use

    reproduce(Use(config))
