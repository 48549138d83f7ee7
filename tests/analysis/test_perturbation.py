"""Targeted perturbation: how many connections are changed, which, and what it does."""

from functools import partial

import pandas as pd
import pytest
import torch
from made import SEEDS, images, network, replica
from torch import Tensor

from sascli.analysis.accuracy import accuracy
from sascli.analysis.perturbation import (
    EXACT,
    PERTURBATIONS,
    Thresholds,
    candidates,
    perturbation,
    perturbed,
)
from sascli.core.network import FeedForward
from sascli.core.streams import streams

FRACTIONS = (0.0, 0.1, 0.5, 0.75, 1.0)


def table_of(made: FeedForward, seeds: tuple[int, ...] = SEEDS, **settings: int) -> pd.DataFrame:
    """perturbation.csv of layer 1 unless told otherwise."""
    x, y = images()
    score = partial(accuracy, x=x, y=y)
    chosen = {"layer": 1, "samples": 3} | settings
    return perturbation(made, seeds, score, fractions=FRACTIONS, **chosen)


def changed(made: FeedForward, kind: str) -> tuple[Tensor, Tensor, Tensor]:
    """Weights of layer 1 before, after (one more axis, of fractions), and the numbers changed."""
    layer = made.layers[0]
    weights = layer.sample(generator=streams(SEEDS, "w"))
    weights[weights == 0] = 9.0  # so that what is switched off can be told from what was 0
    drawn = streams(SEEDS, kind)
    after, n = perturbed(weights, layer, kind, torch.tensor(FRACTIONS), EXACT, drawn)
    return weights, after, n


@pytest.mark.parametrize("kind", PERTURBATIONS)
def test_as_many_are_changed_as_there_are_vips_or_uips_times_f(kind: str) -> None:
    made = network()
    table = table_of(made).query("kind == @kind")
    for r, seed in enumerate(SEEDS):
        pi, xi = made.layers[0].pi[r], made.layers[0].xi[r]
        total = int((pi == 1).sum() if kind == "uip_on" else ((pi == 0) & (xi == 0)).sum())
        assert total > 20
        own = table.query("replica == @r and sample == 0")
        assert list(own["fraction"]) == list(FRACTIONS) and set(own["seed"]) == {seed}
        assert list(own["n_weights"]) == pytest.approx([f * total for f in FRACTIONS], abs=0.5)


@pytest.mark.parametrize("kind", PERTURBATIONS)
def test_what_is_changed_is_of_the_kind_and_as_many_as_said(kind: str) -> None:
    made = network()
    before, after, n = changed(made, kind)
    pi, xi = made.layers[0].pi, made.layers[0].xi
    vip, uip = (pi == 0) & (xi == 0), pi == 1
    allowed = {"vip_off": vip, "uip_on": uip, "random_off": pi >= 0, "other_off": ~(vip | uip)}
    assert torch.equal(candidates(made.layers[0], kind), allowed[kind])
    different = after != before.unsqueeze(1)
    assert torch.equal(different.sum((-2, -1)), n)
    assert not (different & ~allowed[kind].unsqueeze(1)).any()
    if kind != "uip_on":
        assert (after[different] == 0).all()
    if kind in ("vip_off", "uip_on"):
        assert torch.equal(different[:, -1], allowed[kind])


def test_switched_on_weights_are_standard_normal() -> None:
    made = FeedForward([200, 100], 2, dtype=torch.float64)
    made.flat["pi"].fill_(1)
    new = changed(made, "uip_on")[1][:, -1]
    assert abs(new.mean()) < 5 / new.numel() ** 0.5
    assert abs(new.var() - 1) < 5 * (2 / new.numel()) ** 0.5


@pytest.mark.parametrize("kind", PERTURBATIONS)
def test_a_larger_fraction_contains_the_smaller(kind: str) -> None:
    before, after, _ = changed(network(), kind)
    different = after != before.unsqueeze(1)
    for smaller, larger in zip(range(4), range(1, 5), strict=True):
        assert (different[:, larger] | ~different[:, smaller]).all()
        same = different[:, smaller]
        assert torch.equal(after[:, larger][same], after[:, smaller][same])


def test_there_may_be_fewer_others_than_vips() -> None:
    made = network()
    made.layers[0].pi.data[:, 2:] = 0
    made.layers[0].xi.data[:, 2:] = 0
    own = table_of(made).query("kind == 'other_off' and fraction == 1")
    layer = made.layers[0]
    others = (~(layer.vip() | layer.uip())).sum((1, 2)).tolist()
    assert list(own["n_weights"]) == others * 3 and max(others) < 40


def test_tolerance_makes_more_vips_and_uips() -> None:
    layer = network().layers[0]
    for kind in ("vip_off", "uip_on"):
        wide, exact = candidates(layer, kind, Thresholds(0.2)), candidates(layer, kind)
        assert (wide | ~exact).all() and wide.sum() > exact.sum()


def test_vip_like_connections_have_thresholds_of_their_own() -> None:
    layer = network().layers[0]
    wide = candidates(layer, "vip_off", Thresholds(0.5, xi_max=0.1, m_min=0.3))
    assert torch.equal(wide, (layer.pi <= 0.5) & (layer.xi <= 0.1) & (layer.m.abs() >= 0.3))
    for less in (Thresholds(0.2, 0.1, 0.3), Thresholds(0.5, 0.01, 0.3), Thresholds(0.5, 0.1, 0.6)):
        assert 0 < candidates(layer, "vip_off", less).sum() < wide.sum()


def test_nothing_perturbed_is_the_sampled_network_for_all_kinds_and_layers() -> None:
    made, (x, y) = network(), images()
    tables = [table_of(made, layer=layer).query("fraction == 0") for layer in (1, 2, 3)]
    for sample in range(3):
        weights = made.sample(generator=streams(SEEDS, "perturbed", sample))
        error = (1 - accuracy(lambda some, w=weights: made.run(w, some), x, y)).tolist()
        for table in tables:
            own = table.query("sample == @sample").groupby("kind")["test_error"].apply(list)
            assert own.to_dict() == dict.fromkeys(PERTURBATIONS, error)


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_all_vips_off_is_the_network_without_them(layer: int) -> None:
    made, (x, y) = network(), images()
    weights = made.sample(generator=streams(SEEDS, "perturbed", 1))
    weights[layer - 1][made.layers[layer - 1].vip()] = 0
    error = (1 - accuracy(lambda some: made.run(weights, some), x, y)).tolist()
    own = table_of(made, layer=layer).query("kind == 'vip_off' and fraction == 1 and sample == 1")
    assert own["test_error"].tolist() == error


def test_another_draw_is_another_series_and_the_same_draw_the_same() -> None:
    made = network()
    first, again, other = table_of(made), table_of(made), table_of(made, draw=1)
    pd.testing.assert_frame_equal(first, again)
    assert not first["test_error"].equals(other["test_error"])
    more = table_of(made, samples=5).query("sample < 3").reset_index(drop=True)
    pd.testing.assert_frame_equal(first, more)


@pytest.mark.parametrize("which", [0, 1])
def test_a_replica_is_perturbed_the_same_without_its_companions(which: int) -> None:
    made = network()
    seed = SEEDS[which]
    whole = table_of(made).query("seed == @seed").drop(columns="replica")
    alone = table_of(replica(made, which), (seed,)).drop(columns="replica")
    pd.testing.assert_frame_equal(whole.reset_index(drop=True), alone)
