"""Measurements of networks trained by COPI: decorrelation, features, linear compression."""

from sascli import runs
from sascli.analysis import decorrelation as correlation
from sascli.analysis import linear
from sascli.config import Compress, Decorrelation, Features, as_list
from sascli.measure.record import Results
from sascli.measure.run import TrainedRun

UNITS = 16
"""Units shown by default, the first of the layer."""


def decorrelation(run: TrainedRun, config: Decorrelation) -> Results:
    """decorrelation.csv over training; decorrelated.csv of inputs, beside ZCA.

    Raises UserError for a run that does not decorrelate.
    """
    images = correlation.decorrelated(
        run.layers,
        run.data,
        images=config.images,
        replica=run.checked("replica", config.replica, len(run.seeds)),
        epsilon=config.epsilon,
    )
    metrics = runs.read_table(run.directory / "metrics.csv")
    return {"decorrelation": correlation.correlations(metrics), "decorrelated": images}


def features(run: TrainedRun, config: Features) -> Results:
    """features.csv. Raises UserError for a layer or a unit that does not exist."""
    depth = len(run.layers.w)
    layer = max(depth - 1, 1) if config.layer is None else config.layer
    count = run.layers.w[run.checked("layer", layer, depth, first=1) - 1].shape[1]
    units = range(min(count, UNITS)) if config.unit is None else as_list(config.unit)
    table = linear.features(
        run.layers,
        run.training_images(config.images),
        run.data,
        layer=layer,
        units=[run.checked("unit", unit, count) for unit in units],
        replica=run.checked("replica", config.replica, len(run.seeds)),
    )
    return {"features": table}


def compress(run: TrainedRun, config: Compress) -> Results:
    """compression.csv. Raises UserError for a run that does not decorrelate."""
    images = run.training_images(config.images)
    return {"compression": linear.compression(run.layers, run.seeds, images, run.data)}
