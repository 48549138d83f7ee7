"""Psychometric curves and their sigmoids."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from task import QUICK, SEEDS, integrator

from sascli.analysis.psychometric import STEEPEST, choices_of, fit, networks, sigmoids
from sascli.core.recurrent import Recurrent

F = [9.0, 11.0, 12.5, 14.0, 16.0]


def curves(
    network: Recurrent, modes: Sequence[str] = ("mean",), samples: int = 1, repeats: int = 40
) -> pd.DataFrame:
    conditions = list(product(["v", "a", "va"], F))
    return pd.concat(
        choices_of(network, SEEDS, mode, sample, conditions, repeats, QUICK)
        for mode, sample in networks(modes, samples)
    )


def test_integrator_is_undecided_only_at_the_boundary() -> None:
    table = curves(integrator())
    assert len(table) == 2 * 3 * len(F)
    by_frequency = table.groupby("frequency")["high"].mean()
    assert by_frequency[9] == by_frequency[11] == 0
    assert by_frequency[14] == by_frequency[16] == 1
    assert 0.2 < by_frequency[12.5] < 0.8
    assert (sigmoids(table)["correct"] == 1).all()


def test_two_modalities_are_steeper_than_one_under_noise() -> None:
    fitted = sigmoids(curves(integrator(sigma=1.5), repeats=200))
    slope = fitted.groupby("modality")["slope"].mean()
    assert slope["va"] > 1.3 * max(slope["v"], slope["a"])
    assert (fitted["threshold"] - 12.5).abs().max() < 0.5


def test_number_of_networks_by_prediction_mode() -> None:
    table = curves(
        integrator(xi=0.001), modes=["mean", "sampled", "redrawn"], samples=3, repeats=2
    )
    count = table.groupby("way")["sample"].nunique()
    assert count.to_dict() == {"mean": 1, "sampled": 3, "redrawn": 3}
    assert len(sigmoids(table)) == 2 * 3 * (1 + 3 + 3)


def test_the_fit_recovers_a_logistic_curve() -> None:
    f = pd.Series(np.arange(9, 16.5, 0.5))
    trials = pd.Series(1_000_000, f.index)
    for threshold, slope in ((12.5, 1.3), (11.0, 0.4), (13.0, 4.0)):
        high = trials * expit(slope * (f - threshold))
        assert fit(f, high, trials) == pytest.approx((threshold, slope), rel=1e-3)


def test_choices_without_error_have_the_steepest_slope() -> None:
    f = pd.Series([9.0, 12.0, 13.0, 16.0])
    trials = pd.Series(10, f.index)
    threshold, slope = fit(f, trials * (f > 12.5), trials)
    assert 12 < threshold < 13
    assert slope > STEEPEST / 2


def test_correct_excludes_the_boundary() -> None:
    table = pd.DataFrame(
        {"replica": 0, "seed": 0, "way": "mean", "sample": 0, "modality": "v", "trials": 10,
         "frequency": [9.0, 12.5, 16.0], "high": [0.2, 0.9, 0.6]}
    )  # fmt: skip
    assert sigmoids(table)["correct"].item() == pytest.approx((0.8 + 0.6) / 2)
