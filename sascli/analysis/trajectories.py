"""Principal components of neural trajectories by condition, and of parameters over training."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from sascli.analysis.trials import CONDITIONS, Recording
from sascli.core.network import KINDS, FeedForward
from sascli.core.recurrent import Recurrent

COMPONENTS = 3


def neural(
    network: Recurrent, seeds: Sequence[int], recording: Recording
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """trajectories.csv, and the components' shares of the variance over conditions and times.

    Rates of the mean network, averaged over the noise-reduced trials of a condition.
    """
    r, times = recording.of(network, seeds)
    by_repeat = r.unflatten(1, (recording.repeats, -1))
    mean = by_repeat.mean(1).cpu().numpy()  # (replicas, conditions, times, n)
    index = pd.MultiIndex.from_tuples(
        [(*condition, time) for condition, time in product(CONDITIONS, times)],
        names=["modality", "frequency", "time"],
    )
    found = [(r, seed, "rates", index, own.reshape(-1, own.shape[-1]))
             for r, (seed, own) in enumerate(zip(seeds, mean, strict=True))]  # fmt: skip
    return _components(found)


def synaptic(
    paths: Sequence[Mapping[int, FeedForward]], seeds: Sequence[int], layer: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """synapses.csv, and the components' shares of the variance over epochs.

    A layer's m, pi and Xi (layers from 1) after each epoch of a replica's path, which gives by
    epoch the network of all replicas.
    """
    found = []
    for kind, (r, seed) in product(KINDS, enumerate(seeds)):
        index = pd.Index(sorted(paths[r]), name="epoch")
        own = [getattr(paths[r][epoch].layers[layer - 1], kind)[r] for epoch in index]
        points = np.stack([value.detach().double().cpu().numpy().ravel() for value in own])
        found.append((r, seed, kind, index, points))
    return _components(found)


def _components(
    found: Sequence[tuple[int, int, str, pd.Index, np.ndarray]],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Coordinates of points (rows) along the first components, and the components' shares.

    A component's sign is such that the coordinate farthest out is positive.
    """
    tables, shares = [], []
    for replica, seed, space, index, points in found:
        count = min(COMPONENTS, *points.shape)
        with np.errstate(invalid="ignore"):  # points that do not differ: shares 0 / 0
            fitted = PCA(count, svd_solver="full").fit(points)
        columns = [f"pc{number + 1}" for number in range(count)]
        paths = fitted.transform(points)
        paths *= np.where(paths[np.abs(paths).argmax(0), range(count)] < 0, -1, 1)
        table = pd.DataFrame(paths, index, columns).reset_index()
        key: dict[str, Any] = {"replica": replica, "seed": seed, "space": space}
        table = table.reindex(columns=[*table, *(f"pc{n + 1}" for n in range(count, COMPONENTS))])
        for place, (name, value) in enumerate(key.items()):
            table.insert(place, name, value)
        tables.append(table)
        for number, share in enumerate(np.nan_to_num(fitted.explained_variance_ratio_), 1):
            shares.append(key | {"component": number, "share": share})
    return pd.concat(tables, ignore_index=True), pd.DataFrame(shares)
