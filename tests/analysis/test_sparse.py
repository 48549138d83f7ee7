"""Sparse networks: dead neurons out, the file and back, the same classes as the dense one."""

from itertools import pairwise

import numpy as np
import pytest

from sascli.analysis.sparse import classified, dense_bytes, from_bytes, to_bytes, without_dead

WIDTHS = (30, 20, 15, 10, 4)


def weights(keep: float, seed: int = 0) -> list[np.ndarray]:
    """Random layers of which a fraction of the connections stays."""
    noise = np.random.default_rng(seed)
    pairs = zip(WIDTHS[1:], WIDTHS, strict=False)
    return [noise.normal(size=p) * (noise.random(p) < keep) for p in pairs]


def outputs(layers: list[np.ndarray], x: np.ndarray) -> np.ndarray:
    """The last layer's numbers."""
    for number, w in enumerate(layers):
        x = w @ (np.maximum(x, 0) if number else x)
    return x


@pytest.mark.parametrize("keep", [1.0, 0.2, 0.1, 0.05])
def test_outputs_are_equal_without_dead_neurons(keep: float) -> None:
    dense = weights(keep)
    x = np.random.default_rng(1).random((30, 50))
    small = without_dead(dense)
    np.testing.assert_allclose(outputs(small, x), outputs(dense, x), rtol=1e-12, atol=1e-14)
    assert small[0].shape[1] == 30 and small[-1].shape[0] == 4
    for w, after in pairwise(small):
        assert w.shape[0] == after.shape[1]
        assert w.any(1).all() and after.any(0).all()  # nobody is left without inputs or outputs


def test_neuron_with_silent_inputs_is_dead() -> None:
    first, second, third = np.zeros((3, 2)), np.zeros((2, 3)), np.ones((2, 2))
    first[0] = 1  # neurons 1 and 2 have no input
    second[0, 0], second[1, 1:] = 1, 1  # so neuron 1 above, fed by those, is silent as well
    shapes = [w.shape for w in without_dead([first, second, third])]
    assert shapes == [(1, 2), (1, 1), (2, 1)]
    second[:, 0] = 0  # and now nothing reaches the outputs
    shapes = [w.shape for w in without_dead([first, second, third])]
    assert shapes == [(0, 2), (0, 0), (2, 0)]


@pytest.mark.parametrize("keep", [1.0, 0.1, 0.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_file_round_trip(keep: float, dtype: type) -> None:
    dense = [w.astype(dtype) for w in without_dead(weights(keep))]
    back = from_bytes(to_bytes(dense))
    for w, matrix in zip(dense, back, strict=True):
        assert matrix.dtype == dtype and np.array_equal(matrix.toarray(), w)
    x = np.random.default_rng(1).random((30, 50)).astype(dtype)
    assert np.array_equal(classified(back, x).labels, classified(dense, x).labels)
    assert np.array_equal(classified(dense, x).labels, outputs(dense, x).argmax(0))
    assert classified(back, x).seconds > 0


def test_a_sparse_file_is_smaller() -> None:
    dense = [w.astype(np.float32) for w in weights(0.1)]
    values, stays = sum(4 * w.size for w in dense), sum(int((w != 0).sum()) for w in dense)
    assert len(dense_bytes(dense)) - values < 500
    assert 6 * stays < len(to_bytes(dense)) < 6 * stays + 2000  # a value and a column's number
