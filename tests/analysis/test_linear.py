"""Linear maps read off decorrelated inputs: where they are exact, what they replace."""

import made
import pytest
import torch
from torch import Tensor

from sascli.analysis.linear import compression, features, linear_maps
from sascli.core.copi import Decorrelated
from sascli.core.network import FeedForward
from sascli.data import Data

WIDTHS, REPLICAS, COUNT = (6, 5, 5, 4), 2, 2400


def layers(slope: float) -> Decorrelated:
    """COPI's layers with W drawn and R away from the identity."""
    network = FeedForward(WIDTHS, REPLICAS, dtype=torch.float64)
    decorrelated = Decorrelated(network, slope)
    draw = torch.Generator().manual_seed(1)
    for w, r in zip(decorrelated.w, decorrelated.r, strict=True):
        w.copy_(torch.randn(w.shape, generator=draw, dtype=torch.float64))
        r += 0.3 * torch.randn(r.shape, generator=draw, dtype=torch.float64)
    return decorrelated


def white(decorrelated: Decorrelated) -> Tensor:
    """Images (COUNT, 6) that R of layer 1 of the first replica makes exactly uncorrelated."""
    x = torch.linalg.qr(made.images(COUNT, WIDTHS[0])[0] - 0.5)[0] * COUNT**0.5
    return torch.linalg.solve(decorrelated.r[0][0], x.mT).mT


def data(x: Tensor) -> Data:
    """Those images as a data set of 2 x 3 pixels."""
    y = torch.arange(len(x)) % WIDTHS[-1]
    return Data("made", "", tuple("0123"), (1, 2, 3), x, y, x, y)


def test_the_map_of_linear_layers_is_their_product_on_uncorrelated_inputs() -> None:
    decorrelated = layers(slope=1.0)
    maps = linear_maps(decorrelated, white(decorrelated), [(1, 1), (1, 3)])
    product = decorrelated.w[0][0]
    assert maps[1, 1][0] == pytest.approx(product.numpy(), rel=1e-8)
    for w, r in zip(decorrelated.w[1:], decorrelated.r[1:], strict=True):
        product = w[0] @ r[0] @ product
    assert maps[1, 3][0].numpy() == pytest.approx(product.numpy(), rel=1e-8)
    assert maps[1, 3].shape == (REPLICAS, WIDTHS[3], WIDTHS[0])


def test_maps_are_their_definition_in_every_replica() -> None:
    decorrelated = layers(slope=0.1)
    x = made.images(COUNT, WIDTHS[0])[0]
    inputs, activations = decorrelated.forward(x)
    got = linear_maps(decorrelated, x, [(2, 3)])[2, 3]
    for r in range(REPLICAS):
        hebb = torch.einsum("bi,bj->ij", activations[2][r], inputs[1][r]) / COUNT
        want = hebb / (inputs[1][r] ** 2).mean(0)
        assert got[r].numpy() == pytest.approx(want.numpy(), rel=1e-9)


def test_silent_input_has_a_column_of_zeros() -> None:
    decorrelated = layers(slope=0.1)
    decorrelated.r[0].copy_(torch.eye(WIDTHS[0]).expand_as(decorrelated.r[0]))
    x = made.images(COUNT, WIDTHS[0])[0]
    x[:, 2] = 0
    linear = linear_maps(decorrelated, x, [(1, 2)])[1, 2]
    assert (linear[..., 2] == 0).all() and linear.isfinite().all()
    assert (linear[..., [0, 1, 3, 4, 5]] != 0).all()


def test_features_are_the_map_times_r() -> None:
    decorrelated = layers(slope=0.1)
    x = white(decorrelated)
    table = features(decorrelated, x, data(x), layer=2, units=[3, 0], replica=1)
    want = linear_maps(decorrelated, x, [(1, 2)])[1, 2][1] @ decorrelated.r[0][1]
    assert list(dict.fromkeys(table["unit"])) == [3, 0] and set(table["layer"]) == {2}
    for unit in (0, 3):
        rows = table[table["unit"] == unit]
        assert rows["value"].to_numpy() == pytest.approx(want[unit].numpy(), rel=1e-5)
        assert list(rows["row"]) == [0, 0, 0, 1, 1, 1] and list(rows["column"]) == [0, 1, 2] * 2


def test_compression_of_a_linear_network_is_exact() -> None:
    decorrelated = layers(slope=1.0)
    x = white(decorrelated)
    table = compression(decorrelated, (3, 8), x, data(x)).query("seed == 3 and part == 'first'")
    assert list(table["k"]) == [0, 1, 2, 3]
    assert table["test_accuracy"].nunique() == 1
    assert list(table["parameters"]) == [75, 75, 50, 24]


def test_compression_of_no_layers_is_the_network() -> None:
    decorrelated = layers(slope=0.1)
    x = made.images(COUNT, WIDTHS[0])[0]
    table = compression(decorrelated, (3, 8), x, data(x)).set_index(["part", "k", "seed"])
    y = data(x).test_y
    for r, seed in enumerate((3, 8)):
        right = (decorrelated.forward(x)[1][-1][r].argmax(-1) == y).double().mean().item()
        for part in ("first", "last"):
            assert table.loc[(part, 0, seed), "test_accuracy"] == right
    assert list(table.loc["last"].groupby("k")["parameters"].first()) == [75, 75, 50, 24]
    for seed in (3, 8):
        accuracies = [table.loc[(part, 3, seed), "test_accuracy"] for part in ("first", "last")]
        assert accuracies[0] == accuracies[1]
