"""Probabilities of the three prediction modes, and the tables made from them."""

from functools import partial
from itertools import repeat

import numpy as np
import pandas as pd
import pytest
import torch
from made import SEEDS, images, network, replica
from scipy.special import softmax

from sascli.analysis.evaluation import (
    MODES,
    evaluation,
    predictive_entropy,
    probabilities,
    reliability,
    scores,
    uncertainty,
)
from sascli.core.streams import fill_normal, stream, streams

CLASSES = tuple("abcd")
ask = partial(probabilities, network(), SEEDS, samples=3, epochs=(7, 7), redraw="once")


def tables_of(which: int | None = None) -> dict[str, pd.DataFrame]:
    """All tables of the small network, or of one replica alone."""
    x, y = images()
    made = network() if which is None else replica(network(), which)
    seeds = SEEDS if which is None else SEEDS[which : which + 1]
    against = {"noise": images(60)[0].flip(-1)}
    return evaluation(
        made, seeds, x, y, CLASSES, against,
        samples=3, epochs=[7] * len(seeds), redraw="once", bins=10,
    )  # fmt: skip


# ---------------------------------------------------------------- probabilities


def test_the_mean_network_has_no_noise() -> None:
    x, _ = images(1200)
    expected = softmax(network().forward(x).detach().numpy(), -1)
    np.testing.assert_allclose(ask(x, "mean"), expected, rtol=1e-12)


def test_ensemble_is_the_mean_prediction_of_ensemble_csv() -> None:
    made, (x, _) = network(), images()
    drawn = [made.sample(generator=streams(SEEDS, "ensemble", n)) for n in range(3)]
    each = [softmax(made.run(weights, x).numpy(), -1) for weights in drawn]
    np.testing.assert_allclose(ask(x, "ensemble"), np.mean(each, 0), rtol=1e-12)


@pytest.mark.parametrize("epochs", [(7, 7), (4, 7)])
def test_mean_field_uses_the_noise_of_the_last_test(epochs: tuple[int]) -> None:
    made, (x, _) = network(), images()
    noise = torch.empty(2, len(x) * made.noise_size, dtype=x.dtype)
    drawn = [stream(*words) for words in zip(SEEDS, repeat("evaluation"), epochs, strict=False)]
    eps = made.split_noise(fill_normal(noise, drawn), len(x))
    expected = softmax(made.forward(x, eps).detach().numpy(), -1)
    np.testing.assert_allclose(ask(x, "mean_field", epochs=epochs), expected, rtol=1e-9)


def test_a_decorrelated_network_has_no_mean_field() -> None:
    made, (x, _) = network(), images()
    r = [torch.randn(2, n, n, dtype=x.dtype) for n in made.widths[:-1]]
    made.decorrelate(r, 0.1)
    of_rule = partial(probabilities, made, SEEDS, x, samples=1, epochs=(1, 1), redraw="once")
    two = [of_rule(mode=mode) for mode in MODES[:2]]
    assert np.array_equal(*two) and not np.allclose(two[0], ask(x, "mean"))


@pytest.mark.parametrize("which", [0, 1])
def test_evaluation_does_not_depend_on_companions(which: int) -> None:
    together, alone = tables_of(), tables_of(which)
    assert together.keys() == alone.keys() and len(together) == 5
    for name, table in together.items():
        rows = table.query("replica == @which").drop(columns="replica").reset_index(drop=True)
        pd.testing.assert_frame_equal(rows, alone[name].drop(columns="replica"))


# ---------------------------------------------------------------- what the tables say


def test_calibration_error_and_reliability_of_a_known_case() -> None:
    """Five images with confidence 0.9, of which 4 are right, and five with 0.6, of which 1 is."""
    p = np.array([[0.9, 0.1]] * 5 + [[0.4, 0.6]] * 5)
    y = np.array([0] * 4 + [1] + [1] + [0] * 4)
    tables = scores(p, y, ("a", "b"), 10)
    (overall,) = tables["evaluation"].itertuples()
    assert overall.test_accuracy == 0.5 and overall.n_images == 10
    assert overall.calibration_error == pytest.approx(0.5 * 0.1 + 0.5 * 0.4)
    log_loss = -np.log([0.9] * 4 + [0.1] + [0.6] + [0.4] * 4).mean()
    assert overall.log_loss == pytest.approx(log_loss)
    assert overall.entropy == pytest.approx(-(p * np.log(p)).sum(-1).mean())
    curve = tables["reliability"]
    assert curve["count"].tolist() == [5, 5] and curve["accuracy"].tolist() == [0.2, 0.8]
    assert curve["confidence"].tolist() == pytest.approx([0.6, 0.9])
    assert ((curve["bin_left"] <= curve["confidence"]) & (
        curve["confidence"] <= curve["bin_right"] + 1e-12)).all()  # fmt: skip
    by_class = tables["classes"].set_index("class")
    assert by_class["n_images"].to_dict() == {"a": 8, "b": 2}
    assert by_class["recall"].to_dict() == {"a": 0.5, "b": 0.5}
    assert by_class["precision"].to_dict() == {"a": 0.8, "b": 0.2}
    counts = tables["confusion"].set_index(["class", "predicted"])["count"]
    assert counts.to_dict() == {
        ("a", "a"): 4, ("a", "b"): 4, ("b", "a"): 1, ("b", "b"): 1
    }  # fmt: skip


def test_confidence_bins_contain_every_image_once() -> None:
    confidence = np.array([0.0, 0.1, 0.1, 0.25, 0.5, 0.7, 1.0, 1.0])
    curve = reliability(confidence > 0.2, confidence, 5)
    assert curve["count"].sum() == len(confidence)
    overall = np.average(curve["confidence"], weights=curve["count"])
    assert overall == pytest.approx(confidence.mean())


def test_a_class_that_is_never_predicted_has_no_precision() -> None:
    p = np.array([[0.9, 0.1, 0.0]] * 4)
    table = scores(p, np.array([0, 0, 1, 1]), ("a", "b", "c"), 5)["classes"].set_index("class")
    assert table["precision"].isna().to_dict() == {"a": False, "b": True, "c": True}
    assert table["recall"].isna().to_dict() == {"a": False, "b": False, "c": True}


def test_entropy_detects_wrong_answers_and_foreign_images() -> None:
    sure, torn = [0.98, 0.01, 0.01], [0.4, 0.3, 0.3]
    p = np.array([sure, sure, sure, torn])
    y = np.array([0, 0, 0, 1])
    entropy = predictive_entropy(np.array([torn, torn, sure]))
    table = uncertainty(p, y, {"other": entropy, "all sure": entropy[2:]}).set_index("kind")
    assert table["auroc"].to_dict() == pytest.approx(
        {"wrong": 1.0, "other": (2 * (3 + 0.5) + 1.5) / 12, "all sure": 1.5 / 4}
    )
    assert table["n_kind"].tolist() == [1, 3, 1] and table["n_images"].tolist() == [3, 4, 4]
    assert uncertainty(p, np.array([0, 0, 0, 0]), {})["auroc"].isna().all()


def test_every_mode_and_seed_is_in_every_table() -> None:
    for name, table in tables_of().items():
        assert list(table)[:3] == ["replica", "seed", "way"]
        tables = set(table[["way", "seed"]].itertuples(index=False, name=None))
        assert tables == {(mode, seed) for mode in MODES for seed in SEEDS}, name
