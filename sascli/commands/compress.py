"""`sas compress`: layers replaced by their linear map, accuracy and parameters by how many."""

from omegaconf import DictConfig

from sascli.commands import job_directory
from sascli.config import Compress, typed


def task(cfg: DictConfig) -> None:
    """Write table and picture. Raises UserError for a run that does not decorrelate."""
    config = typed(cfg, Compress)
    import pandas as pd

    from sascli.analysis.linear import compression
    from sascli.measuring import Trained, measure, show

    def work(run: Trained) -> dict[str, pd.DataFrame]:
        layers, x = run.layers, run.training_images(config.images)
        return {"compression": compression(layers, run.seeds, x, run.data)}

    show(measure(config, "compress", work, job_directory()), ["compression"])
