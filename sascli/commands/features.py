"""`sas features`: receptive fields of deep units by linear read-out."""

from omegaconf import DictConfig

from sascli.commands import job_directory
from sascli.config import Features, as_list, need_values, typed

FIRST = 16
"""Units that are shown where none is named."""


def task(cfg: DictConfig) -> None:
    """Write table and picture. Raises UserError for a layer or a unit that is not there."""
    config = typed(cfg, Features)
    need_values(config, "unit")
    import pandas as pd

    from sascli.analysis.linear import features
    from sascli.measuring import Trained, measure, show

    def work(run: Trained) -> dict[str, pd.DataFrame]:
        depth = len(run.layers.w)
        layer = max(depth - 1, 1) if config.layer is None else config.layer
        count = run.layers.w[run.checked("layer", layer, depth, first=1) - 1].shape[1]
        units = range(min(count, FIRST)) if config.unit is None else as_list(config.unit)
        table = features(
            run.layers,
            run.training_images(config.images),
            run.data,
            layer=layer,
            units=[run.checked("unit", unit, count) for unit in units],
            replica=run.checked("replica", config.replica, len(run.seeds)),
        )
        return {"features": table}

    show(measure(config, "features", work, job_directory()), ["features"])
