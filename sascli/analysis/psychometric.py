"""Psychometric curves: the fraction of "high" choices against frequency, and fitted sigmoids."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import log_expit

from sascli.analysis.trials import choices
from sascli.core.recurrent import Recurrent
from sascli.data.multisensory import BOUNDARY, Timing, trials

EFFECTIVE = ("sampled", "redrawn")
"""The ways of which there are several networks."""
STEEPEST = 20.0
"""Bound of a fitted slope: where no choice is wrong the likelihood has no maximum."""


def psychometric(
    network: Recurrent,
    seeds: Sequence[int],
    *,
    ways: Sequence[str],
    frequencies: Sequence[float],
    modalities: Sequence[str],
    repeats: int,
    samples: int,
    timing: Timing,
) -> pd.DataFrame:
    """psychometric.csv: choices of every network; the mean field and mean network are one each."""
    conditions = list(product(modalities, frequencies))
    tables = [
        choices_of(network, seeds, way, sample, conditions, repeats, timing)
        for way, sample in networks(ways, samples)
    ]
    return pd.concat(tables, ignore_index=True)


def networks(ways: Sequence[str], samples: int) -> list[tuple[str, int]]:
    """Every way with the number of each of its networks: one, or so many effective ones."""
    return [(way, n) for way in ways for n in range(samples if way in EFFECTIVE else 1)]


def choices_of(
    network: Recurrent,
    seeds: Sequence[int],
    way: str,
    sample: int,
    conditions: Sequence[tuple[str, float]],
    repeats: int,
    timing: Timing,
) -> pd.DataFrame:
    """Rows of psychometric.csv of one network per replica, by conditions (modality, frequency)."""
    chosen = choices(network, seeds, trials(list(conditions) * repeats, timing), way, sample)
    high = chosen.unflatten(1, (repeats, -1)).double().mean(1)
    tables = []
    for r, (seed, fractions) in enumerate(zip(seeds, high.tolist(), strict=True)):
        columns: dict[str, Any] = {"replica": r, "seed": seed, "way": way, "sample": sample}
        table = pd.DataFrame(conditions, columns=["modality", "frequency"])
        tables.append(table.assign(**columns, trials=repeats, high=fractions))
    leading = ["replica", "seed", "way", "sample"]
    table = pd.concat(tables, ignore_index=True)
    return table[[*leading, "modality", "frequency", "trials", "high"]]


def sigmoids(table: pd.DataFrame) -> pd.DataFrame:
    """sigmoids.csv: P(high) = 1 / (1 + exp(-slope (f - threshold))) by maximum likelihood.

    One row per network and modality; `correct` is the fraction of right choices at the
    frequencies that have one.
    """
    rows, names = [], ["replica", "seed", "way", "sample", "modality"]
    for keys, own in table.groupby(names, sort=False):
        threshold, slope = fit(own["frequency"], own["trials"] * own["high"], own["trials"])
        sided = own[own["frequency"] != BOUNDARY]
        right = sided["high"].where(sided["frequency"] > BOUNDARY, 1 - sided["high"])
        fitted = {"threshold": threshold, "slope": slope, "correct": right.mean()}
        rows.append(dict(zip(names, keys, strict=True)) | fitted)
    return pd.DataFrame(rows)


def fit(f: pd.Series, high: pd.Series, trials: pd.Series) -> tuple[float, float]:
    """Threshold and slope of the logistic curve of greatest likelihood, |slope| <= `STEEPEST`."""

    def loss(parameters: np.ndarray) -> float:
        z = parameters[1] * (f.to_numpy() - parameters[0])
        return -float(np.sum(high * log_expit(z) + (trials - high) * log_expit(-z)))

    ends = [(f.min(), f.max()), (-STEEPEST, STEEPEST)]
    found = minimize(loss, (BOUNDARY, 1.0), bounds=ends).x
    return float(found[0]), float(found[1])
