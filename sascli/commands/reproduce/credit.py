"""`sas reproduce credit`: Figs. 2-4 of a model at a preset, from nothing to the page."""

from omegaconf import DictConfig

from sascli.config import Figures, check_figures, typed


def task(cfg: DictConfig) -> None:
    """Run what is missing, draw, and print the claims. Raises UserError as `sas train` does."""
    config = typed(cfg, Figures)
    check_figures(config)
    from sascli.reproduction import reproduce  # seconds of torch: only for settings that are right
    from sascli.reproduction.credit import Credit

    reproduce(Credit(config))
