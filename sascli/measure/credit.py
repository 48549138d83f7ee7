"""Measurements of gBP's distributions: entropy, and targeted perturbation."""

from collections.abc import Mapping

import pandas as pd

from sascli.analysis.entropy import entropy_epochs, entropy_table
from sascli.analysis.histograms import histograms
from sascli.analysis.layers import entropies
from sascli.analysis.perturbation import Thresholds, perturbation
from sascli.config import Entropy, Perturb, as_list
from sascli.errors import UserError
from sascli.measure.record import Results
from sascli.measure.run import TrainedRun


def entropy(run: TrainedRun, config: Entropy) -> Results:
    """entropy.csv and histograms.csv; with snapshots also entropy_epochs.csv."""
    tables = {"entropy": named(run, entropy_table(run.network, run.seeds, config.estimator))}
    if "paper" in config.estimator:
        values = entropies(run.network, run.seeds, "paper")
        table = histograms(run.network, run.seeds, values)
        tables["histograms"] = table[table["parameter"] == "entropy"]
    if run.snapshots:
        tables["entropy_epochs"] = entropy_epochs(run.paths, run.seeds, config.estimator)
    return tables


def named(run: TrainedRun, table: pd.DataFrame) -> pd.DataFrame:
    """The table with the names of its layers."""
    names = dict(enumerate(run.network.layer_names, 1))
    return table.assign(layer_name=table["layer"].map(names))


def entropy_overview(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Mean entropy (nats) and its spread over connections by layer, the mean over replicas."""
    index = [*rates_of(tables["entropy"]), "layer"]
    return tables["entropy"].pivot_table(["mean", "std"], index, "estimator")


def perturb(run: TrainedRun, config: Perturb) -> Results:
    """perturbation.csv of the layers.

    Raises UserError for a layer that does not exist, and for a network that decorrelates: the
    weights of its inputs are W R, not the distribution's.
    """
    if run.network.r:
        rule = run.manifest["rule"]
        raise UserError(f"{run.directory} was trained by rule={rule}: no VIPs or UIPs")
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
    return {"perturbation": named(run, pd.concat(tables, ignore_index=True))}


def perturbation_overview(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Test error at the least and the greatest fraction by kind, the mean over replicas."""
    table = tables["perturbation"]
    ends = table["fraction"].isin([table["fraction"].min(), table["fraction"].max()])
    index = [*rates_of(table), "layer", "fraction"]
    return table[ends].pivot_table("test_error", index, "kind", sort=False)


def rates_of(table: pd.DataFrame) -> list[str]:
    """The columns of the rates that differ between replicas."""
    return [name for name in ("lr", "decay") if name in table]
