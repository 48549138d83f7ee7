"""Trials run by a network, for any batch size."""

from itertools import product

import pytest
import torch
from task import QUICK, SEEDS, integrator

from sascli.analysis import trials as module
from sascli.analysis.trials import MODES, choices, correct, rates
from sascli.data.multisensory import FREQUENCIES, MODALITIES, trials

BATCH = trials([*product(MODALITIES, FREQUENCIES)], QUICK)
HIGH = (BATCH.frequency > 12.5).expand(2, -1)


@pytest.mark.parametrize("mode", MODES)
def test_an_integrator_chooses_correctly(mode: str) -> None:
    assert torch.equal(choices(integrator(), SEEDS, BATCH, mode), HIGH)


def test_prediction_modes_differ_by_the_noise_of_the_weights() -> None:
    network = integrator(xi=0.01)
    right = {
        mode: (choices(network, SEEDS, BATCH, mode) == HIGH).double().mean() for mode in MODES
    }
    assert right["mean"] == 1
    assert right["sampled"] < 1  # an unbalanced memory grows or fades
    assert right["sampled"] <= right["redrawn"]


def test_trials_do_not_change_the_network() -> None:
    network = integrator()
    before = network.dynamics
    choices(network, SEEDS, BATCH, "mean")
    rates(network, SEEDS, BATCH, noise=1.0, every=10)
    assert network.dynamics is before


@pytest.mark.parametrize("sigma", [0.0, 0.2])
def test_batch_size_changes_the_noise_only(sigma: float, monkeypatch: pytest.MonkeyPatch) -> None:
    network = integrator(sigma=sigma)
    expected = rates(network, SEEDS, BATCH, noise=0.0, every=7)
    monkeypatch.setattr(module, "BATCH", 3 * 70)
    assert torch.equal(rates(network, SEEDS, BATCH, noise=0.0, every=7), expected)


def test_rates_are_those_of_the_plain_recursion() -> None:
    """h <- 0.8 h + 0.2 (w_rec relu(h) + w_in x), read after every seventh step."""
    network = integrator()
    got = rates(network, SEEDS, BATCH, noise=0.0, every=7)
    h, want = torch.zeros(24, 4).double(), []
    w_in, w_rec, _ = (w[0] for w in network.mean())
    for t, x in enumerate(BATCH.inputs.double().unbind(1), 1):
        h = 0.8 * h + 0.2 * (h.relu() @ w_rec.T + x @ w_in.T)
        want += [h.relu()] if t % 7 == 0 else []
    assert got.shape == (2, 24, 10, 4)
    assert torch.allclose(got[1], torch.stack(want, 1), atol=1e-6)  # the noiseless x in float32


def test_noise_scales() -> None:
    network = integrator(gain=1.0, sigma=0.1)
    clean = rates(network, SEEDS, BATCH, noise=0.0, every=70)
    small, large = (
        (rates(network, SEEDS, BATCH, noise=noise, every=70) - clean).std().item()
        for noise in (0.1, 1.0)
    )
    assert small == pytest.approx(0.1 * large, rel=0.05)


def test_a_replicas_trials_do_not_depend_on_the_others() -> None:
    network = integrator(sigma=0.5, xi=0.01)
    both = choices(network, SEEDS, BATCH, "sampled", 3)
    alone = integrator(sigma=0.5, xi=0.01)
    other = choices(alone, (SEEDS[0], 5), BATCH, "sampled", 3)
    assert torch.equal(both[0], other[0])
    assert not torch.equal(both[1], other[1])


def test_correct_is_the_fraction_of_correct_choices() -> None:
    network = integrator(xi=0.01)
    chosen = choices(network, SEEDS, BATCH, "sampled", 3)
    want = (chosen == HIGH).double().mean(1)
    assert torch.equal(correct(network, SEEDS, BATCH, "sampled", 3), want) and want.min() < 1
    assert correct(integrator(), SEEDS, BATCH, "field").tolist() == [1, 1]
