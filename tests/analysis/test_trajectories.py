"""Principal components of rates and parameters."""

import copy

import numpy as np
import pytest
import torch
from task import QUICK, SEEDS, integrator

from sascli.analysis.trajectories import neural, synaptic
from sascli.analysis.trials import Recording, rates
from sascli.data.multisensory import trials


def test_components_keep_distances_and_shares() -> None:
    table, shares = neural(
        integrator(sigma=0.1), SEEDS, Recording(QUICK, noise=0.0, repeats=1, every=140.0)
    )
    assert len(table) == 2 * 24 * 10
    own = table[table["seed"] == 9]
    points = own[["pc1", "pc2", "pc3"]].to_numpy()
    assert points.mean(0) == pytest.approx(np.zeros(3), abs=1e-9)
    part = shares[shares["seed"] == 9]["share"]
    variance = points.var(0)
    assert part.sum() == pytest.approx(1, abs=1e-6)  # the fourth neuron is silent
    assert part.tolist() == pytest.approx((variance / variance.sum()).tolist())
    # distances within the first three components are those between the rates
    batch = trials([("v", 9), ("va", 16)], QUICK)
    r = rates(integrator(sigma=0.1), SEEDS, batch, noise=0.0, every=7)[1].numpy()
    ends = own[own["time"] == 1300].set_index(["modality", "frequency"])[["pc1", "pc2", "pc3"]]
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
    table, shares = synaptic(snapshots, SEEDS, 2)
    first = shares[shares["component"] == 1].set_index(["space", "seed"])["share"]
    assert first["m", 9] == pytest.approx(1)
    assert first["m", 2] == first["pi", 9] == 0  # those did not move
    path = table[(table["space"] == "m") & (table["seed"] == 9)]
    assert path["epoch"].tolist() == [10, 20, 30]
    assert np.diff(path["pc1"]) == pytest.approx([4.0, 4.0]) or np.diff(path["pc1"]) == (
        pytest.approx([-4.0, -4.0])
    )  # 1 in each of 16 weights
