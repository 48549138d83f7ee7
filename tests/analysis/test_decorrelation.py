"""Correlations as a table, ZCA, and inputs decorrelated."""

import made
import pandas as pd
import pytest
import torch

from sascli.analysis.decorrelation import correlations, decorrelated, zca
from sascli.core.copi import Decorrelated
from sascli.core.network import FeedForward
from sascli.data import Data


def test_correlations_before_and_after_are_columns() -> None:
    rows = [
        {"replica": r, "seed": r, "epoch": e, "layer": n, "name": name, "value": v + r + e + n}
        for r in (0, 1) for e in (0, 1) for n in (1, 2)
        for name, v in (("correlation", 0.25), ("other", 9), ("correlation_before", 0.5))
    ]  # fmt: skip
    table = correlations(pd.DataFrame(rows))
    assert list(table) == ["replica", "seed", "epoch", "layer", "before", "after"]
    assert len(table) == 8
    assert (table["before"] - table["after"]).to_numpy() == pytest.approx(0.25)
    one = table.query("replica == 1 and epoch == 1 and layer == 2")
    assert one["before"].item() == 4.5


def test_zca_whitens_and_is_symmetric() -> None:
    x = made.images(500, 6)[0]
    m = zca(x, 1e-12)
    assert m.numpy() == pytest.approx(m.mT.numpy())
    y = x @ m
    assert (y.mT @ y / len(y)).numpy() == pytest.approx(torch.eye(6).numpy(), abs=1e-6)
    assert torch.linalg.eigvalsh(m).min() > 0


def test_images_unchanged_decorrelated_and_whitened() -> None:
    network = FeedForward((6, 5, 4), 2, dtype=torch.float64)
    layers = Decorrelated(network, 0.1)
    layers.r[0][1] *= 2
    x, y = made.images(40, 6)
    data = Data("made", "", tuple("0123"), (1, 2, 3), x, y, x[5:], y[5:])
    table = decorrelated(layers, data, images=3, replica=1, epsilon=0.1)
    wide = table.pivot(index=["image", "row", "column"], columns="kind", values="value")
    assert wide["input"].to_numpy() == pytest.approx(x[5:8].flatten().numpy(), rel=1e-5)
    assert wide["decorrelated"].to_numpy() == pytest.approx(2 * wide["input"].to_numpy())
    whitened = (x[5:8] @ zca(x, 0.1)).flatten().numpy()
    assert wide["zca"].to_numpy() == pytest.approx(whitened, rel=1e-4)
    assert table.groupby("image")["label"].first().tolist() == y[5:8].tolist()
