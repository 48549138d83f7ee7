"""Which connections stay: counts, order, VIPs first, and what the UIPs do not change."""

import numpy as np
import pytest
import torch
from made import SEEDS, images, network, replica

from sascli.analysis.pruning import flat, fractions, keys, thresholds
from sascli.core.network import FeedForward
from sascli.core.streams import streams

LEVELS = (1.0, 0.7, 0.5, 0.2, 0.05)
CRITERIA = ("pi", "snr", "magnitude")


def in_float32() -> FeedForward:
    """The small network in single precision."""
    made = FeedForward(network().widths, 2)
    made.all.copy_(network().all)
    return made


@pytest.mark.parametrize("made", [network(), in_float32()], ids=["float64", "float32"])
def test_pruned_uips_change_no_prediction(made: FeedForward) -> None:
    x = images()[0].to(made.flat["m"].dtype)
    stays = [mask[:, 0] for mask in thresholds(made, [1.0])]
    removed = sum(int((~mask).sum()) for mask in stays)
    assert removed == sum(int(layer.uip().sum()) for layer in made.layers) > 50
    full, cut = made.mean(), [w * m for w, m in zip(made.mean(), stays, strict=True)]
    assert torch.equal(made.run(full, x), made.run(cut, x))
    sampled = made.sample(generator=streams(SEEDS, "any"))
    cut = [w * m for w, m in zip(sampled, stays, strict=True)]
    assert torch.equal(made.run(sampled, x), made.run(cut, x))


@pytest.mark.parametrize("criterion", CRITERIA)
def test_fractions_are_exact_per_replica_and_nested(criterion: str) -> None:
    masks = flat([m.flatten(0, 1) for m in fractions(network(), criterion, LEVELS)])
    masks = masks.reshape(2, len(LEVELS), -1)
    wanted = [round(level * masks.shape[-1]) for level in LEVELS]
    assert masks.sum(-1).tolist() == [wanted, wanted]
    assert (np.diff(masks, axis=1) <= 0).all()


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("level", [0.7, 0.4])
def test_removed_connections_have_lower_scores(criterion: str, level: float) -> None:
    made = network()
    stays = flat([m[:, 0] for m in fractions(made, criterion, [level])]).astype(bool)
    m, pi, xi = (flat([getattr(layer, n) for layer in made.layers]) for n in ("m", "pi", "xi"))
    mu, variance, vip = (1 - pi) * m, (1 - pi) * (xi + pi * m**2), (pi == 0) & (xi == 0)
    ratio = np.divide(mu**2, variance, out=np.where(mu == 0, 0, np.inf), where=variance > 0)
    widths = np.repeat([20, 12, 10], [240, 120, 40])
    score = {"pi": -pi, "snr": ratio, "magnitude": np.abs(mu) / np.sqrt(widths)}[criterion]
    for r in range(2):
        if criterion != "magnitude":
            assert (vip[r] & stays[r]).sum() == min(vip[r].sum(), stays[r].sum()) > 0
        others = ~vip[r] if criterion != "magnitude" else np.ones_like(vip[r])
        remaining, removed = score[r][others & stays[r]], score[r][others & ~stays[r]]
        assert remaining.size and removed.size and remaining.min() >= removed.max() * (1 - 1e-9)


def test_ties_are_broken_by_snr_then_magnitude() -> None:
    made = FeedForward([4, 1], dtype=torch.float64)
    layer = made.layers[0]
    layer.m.data.copy_(torch.tensor([[[1.0, 2.0, 3.0, -4.0]]]))
    layer.xi.data.copy_(torch.tensor([[[1.0, 1.0, 9.0, 0.0]]]))  # |mu| / sigma 1, 2, 1, a VIP
    order = np.lexsort(keys(made, "pi"))[0].tolist()
    assert order == np.lexsort(keys(made, "snr"))[0].tolist() == [0, 2, 1, 3]


def test_thresholds_use_pi_only() -> None:
    made = network()
    for layer, mask in zip(made.layers, thresholds(made, [0.5, 0.9]), strict=True):
        assert torch.equal(mask, torch.stack([layer.pi < 0.5, layer.pi < 0.9], 1))


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("criterion", CRITERIA)
def test_pruning_does_not_depend_on_companions(criterion: str, which: int) -> None:
    full = fractions(network(), criterion, LEVELS)
    alone = fractions(replica(network(), which), criterion, LEVELS)
    assert all(torch.equal(w[which], a[0]) for w, a in zip(full, alone, strict=True))
