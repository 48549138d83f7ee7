"""`sas reproduce temporal`: the recurrent network at a preset, from nothing to the page."""

from omegaconf import DictConfig

from sascli.config import ReproduceTemporal, check_figures_temporal, typed


def task(cfg: DictConfig) -> None:
    """Run what is missing, draw, and print the claims. Raises UserError as `sas train` does."""
    config = typed(cfg, ReproduceTemporal)
    check_figures_temporal(config)
    from sascli.reproduction import reproduce  # seconds of torch: only for settings that are right
    from sascli.reproduction.temporal import Temporal

    reproduce(Temporal(config))
