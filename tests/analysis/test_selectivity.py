"""Selectivity for choice and modality."""

import numpy as np
import pytest
from task import QUICK, SEEDS, integrator

from sascli.analysis.selectivity import classify, explained, permute, selectivity
from sascli.analysis.trials import Recording
from sascli.config import SelectivitySettings

DRAW = np.random.default_rng(1)
HIGH = np.tile([True, False], 60)
VISUAL = np.repeat([True, False], 60)


def test_eta_squared_is_that_of_an_analysis_of_variance() -> None:
    response = DRAW.normal(size=(120, 3)) + np.outer(HIGH, [0, 1, 2])
    groups = np.stack([HIGH, VISUAL, DRAW.random(120) < 0.2])
    got = explained(response, groups)
    for row, labels in zip(got, groups, strict=True):
        between = sum(
            part.sum() * (response[part].mean(0) - response.mean(0)) ** 2
            for part in (labels, ~labels)
        )
        assert row == pytest.approx(between / ((response - response.mean(0)) ** 2).sum(0))


def test_constant_neurons_and_single_groups_explain_nothing() -> None:
    response = np.stack([np.ones(120), DRAW.normal(size=120)], 1)
    got = explained(response, np.stack([HIGH, np.ones(120, bool)]))
    assert got[0, 0] == got[1, 0] == got[1, 1] == 0


def test_permutations_keep_the_other_label() -> None:
    labels = np.concatenate([HIGH[:60], np.zeros(60, bool)])
    permuted = permute(labels, VISUAL, DRAW)
    assert permuted[:60].sum() == 30 and not permuted[60:].any()
    assert (permuted != labels).any()


def test_constructed_neurons_are_classified() -> None:
    noise = DRAW.normal(size=(120, 8))
    signal = np.zeros((120, 8))
    signal[:, :2] = HIGH[:, None]
    signal[:, 2:4] = 2.0 * VISUAL[:, None]
    signal[:, 4:6] = (HIGH + 1.5 * VISUAL)[:, None]
    table = classify(noise + 3 * signal, HIGH, VISUAL, SelectivitySettings(), seed=0)
    assert table["kind"].tolist() == [
        k for k in ("choice", "modality", "mixed", "none") for _ in (0, 1)
    ]
    assert table["control_none"].mean() > 0.95


def test_false_positives_match_the_level() -> None:
    response = DRAW.normal(size=(120, 2000))
    table = classify(
        response,
        HIGH,
        VISUAL,
        SelectivitySettings(least=0.0, level=0.05, permutations=199),
        seed=3,
    )
    for none in ((table["kind"] == "none").mean(), table["control_none"].mean()):
        assert none == pytest.approx(0.95**2, abs=0.02)
    assert table["control_mixed"].mean() == pytest.approx(2 * 0.05**2, abs=0.002)
    assert (table["choice_p"] < 0.05).mean() == pytest.approx(0.05, abs=0.015)


def test_choice_neurons_are_mixed_as_often_as_the_control() -> None:
    visual = DRAW.random(400) < 0.5
    high = DRAW.random(400) < np.where(visual, 0.7, 0.3)  # the choice predicts the modality
    response = DRAW.normal(size=(400, 1000)) + 2.0 * high[:, None]
    table = classify(
        response, high, visual, SelectivitySettings(level=0.05, permutations=199), seed=1
    )
    mixed = (table["kind"] == "mixed").mean()
    assert mixed == pytest.approx(0.05, abs=0.025)
    assert table["control_mixed"].mean() == pytest.approx(mixed, abs=0.025)


def test_criterion_requires_the_least_eta_squared() -> None:
    response = DRAW.normal(size=(120, 1)) + 0.7 * HIGH[:, None]
    share = explained(response, HIGH[None]).item()
    kinds = [
        classify(
            response,
            HIGH,
            VISUAL,
            SelectivitySettings(least=least, level=0.05, permutations=99),
            0,
        )["kind"].item()
        for least in (share - 0.01, share + 0.01)
    ]
    assert kinds == ["choice", "none"]


def test_neurons_of_an_integrator() -> None:
    """Keepers of the evidence tell the choice, the sum of visual channels the modality."""
    table, responses = selectivity(
        integrator(sigma=0.1),
        SEEDS,
        Recording(QUICK, noise=0.1, repeats=2, every=100.0),
        SelectivitySettings(permutations=199),
    )
    kinds = table.pivot(index="neuron", columns="seed", values="kind")
    for seed in SEEDS:
        assert kinds[seed].tolist()[:3] == ["choice", "choice", "modality"]
    assert list(responses) == [
        "replica", "seed", "neuron", "modality", "choice", "trials", "time", "rate"
    ]  # fmt: skip
    one = responses[(responses["seed"] == 9) & (responses["neuron"] == 0)]
    assert sorted(one["time"].unique()) == pytest.approx([100.0 * k for k in range(14)])
    assert one.groupby(["modality", "choice"]).ngroups == 6
    assert one.drop_duplicates(["modality", "choice"])["trials"].sum() == 48
    end = one[one["time"] == 1300].groupby("choice")["rate"].mean()
    assert end["high"] > end["low"] > 0


def test_untrained_networks_are_labelled_by_correct_choices() -> None:
    """A network whose outputs never differ chooses low always: no choice to be selective for."""
    network = integrator(sigma=0.1)
    network.layers[2].m.data.zero_()
    recording, criterion = Recording(QUICK, 0.1, 2, 100.0), SelectivitySettings(permutations=199)
    labelled, _ = selectivity(network, SEEDS, recording, criterion)
    right, responses = selectivity(network, SEEDS, recording, criterion, right=True)
    trained, _ = selectivity(integrator(sigma=0.1), SEEDS, recording, criterion)
    assert (labelled["choice"] == 0).all() and (labelled["kind"] != "choice").all()
    assert right["kind"].tolist() == trained["kind"].tolist()
    trials = responses.drop_duplicates(["seed", "modality", "choice"]).groupby("choice")["trials"]
    assert trials.sum().to_dict() == {"high": 2 * 24, "low": 2 * 24}
