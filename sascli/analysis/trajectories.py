"""Principal components of neural trajectories by condition, and of parameters over training."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from sascli.analysis.trials import Recording
from sascli.core.network import KINDS, FeedForward
from sascli.core.recurrent import Recurrent
from sascli.data.multisensory import FREQUENCIES, MODALITIES

COMPONENTS = 3
Points = tuple[str, int, pd.Index, np.ndarray]
"""Space (rates or a kind of parameter), replica, labels, and the points (rows)."""


def neural(
    network: Recurrent, seeds: Sequence[int], recording: Recording
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """trajectories.csv, and the fractions of the variance over conditions and times by component.

    Rates of the mean network, averaged over the noise-reduced trials of a condition.
    """
    r, times = recording.of(network, seeds)
    by_repeat = r.unflatten(1, (recording.repeats, -1))
    mean = by_repeat.mean(1).cpu().numpy()  # (replicas, conditions, times, n)
    names = ["modality", "frequency", "time"]
    index = pd.MultiIndex.from_product([MODALITIES, FREQUENCIES, times], names=names)
    paths = (("rates", r, index, np.concatenate(rates)) for r, rates in enumerate(mean))
    return _components(paths, seeds)


def synaptic(
    paths: Sequence[Mapping[int, FeedForward]], seeds: Sequence[int], layer: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """synapses.csv, and the fractions of the variance over epochs by component.

    A layer's m, pi and Xi (layers from 1) after each epoch of a replica's path, which maps epochs
    to networks of all replicas.
    """
    points: list[Points] = []
    for kind, r in product(KINDS, range(len(seeds))):
        index = pd.Index(sorted(paths[r]), name="epoch")
        values = [getattr(paths[r][epoch].layers[layer - 1], kind)[r] for epoch in index]
        rows = np.stack([value.detach().double().cpu().numpy().ravel() for value in values])
        points.append((kind, r, index, rows))
    return _components(points, seeds)


def _components(
    paths: Iterable[Points], seeds: Sequence[int]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Coordinates of points along the first components, and fractions of their variance.

    The sign of a component is such that the largest coordinate by magnitude is positive.
    """
    tables, fractions = [], []
    for space, replica, labels, points in paths:
        count = min(COMPONENTS, *points.shape)
        with np.errstate(invalid="ignore"):  # equal points: fractions 0 / 0
            fitted = PCA(count, svd_solver="full").fit(points)
        path = fitted.transform(points)
        path *= np.where(path[np.abs(path).argmax(0), range(count)] < 0, -1, 1)
        path = np.pad(path, [(0, 0), (0, COMPONENTS - count)], constant_values=np.nan)
        columns = [f"pc{number + 1}" for number in range(COMPONENTS)]
        key = {"replica": replica, "seed": seeds[replica], "space": space}
        table = pd.DataFrame(path, labels, columns).reset_index()
        tables.append(pd.DataFrame(key, table.index).join(table))
        fractions += [
            key | {"component": number, "share": fraction}
            for number, fraction in enumerate(np.nan_to_num(fitted.explained_variance_ratio_), 1)
        ]
    return pd.concat(tables, ignore_index=True), pd.DataFrame(fractions)
