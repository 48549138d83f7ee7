"""`sas decorrelation`: correlation by layer over training; decorrelated inputs beside ZCA."""

from omegaconf import DictConfig

from sascli.commands import job_directory
from sascli.config import Decorrelation, typed
from sascli.errors import UserError

MOST = 50
"""Images that fit into a picture."""


def task(cfg: DictConfig) -> None:
    """Write tables and pictures. Raises UserError for a run that does not decorrelate."""
    config = typed(cfg, Decorrelation)
    if not 1 <= config.images <= MOST or config.epsilon <= 0:
        raise UserError(f"images must be 1 to {MOST}, epsilon above 0")
    import pandas as pd

    from sascli import runs
    from sascli.analysis.decorrelation import correlations, decorrelated
    from sascli.measuring import Trained, measure, show

    def work(run: Trained) -> dict[str, pd.DataFrame]:
        shown = decorrelated(
            run.layers,
            run.data,
            images=config.images,
            replica=run.checked("replica", config.replica, len(run.seeds)),
            epsilon=config.epsilon,
        )
        metrics = runs.read_table(run.directory / "metrics.csv")
        return {"decorrelation": correlations(metrics), "decorrelated": shown}

    directory = measure(config, "decorrelation", work, job_directory())
    show(directory, ["decorrelation", "decorrelated"])
