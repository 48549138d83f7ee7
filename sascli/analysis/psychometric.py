"""Psychometric curves: the fraction of "high" choices against frequency, and fitted sigmoids."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import log_expit

from sascli.analysis.replicas import replica_tables
from sascli.analysis.trials import choices
from sascli.core.recurrent import Recurrent
from sascli.data.multisensory import BOUNDARY, Timing, trials

EFFECTIVE = ("sampled", "redrawn")
"""The prediction modes with several networks."""
STEEPEST = 20.0
"""Bound of a fitted slope: the likelihood has no maximum if no choice is wrong."""


def networks(modes: Sequence[str], samples: int) -> list[tuple[str, int]]:
    """Every prediction mode with the numbers of its networks: 0, or those of `samples`."""
    return [(mode, n) for mode in modes for n in range(samples if mode in EFFECTIVE else 1)]


def choices_of(
    network: Recurrent,
    seeds: Sequence[int],
    mode: str,
    sample: int,
    conditions: Sequence[tuple[str, float]],
    repeats: int,
    timing: Timing,
) -> pd.DataFrame:
    """Rows of psychometric.csv of one network per replica, by conditions (modality, frequency)."""
    chosen = choices(network, seeds, trials(list(conditions) * repeats, timing), mode, sample)
    high = chosen.unflatten(1, (repeats, -1)).double().mean(1).tolist()
    rows = [(mode, sample, *condition, repeats) for condition in conditions]
    table = pd.DataFrame(rows, columns=["way", "sample", "modality", "frequency", "trials"])
    return replica_tables(seeds, (table.assign(high=fractions) for fractions in high))


def sigmoids(table: pd.DataFrame) -> pd.DataFrame:
    """sigmoids.csv: P(high) = 1 / (1 + exp(-slope (f - threshold))) by maximum likelihood.

    One row per network and modality; `correct` is the fraction of correct choices at all
    frequencies but the boundary.
    """
    rows, names = [], ["replica", "seed", "way", "sample", "modality"]
    for keys, curve in table.groupby(names, sort=False):
        high, trials = curve["high"], curve["trials"]
        threshold, slope = fit(curve["frequency"], trials * high, trials)
        correct = high.where(curve["frequency"] > BOUNDARY, 1 - high)
        fitted = {"threshold": threshold, "slope": slope}
        fitted["correct"] = correct[curve["frequency"] != BOUNDARY].mean()
        rows.append(dict(zip(names, keys, strict=True)) | fitted)
    return pd.DataFrame(rows)


def fit(f: pd.Series, high: pd.Series, trials: pd.Series) -> tuple[float, float]:
    """Threshold and slope of the most likely logistic curve with |slope| <= `STEEPEST`."""

    def loss(parameters: np.ndarray) -> float:
        z = parameters[1] * (f.to_numpy() - parameters[0])
        return -float(np.sum(high * log_expit(z) + (trials - high) * log_expit(-z)))

    bounds = [(f.min(), f.max()), (-STEEPEST, STEEPEST)]
    threshold, slope = minimize(loss, (BOUNDARY, 1.0), bounds=bounds).x
    return float(threshold), float(slope)
