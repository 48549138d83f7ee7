"""Principal components of rates and parameters."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from task import QUICK, SEEDS, integrator

from sascli.analysis.entropy import entropy_epochs, entropy_table
from sascli.analysis.trajectories import neural, synaptic
from sascli.analysis.trials import Recording, rates
from sascli.data.multisensory import trials


def test_components_keep_distances_and_shares() -> None:
    table, shares = neural(
        integrator(sigma=0.1), SEEDS, Recording(QUICK, noise=0.0, repeats=1, every=140.0)
    )
    assert len(table) == 2 * 24 * 10
    rows = table[table["seed"] == 9]
    points = rows[["pc1", "pc2", "pc3"]].to_numpy()
    assert points.mean(0) == pytest.approx(np.zeros(3), abs=1e-9)
    part = shares[shares["seed"] == 9]["share"]
    variance = points.var(0)
    assert part.sum() == pytest.approx(1, abs=1e-6)  # the fourth neuron is silent
    assert part.tolist() == pytest.approx((variance / variance.sum()).tolist())
    # distances within the first three components are those between the rates
    batch = trials([("v", 9), ("va", 16)], QUICK)
    r = rates(integrator(sigma=0.1), SEEDS, batch, noise=0.0, every=7)[1].numpy()
    ends = rows[rows["time"] == 1300].set_index(["modality", "frequency"])[["pc1", "pc2", "pc3"]]
    distance = np.linalg.norm(ends.loc[("v", 9)] - ends.loc[("va", 16)])
    assert distance == pytest.approx(np.linalg.norm(r[0, -1] - r[1, -1]), rel=1e-5)


def test_a_straight_path_of_parameters_has_one_component() -> None:
    start, snapshots = integrator(), {}
    for epoch in (30, 10, 20):
        network = copy.deepcopy(start)
        with torch.no_grad():
            network.layers[1].m[1] += 0.1 * epoch
            network.layers[1].pi[0, 0, 0] = epoch / 100
        snapshots[epoch] = network
    table, shares = synaptic([snapshots] * 2, SEEDS, 2)
    first = shares[shares["component"] == 1].set_index(["space", "seed"])["share"]
    assert first["m", 9] == pytest.approx(1)
    assert first["m", 2] == first["pi", 9] == 0  # those did not move
    path = table[(table["space"] == "m") & (table["seed"] == 9)]
    assert path["epoch"].tolist() == [10, 20, 30]
    assert np.diff(path["pc1"]) == pytest.approx([4.0, 4.0]) or np.diff(path["pc1"]) == (
        pytest.approx([-4.0, -4.0])
    )  # 1 in each of 16 weights


def test_paths_end_where_each_network_stopped() -> None:
    start, networks = integrator(), {}
    for epoch in (0, 10, 20, 23):
        network = copy.deepcopy(start)
        with torch.no_grad():
            network.layers[1].m += 0.1 * epoch
        networks[epoch] = network
    paths = [{epoch: networks[epoch] for epoch in rows} for rows in ((0, 10, 23), (0, 10, 20))]
    table, _ = synaptic(paths, SEEDS, 2)
    epochs = table[table["space"] == "m"].groupby("seed")["epoch"].apply(list)
    assert epochs.to_dict() == {2: [0, 10, 23], 9: [0, 10, 20]}
    alone, _ = synaptic(paths[:1], SEEDS[:1], 2)
    pd.testing.assert_frame_equal(table[table["seed"] == 2].reset_index(drop=True), alone)


def test_entropy_over_training() -> None:
    networks = {epoch: integrator(xi=0.01 * (epoch + 1)) for epoch in (0, 10, 17)}
    for network in networks.values():
        network.layers[1].pi.data.fill_(0.3)
    final = networks[17]
    paths = [{0: networks[0], 10: networks[10], 17: final}, {0: networks[0], 12: final}]
    table = entropy_epochs(paths, SEEDS, ("paper", "mixed"))
    assert list(table["epoch"].unique()) == [0, 10, 12, 17]
    for epoch, seed, network in ((0, 9, networks[0]), (12, 9, final), (17, 2, final)):
        rows = table[(table["epoch"] == epoch) & (table["seed"] == seed)].drop(columns="epoch")
        want = entropy_table(network, SEEDS, ("paper", "mixed"))
        want = want[want["seed"] == seed]
        pd.testing.assert_frame_equal(rows.reset_index(drop=True), want.reset_index(drop=True))
    assert set(table[table["epoch"] == 10]["seed"]) == {2}
