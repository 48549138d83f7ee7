"""Measurements of gBP's distributions: entropy, and targeted perturbation."""

import pandas as pd

from sascli.analysis.entropy import entropy_epochs, entropy_table
from sascli.analysis.perturbation import Thresholds, perturbation
from sascli.config import Entropy, Perturb, as_list
from sascli.measure.record import Results
from sascli.measure.run import TrainedRun


def entropy(run: TrainedRun, config: Entropy) -> Results:
    """entropy.csv; with snapshots also entropy_epochs.csv."""
    tables = {"entropy": entropy_table(run.network, run.seeds, config.estimator)}
    if run.snapshots:
        tables["entropy_epochs"] = entropy_epochs(run.paths, run.seeds, config.estimator)
    return tables


def perturb(run: TrainedRun, config: Perturb) -> Results:
    """perturbation.csv of the layers. Raises UserError for a layer that does not exist."""
    count = len(run.network.layers)
    layers = range(1, count + 1) if config.layer == "all" else as_list(config.layer)
    tables = [
        perturbation(
            run.network,
            run.seeds,
            run.data.accuracy,
            layer=run.checked("layer", layer, count, first=1),
            kinds=config.kind,
            fractions=config.fractions,
            samples=config.samples,
            thresholds=Thresholds(config.tolerance, config.xi_max, config.m_min),
            draw=config.draw,
        )
        for layer in layers
    ]
    return {"perturbation": pd.concat(tables, ignore_index=True)}
