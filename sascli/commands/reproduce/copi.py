"""`sas reproduce copi`: COPI beside BP and gBP at a preset, from nothing to the page."""

from omegaconf import DictConfig

from sascli.config import ReproduceCopi, check_figures_copi, typed


def task(cfg: DictConfig) -> None:
    """Run what is missing, draw, and print the claims. Raises UserError as `sas train` does."""
    config = typed(cfg, ReproduceCopi)
    check_figures_copi(config)
    from sascli.reproduction import reproduce  # seconds of torch: only for settings that are right
    from sascli.reproduction.copi import Copi

    reproduce(Copi(config))
