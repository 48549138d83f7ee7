"""A data set's training and test parts in their fixed order, before anything is loaded."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """The training or the test part of a source: labels in memory, pixels read on demand."""

    labels: Labels  # (n,)
    pixels: Callable[[slice], Pixels]  # (k, channels, height, width) of a slice


@dataclass(frozen=True)
class Source:
    """A complete data set."""

    name: str
    classes: tuple[str, ...]
    white: int  # the pixel value that becomes 1
    train: Part
    test: Part
    warnings: tuple[str, ...] = ()


def array_part(pixels: Pixels, labels: Labels) -> Part:
    """A part whose pixels are in memory."""
    return Part(labels, lambda which: np.ascontiguousarray(pixels[which]))


def stratified_order(labels: Labels, seed: int) -> Labels:
    """A permutation of the indices in which every prefix has the proportions of the classes.

    The j-th element of a shuffled class of n is put at the position (j + 1/2) / n; ties between
    classes are broken at random.
    """
    # RandomState's stream is frozen for good; the newer Generator's may change with NumPy.
    random = np.random.RandomState(seed)
    position = np.empty(len(labels))
    for label in np.unique(labels):
        indices = random.permutation(np.flatnonzero(labels == label))
        position[indices] = (np.arange(len(indices)) + 0.5) / len(indices)
    return np.lexsort((random.permutation(len(labels)), position)).astype(np.int64)
