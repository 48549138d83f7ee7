"""Tables of a trained network's parameters: layers, histograms, entropy, ensemble."""

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from made import SEEDS, images, network, replica

from sascli.analysis.ensemble import ensemble
from sascli.analysis.entropy import entropy_table
from sascli.analysis.histograms import histograms
from sascli.analysis.layers import entropies, layers
from sascli.core.network import FeedForward
from sascli.core.streams import streams
from sascli.data.accuracy import accuracy


def of_seed(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The rows of one seed, without the number of its replica."""
    return table[table["seed"] == seed].drop(columns="replica").reset_index(drop=True)


# ---------------------------------------------------------------- layers.csv


@pytest.mark.parametrize("tolerance", [0.0, 0.1])
def test_a_row_per_replica_and_layer(tolerance: float) -> None:
    made = network()
    entropy = entropies(made, SEEDS, "mixed")
    table = layers(made, SEEDS, entropy, tolerance)
    assert list(table["replica"]) == [0, 0, 0, 1, 1, 1]
    assert list(table["seed"]) == [3, 3, 3, 8, 8, 8] and list(table["layer"]) == [1, 2, 3] * 2
    for row in table.itertuples():
        layer = made.layers[row.layer - 1]
        m, pi, xi = (getattr(layer, k)[row.replica].detach().numpy() for k in ("m", "pi", "xi"))
        assert (row.n_out, row.n_in) == m.shape
        expected = {
            "sparsity": pi.mean(),
            "vip_fraction": ((pi <= tolerance) & (xi <= tolerance)).mean(),
            "uip_fraction": (pi >= 1 - tolerance).mean(),
            "m_mean": m.mean(),
            "m_std": m.std(),
            "xi_mean": xi.mean(),
            "variance_mean": ((1 - pi) * (xi + m**2) - ((1 - pi) * m) ** 2).mean(),
            "entropy": entropy[row.layer - 1][row.replica].numpy().mean(),
        }
        for name, value in expected.items():
            assert getattr(row, name) == pytest.approx(value, rel=1e-12), name
    assert table["vip_fraction"].between(0.05, 0.6).all()
    assert table["uip_fraction"].between(0.05, 0.6).all()


@pytest.mark.parametrize(
    ("depth", "names"),
    [
        (2, ["output"]),
        (3, ["input", "output"]),
        (5, ["input", "hidden", "hidden", "output"]),
    ],
)
def test_names_of_layers(depth: int, names: list[str]) -> None:
    assert FeedForward([2] * depth).layer_names == names


# ---------------------------------------------------------------- histograms.csv


def test_every_connection_is_counted_once() -> None:
    made = network()
    made.layers[0].m.data[0, 0, 0] = 1.5  # the end of a bin, and the largest of its layer
    table = histograms(made, SEEDS, entropies(made, SEEDS, "paper"))
    for (_, layer, _), rows in table.groupby(["replica", "layer", "parameter"]):
        n = made.layers[layer - 1].m[0].numel()
        width = rows["bin_right"] - rows["bin_left"]
        assert rows["count"].sum() == n
        assert (rows["density"] * width).sum() == pytest.approx(1, rel=1e-12)
        assert np.allclose(rows["density"] * width * n, rows["count"])
        assert (rows["bin_left"].to_numpy()[1:] == rows["bin_right"].to_numpy()[:-1]).all()


def test_counts_are_those_of_the_values() -> None:
    made = network()
    table = histograms(made, SEEDS, entropies(made, SEEDS, "paper"))
    rows = table.query("replica == 1 and layer == 2 and parameter == 'xi'")
    values = made.layers[1].xi[1].detach().numpy()
    for row in rows.itertuples():
        last = row.bin_right == rows["bin_right"].max()
        inside = (values >= row.bin_left) & ((values < row.bin_right) | last)
        assert row.count == inside.sum()


@pytest.mark.parametrize("scale", [0.0, 1e-9, 0.013, 1.0, 1.49, 9.99, 250.0])
def test_zero_is_an_edge_or_centre_of_a_bin(scale: float) -> None:
    made = network()
    made.flat["m"].mul_(scale)
    made.flat["xi"].mul_(scale)
    entropy = [scale * value for value in entropies(made, SEEDS, "mixed")]
    table = histograms(made, SEEDS, entropy)
    for (parameter, _), rows in table.groupby(["parameter", "layer"]):
        centre = (rows["bin_left"] + rows["bin_right"]) / 2
        if parameter in ("m", "entropy"):
            assert centre.abs().min() == pytest.approx(0, abs=1e-12 * scale)
        else:
            assert rows["bin_left"].min() == 0
        assert rows["count"].sum() == 2 * made.layers[rows["layer"].iloc[0] - 1].m[0].numel()
    assert table[table["parameter"] == "pi"]["bin_right"].max() == 1


def test_replicas_share_their_bins() -> None:
    made = network()
    table = histograms(made, SEEDS, entropies(made, SEEDS, "mixed"))
    edges = [table[table["replica"] == r].drop(columns=["replica", "seed"]) for r in (0, 1)]
    names = ["layer", "parameter", "bin_left", "bin_right"]
    assert (edges[0][names].to_numpy() == edges[1][names].to_numpy()).all()


# ---------------------------------------------------------------- entropy.csv


def test_entropy_of_both_estimators() -> None:
    made = network()
    table = entropy_table(made, SEEDS, ("paper", "mixed"))
    assert len(table) == 2 * 2 * 3
    for row in table.itertuples():
        layer = made.layers[row.layer - 1]
        assert row.n_connections == layer.m[0].numel() and row.seed == SEEDS[row.replica]
        if row.estimator == "mixed":
            values = layer.entropy("mixed")[row.replica]
            assert row.mean == pytest.approx(values.mean().item(), rel=1e-12)
            assert row.std == pytest.approx(values.std(correction=0).item(), rel=1e-12)
    mean = table.pivot_table("mean", ["seed", "layer"], "estimator")
    assert (mean["paper"] < mean["mixed"] + 0.02).all() and (mean["paper"] != mean["mixed"]).all()


def test_paper_entropy_within_its_standard_error() -> None:
    """Connections of pi = 0 < Xi have the known entropy ln(2 pi e Xi) / 2, drawn or not."""
    made = FeedForward([6, 5], 1, dtype=torch.float64)
    made.flat["xi"].fill_(0.3)
    made.flat["pi"].fill_(1e-12)  # so small that draws are needed and mean nothing
    (row,) = entropy_table(made, [3], ("paper",)).itertuples()
    known = 0.5 * math.log(2 * math.pi * math.e * 0.3)
    assert abs(row.mean - known) < 5 / math.sqrt(2 * 100 * 30) and row.std > 0


@pytest.mark.parametrize("which", [0, 1])
def test_random_tables_do_not_depend_on_the_companions(which: int) -> None:
    made, (x, y) = network(), images()
    seed, alone = SEEDS[which], replica(made, which)
    score = partial(accuracy, x=x, y=y)
    both = ensemble(made, SEEDS, score, 4), ensemble(alone, [seed], score, 4)
    pd.testing.assert_frame_equal(*(of_seed(table, seed) for table in both))
    both = tuple(
        entropy_table(model, s, ("paper",)) for model, s in ((made, SEEDS), (alone, [seed]))
    )
    pd.testing.assert_frame_equal(*(of_seed(table, seed) for table in both))


# ---------------------------------------------------------------- ensemble.csv


def test_weights_are_drawn_once_for_the_test_set() -> None:
    made, (x, y) = network(), images(2500)
    table = ensemble(made, SEEDS, partial(accuracy, x=x, y=y), 3)
    assert list(table["sample"]) == [0, 0, 1, 1, 2, 2] and list(table["replica"]) == [0, 1] * 3
    assert (table["test_error"] == 1 - table["test_accuracy"]).all()
    weights = made.sample(generator=streams(SEEDS, "ensemble", 2))
    right = (made.run(weights, x).argmax(-1) == y).double().mean(-1)
    assert list(table["test_accuracy"])[-2:] == right.tolist()
    assert table["test_accuracy"].nunique() > 2


def test_networks_without_variance_equal_the_mean_network() -> None:
    made, (x, y) = network(), images()
    made.flat["xi"].zero_()
    made.flat["pi"].round_()
    mean = accuracy(made.forward, x, y).tolist()
    table = ensemble(made, SEEDS, partial(accuracy, x=x, y=y), 3)
    assert table.groupby("replica")["test_accuracy"].unique().tolist() == [[v] for v in mean]


def test_no_samples_give_an_empty_table() -> None:
    made, (x, y) = network(), images()
    score = partial(accuracy, x=x, y=y)
    empty = ensemble(made, SEEDS, score, 0)
    assert len(empty) == 0 and list(empty) == list(ensemble(made, SEEDS, score, 1))


def test_accuracy_is_over_all_images() -> None:
    x, y = images(1001)
    y[:1000], y[1000] = 0, 1
    constant = partial(torch.zeros, 2)
    right = accuracy(lambda images: constant(len(images), 4), x, y)
    assert right.tolist() == [1000 / 1001] * 2
