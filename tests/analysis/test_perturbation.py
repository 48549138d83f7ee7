"""Targeted perturbation: number and choice of connections, and the effect."""

import copy
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from made import SEEDS, images, network, replica
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching
from torch import Tensor

from sascli.analysis.perturbation import (
    PAIRED,
    PERTURBATIONS,
    PUBLISHED,
    RATIO,
    Candidates,
    Thresholds,
    field_perturbation,
    matching_pairs,
    perturbation,
    perturbed_weights,
)
from sascli.core.network import FeedForward
from sascli.core.recurrent import Dynamics, Recurrent
from sascli.core.streams import fill_normal, streams
from sascli.data.accuracy import accuracy
from sascli.nn import SpikeSlabLinear, perturb_

FRACTIONS = (0.0, 0.1, 0.5, 0.75, 1.0)


def table_of(made: FeedForward, seeds: tuple[int, ...] = SEEDS, **settings: Any) -> pd.DataFrame:
    """perturbation.csv, of layer 1 by default."""
    x, y = images()
    score = partial(accuracy, x=x, y=y)
    chosen = {"layer": 1, "samples": 3} | settings
    return perturbation(made, seeds, score, fractions=FRACTIONS, **chosen)


def changed(made: FeedForward, kind: str) -> tuple[Tensor, Tensor, Tensor]:
    """Weights of layer 1 before, after (one more axis, of fractions), and the numbers changed."""
    layer = made.layers[0]
    weights = layer.sample(generator=streams(SEEDS, "w"))
    weights[weights == 0] = 9.0  # distinguishes 0 from switched off
    drawn = streams(SEEDS, kind)
    after, chosen = perturbed_weights(
        weights, Candidates(layer), kind, torch.tensor(FRACTIONS), drawn
    )
    return weights, after, chosen.sum((-2, -1))


@pytest.mark.parametrize("kind", PERTURBATIONS)
def test_number_changed_is_f_times_vips_or_uips(kind: str) -> None:
    made = network()
    table = table_of(made).query("kind == @kind")
    for r, seed in enumerate(SEEDS):
        pi, xi = made.layers[0].pi[r], made.layers[0].xi[r]
        total = int((pi == 1).sum() if kind == "uip_on" else ((pi == 0) & (xi == 0)).sum())
        assert total > 20
        rows = table.query("replica == @r and sample == 0")
        assert list(rows["fraction"]) == list(FRACTIONS) and set(rows["seed"]) == {seed}
        assert list(rows["n_weights"]) == pytest.approx([f * total for f in FRACTIONS], abs=0.5)


@pytest.mark.parametrize("kind", PERTURBATIONS)
def test_changed_connections_are_of_the_kind(kind: str) -> None:
    made = network()
    before, after, n = changed(made, kind)
    pi, xi = made.layers[0].pi, made.layers[0].xi
    vip, uip = (pi == 0) & (xi == 0), pi == 1
    allowed = {"vip_off": vip, "uip_on": uip, "random_off": pi >= 0, "other_off": ~(vip | uip)}
    assert torch.equal(Candidates(made.layers[0]).mask(kind), allowed[kind])
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


def on_weights(made: FeedForward, layer: int, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """The weights of a layer of UIPs alone, after `perturbation` has switched them all on."""
    drawn: list[Tensor] = []

    def outputs(network: FeedForward, weights: list[Tensor], neurons: object) -> None:
        drawn.append(weights[layer - 1])

    monkeypatch.setattr("sascli.analysis.perturbation.outputs", outputs)
    made.flat["pi"].fill_(1)
    options = {"kinds": ["uip_on"], "fractions": [1.0], "samples": 1, "layer": layer}
    perturbation(made, SEEDS, lambda _: torch.zeros(len(SEEDS)), **options)
    return drawn[0]


def test_switched_on_weights_have_the_networks_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    published = on_weights(FeedForward([200, 300], 2), 1, monkeypatch)
    assert abs(published.std() - 1) < 0.02
    plain = FeedForward([200, 300], 2, prefactor=False)
    assert torch.equal(on_weights(plain, 1, monkeypatch), published * (1 / 200**0.5))
    recurrent = Recurrent([30, 100, 20], Dynamics(2, 0.5), 2)
    for layer, n in ((1, 30), (2, 100), (3, 100)):
        w = on_weights(recurrent, layer, monkeypatch)
        assert float(w.std()) == pytest.approx(n**-0.5, rel=0.05)
    generators = streams(SEEDS, "uip_on/1", 0)
    Candidates(plain.layers[0]).choose("uip_on", torch.ones(1), generators)
    want = fill_normal(torch.empty(2, 300, 200), generators)
    assert torch.equal(published, want)  # the published N(0, 1), to the bit


def test_switched_on_weights_are_those_of_perturb_(monkeypatch: pytest.MonkeyPatch) -> None:
    for prefactor, name in ((True, "sqrt"), (False, None)):
        made = FeedForward([300, 200], 2, prefactor=prefactor)
        w = on_weights(made, 1, monkeypatch) * made.scales[0]
        layer = SpikeSlabLinear(300, 200, prefactor=name)
        layer.pi.data.fill_(1)
        perturb_(layer, "uip_on", generator=torch.Generator().manual_seed(1))
        assert float(w.std()) == pytest.approx(float(layer.weight.detach().std()), rel=0.02)


@pytest.mark.parametrize("kind", PERTURBATIONS)
def test_a_larger_fraction_contains_the_smaller(kind: str) -> None:
    before, after, _ = changed(network(), kind)
    different = after != before.unsqueeze(1)
    for smaller, larger in zip(range(4), range(1, 5), strict=True):
        assert (different[:, larger] | ~different[:, smaller]).all()
        same = different[:, smaller]
        assert torch.equal(after[:, larger][same], after[:, smaller][same])


def test_fewer_others_than_vips() -> None:
    made = network()
    made.layers[0].pi.data[:, 2:] = 0
    made.layers[0].xi.data[:, 2:] = 0
    rows = table_of(made).query("kind == 'other_off' and fraction == 1")
    layer = made.layers[0]
    others = (~(layer.vip() | layer.uip())).sum((1, 2)).tolist()
    assert list(rows["n_weights"]) == others * 3 and max(others) < 40


def test_tolerance_makes_more_vips_and_uips() -> None:
    layer = network().layers[0]
    for kind in ("vip_off", "uip_on"):
        wide = Candidates(layer, Thresholds(0.2)).mask(kind)
        exact = Candidates(layer).mask(kind)
        assert (wide | ~exact).all() and wide.sum() > exact.sum()


def test_vips_by_wider_thresholds() -> None:
    layer = network().layers[0]
    wide = Candidates(layer, Thresholds(0.5, xi_max=0.1, m_min=0.3)).vip
    assert torch.equal(wide, (layer.pi <= 0.5) & (layer.xi <= 0.1) & (layer.m.abs() >= 0.3))
    for less in (Thresholds(0.2, 0.1, 0.3), Thresholds(0.5, 0.01, 0.3), Thresholds(0.5, 0.1, 0.6)):
        assert 0 < Candidates(layer, less).vip.sum() < wide.sum()


def test_fraction_zero_is_the_sampled_network() -> None:
    made, (x, y) = network(), images()
    tables = [table_of(made, layer=layer).query("fraction == 0") for layer in (1, 2, 3)]
    for sample in range(3):
        weights = made.sample(generator=streams(SEEDS, "perturbed", sample))
        error = (1 - accuracy(lambda images, w=weights: made.run(w, images), x, y)).tolist()
        for table in tables:
            rows = table.query("sample == @sample").groupby("kind")["test_error"].apply(list)
            assert rows.to_dict() == dict.fromkeys(PERTURBATIONS, error)


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_all_vips_off_is_the_network_without_them(layer: int) -> None:
    made, (x, y) = network(), images()
    weights = made.sample(generator=streams(SEEDS, "perturbed", 1))
    weights[layer - 1][made.layers[layer - 1].vip()] = 0
    error = (1 - accuracy(lambda images: made.run(weights, images), x, y)).tolist()
    rows = table_of(made, layer=layer).query("kind == 'vip_off' and fraction == 1 and sample == 1")
    assert rows["test_error"].tolist() == error


def test_draws_are_reproducible_and_differ() -> None:
    made = network()
    first, again, other = table_of(made), table_of(made), table_of(made, draw=1)
    pd.testing.assert_frame_equal(first, again)
    assert not first["test_error"].equals(other["test_error"])
    more = table_of(made, samples=5).query("sample < 3").reset_index(drop=True)
    pd.testing.assert_frame_equal(first, more)


@pytest.mark.parametrize("which", [0, 1])
def test_perturbation_does_not_depend_on_companions(which: int) -> None:
    made = network()
    seed = SEEDS[which]
    full = table_of(made).query("seed == @seed").drop(columns="replica")
    alone = table_of(replica(made, which), (seed,)).drop(columns="replica")
    pd.testing.assert_frame_equal(full.reset_index(drop=True), alone)


# ---------------------------------------------------------------- counterparts of the same |m|


def test_number_of_matching_pairs_is_maximal() -> None:
    """Against all matchings of small sets, by the sizes of greatest matchings."""
    draw = np.random.default_rng(0)
    for _ in range(200):
        one, other = (np.sort(draw.uniform(0, 1, n)) for n in draw.integers(0, 6, 2))
        pairs = matching_pairs(one, other, 1.3)
        for a, b in pairs:
            assert one[a] <= 1.3 * other[b] and other[b] <= 1.3 * one[a]
        assert len({a for a, _ in pairs}) == len({b for _, b in pairs}) == len(pairs)
        close = (one[:, None] <= 1.3 * other) & (other <= 1.3 * one[:, None])
        assert len(pairs) == (maximum_bipartite_matching(csr_array(close)) >= 0).sum()


def test_counterparts_have_equal_magnitude_and_are_not_vips() -> None:
    layer = network((40, 30, 4)).layers[0]
    rows = Candidates(layer, Thresholds(0.3, xi_max=0.8, m_min=0.5))
    vips, others = (rows.mask(kind) for kind in PAIRED)
    assert torch.equal(vips.sum((1, 2)), others.sum((1, 2))) and (vips.sum((1, 2)) > 50).all()
    assert (vips & ~rows.vip).sum() == 0 and (others & rows.vip).sum() == 0
    for r in range(2):
        one, other = (layer.m[r][mask[r]].detach().abs().sort().values for mask in (vips, others))
        ratio = one / other
        assert ratio.min() >= 1 / RATIO and ratio.max() <= RATIO
    table = table_of(network(), kinds=PAIRED, thresholds=Thresholds(0.5, xi_max=0.5))
    full = table.query("fraction == 1").pivot_table(
        index="seed", columns="kind", values=["n_weights", "m_abs"]
    )
    assert (full["n_weights"]["paired_off"] == full["n_weights"]["matched_off"]).all()
    assert (full["n_weights"] > 10).all(axis=None)
    m = full["m_abs"]
    assert (m["paired_off"] / m["matched_off"]).tolist() == pytest.approx([1, 1], rel=RATIO - 1)
    half = table.query("fraction == 0.5").groupby(["seed", "kind"])["n_weights"].first()
    expected = (full["n_weights"].stack() / 2).to_dict()
    assert half.to_dict() == pytest.approx(expected, abs=0.5)


def test_vips_without_counterpart_are_excluded() -> None:
    """Too few candidates: both sets are smaller, and n_weights says so; none: nothing changes."""
    made = network()
    layer = made.layers[0]
    layer.m.data[layer.vip()] = 100.0
    rest = torch.nonzero(~layer.vip()[0])[:3]
    for i, j in rest:
        layer.m.data[0, i, j] = -101.0
    table = table_of(made, kinds=PAIRED).query("fraction == 1 and sample == 0")
    count = table.set_index(["seed", "kind"])["n_weights"].to_dict()
    assert count == {(3, kind): 3 for kind in PAIRED} | {(8, kind): 0 for kind in PAIRED}
    assert table.query("seed == 8")["m_abs"].isna().all()
    matched = table.query("seed == 3 and kind == 'matched_off'")["m_abs"].item()
    assert matched == pytest.approx(101)


def test_mean_magnitude_is_that_of_the_changed_connections() -> None:
    made = network()
    layer = made.layers[0]
    table = table_of(made).query("fraction == 1 and sample == 0 and kind == 'vip_off'")
    want = [layer.m[r][layer.vip()[r]].abs().mean().item() for r in range(2)]
    assert table["m_abs"].tolist() == pytest.approx(want)
    assert table_of(made).query("fraction == 0")["m_abs"].isna().all()


# ---------------------------------------------------------------- the mean field


def test_the_mean_field_is_tested_with_pi_of_one() -> None:
    made, (x, y) = network(), images()

    def test(changed: FeedForward, sample: int) -> Tensor:
        noise = streams(SEEDS, "test", sample)
        gbp = changed.gbp()
        return accuracy(
            lambda images: gbp.logits(images, changed.draw_noise(images.shape[-2], noise)), x, y
        )

    before = made.all.clone()
    table = field_perturbation(
        made, SEEDS, test, layer=2, kinds=("vip_off", "random_off"), fractions=FRACTIONS,
        samples=[1, 4], thresholds=Thresholds(),
    )  # fmt: skip
    assert torch.equal(made.all, before) and set(table["way"]) == {"field"}
    vip = made.layers[1].vip()
    for sample in (1, 4):
        for fraction, pi in ((0.0, made.layers[1].pi.detach().clone()), (1.0, None)):
            changed = copy.deepcopy(made)
            value = made.layers[1].pi.masked_fill(vip, 1.0) if pi is None else pi
            changed.layers[1].pi.data.copy_(value)
            want = (1 - test(changed, sample)).tolist()
            rows = table[(table["fraction"] == fraction) & (table["sample"] == sample)]
            rows = rows[rows["kind"] == "vip_off"]
            assert rows["test_error"].tolist() == want
    assert list(table) == list(table_of(made))
    off = table.query("fraction == 1").groupby("kind")["n_weights"].unique()
    assert set(off["vip_off"]) == set(off["random_off"]) == set(vip.sum((1, 2)).tolist())


def test_published_thresholds() -> None:
    layer = FeedForward([3, 2], dtype=torch.float64).layers[0]
    layer.m.data[0] = torch.tensor([[0.09, -0.09, 0.07], [0.5, 0.5, 0.5]])
    layer.pi.data[0] = torch.tensor([[0.0, 0.05, 0.0], [0.2, 0.0, 0.1]]).double().mul(1 - 1e-7)
    layer.xi.data[0] = torch.tensor([[0.05, 0.0, 0.0], [0.0, 0.2, 0.09]])
    assert PUBLISHED.vip(layer)[0].tolist() == [[True, True, False], [False, False, True]]
