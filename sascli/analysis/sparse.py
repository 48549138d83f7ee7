"""Sparse networks: dead neurons removed, stored as CSR, evaluated from there."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

Matrix = NDArray[Any]
PARTS = ("values", "columns", "rows", "shape")
REPEATS = 3


@dataclass(frozen=True)
class Classified:
    """Predicted classes of test images, and the minimum of the seconds of a few repetitions."""

    labels: Matrix
    seconds: float | None  # None where it is not measured


def without_dead(weights: Sequence[Matrix], channels: int | None = None) -> list[Matrix]:
    """The weights (n_out, n_in) without hidden neurons that no input reaches, or no output uses.

    The former are silent, as there are no biases. Inputs and classes remain. Of a convolutional
    network, whose images have this number of channels, these neurons are channels.
    """
    widths = [channels or weights[0].shape[1], *(len(w) for w in weights[:-1])]
    taps = [w.shape[1] // n for w, n in zip(weights, widths, strict=True)]
    reached: list[Any] = [np.ones(widths[0], dtype=bool)]
    for w, count in zip(weights[:-1], taps, strict=False):
        reached.append(w[:, np.tile(reached[-1], count)].any(1))
    used: list[Any] = [np.ones(weights[-1].shape[0], dtype=bool)]
    for w, count in zip(reversed(weights[1:]), reversed(taps[1:]), strict=True):
        used.insert(0, w[used[0]].any(0).reshape(count, -1).any(0))
    alive = [reached[0], *(a & b for a, b in zip(reached[1:], used, strict=False)), used[-1]]
    return [
        w[np.ix_(above, np.tile(below, count))]
        for w, count, (below, above) in zip(weights, taps, pairwise(alive), strict=True)
    ]


def to_bytes(weights: Sequence[Matrix]) -> bytes:
    """A safetensors file of CSR matrices: layers.1.values, .columns, .rows and .shape, ..."""
    tensors = {}
    for number, w in enumerate(weights, 1):
        csr = csr_array(w)
        index = np.uint16 if w.shape[1] <= 2**16 else np.uint32
        content = (csr.data, csr.indices.astype(index), csr.indptr.astype(np.uint32), w.shape)
        for part, array in zip(PARTS, content, strict=True):
            tensors[f"layers.{number}.{part}"] = np.asarray(array)
    return bytes(save(tensors))


def from_bytes(content: bytes) -> list[csr_array]:
    """The matrices of `to_bytes`."""
    tensors = load(content)
    layers = range(1, 1 + len(tensors) // len(PARTS))
    parts = [[tensors[f"layers.{number}.{part}"] for part in PARTS] for number in layers]
    return [csr_array(tuple(arrays), shape=tuple(shape)) for *arrays, shape in parts]


def dense_bytes(weights: Sequence[Matrix]) -> bytes:
    """A safetensors file of dense matrices, layers.1.weight, ..."""
    return bytes(save({f"layers.{n}.weight": w for n, w in enumerate(weights, 1)}))


def classified(weights: Sequence[Matrix | csr_array], x: Matrix) -> Classified:
    """Classes of images x (n_in, images) by dense or sparse weights: W relu(... relu(W x))."""
    times, x = [], np.ascontiguousarray(x)  # scipy would copy it in each repetition
    with threadpool_limits(1):  # scipy has one thread, so dense products get no more
        for _ in range(REPEATS):
            start, a = perf_counter(), x
            for number, w in enumerate(weights):
                a = w @ (np.maximum(a, 0) if number else a)
            times.append(perf_counter() - start)
    return Classified(a.argmax(0), min(times))
