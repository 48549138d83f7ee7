"""What a model shows of its credit, and what switching off and pruning change."""

import copy
import math

import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune as torch_prune

from sascli.analysis.layers import entropies, layers
from sascli.analysis.pruning import fractions
from sascli.core.network import FeedForward
from sascli.errors import UserError
from sascli.nn import (
    SpikeSlabConv2d,
    SpikeSlabLinear,
    connections,
    credit,
    perturb_,
    prune,
    sampled,
    to_spike_slab,
)
from sascli.nn.layers import named_layers

WIDTHS = [12, 9, 5]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def fill(model: nn.Module) -> nn.Module:
    """Give every layer random parameters, a third of pi at 0, a third at 1, half of Xi at 0."""
    g = rng(7)
    for _, layer in named_layers(model):
        layer.m.data.normal_(generator=g)
        draw = torch.rand(layer.pi.shape, generator=g)
        layer.pi.data.copy_((3 * draw - 1).clamp(0, 1))
        layer.xi.data.copy_(torch.rand(layer.pi.shape, generator=g).sub(0.5).clamp(min=0))
    return model


@pytest.fixture
def linear() -> nn.Module:
    """The layers of a small network of the command line."""
    first, last = (SpikeSlabLinear(n, k, False, prefactor="sqrt") for n, k in ((12, 9), (9, 5)))
    return fill(nn.Sequential(first, nn.ReLU(), last))


@pytest.fixture
def mixed() -> nn.Module:
    """Convolution and read-out."""
    convolution = SpikeSlabConv2d(2, 4, (3, 2), groups=2, generator=rng())
    return fill(
        nn.Sequential(
            convolution, nn.ReLU(), nn.Flatten(), SpikeSlabLinear(24, 5, generator=rng())
        )
    )


def network_of(model: nn.Module) -> FeedForward:
    """A network of the command line with the parameters of a model."""
    network = FeedForward(WIDTHS)
    for layer, (_, source) in zip(network.layers, named_layers(model), strict=True):
        for kind in ("m", "pi", "xi"):
            getattr(layer, kind).data.copy_(getattr(source, kind))
    return network


@pytest.mark.parametrize("estimator", ["paper", "mixed"])
@pytest.mark.parametrize("tolerance", [0.0, 0.2])
def test_credit_is_the_table_of_a_network(
    linear: nn.Module, estimator: str, tolerance: float
) -> None:
    network = network_of(linear)
    want = layers(network, [3], entropies(network, [3], estimator), tolerance)
    got = credit(linear, tolerance=tolerance, estimator=estimator, seed=3)
    assert got["layer_name"].tolist() == ["0", "2"]
    want = want.drop(columns=["replica", "seed"]).assign(layer_name=["0", "2"])
    pd.testing.assert_frame_equal(got, want)
    assert got["vip_fraction"].between(0.05, 0.7).all()


def test_every_connection_has_a_row(mixed: nn.Module) -> None:
    table, both = connections(mixed), [layer for _, layer in named_layers(mixed)]
    assert table["layer_name"].tolist() == ["0"] * 24 + ["3"] * 120
    for row in table.rename(columns={"in": "source"}).itertuples():
        parameters = (getattr(both[row.layer - 1], kind).detach() for kind in ("m", "pi", "xi"))
        m, pi, xi = (
            p.reshape(*p.shape[:2], -1)[row.out, row.source, row.position].item()
            for p in parameters
        )
        assert (row.m, row.pi, row.xi) == pytest.approx((m, pi, xi), rel=1e-6)
        assert row.vip == (pi == 0 and xi == 0) and row.uip == (pi == 1)
        mu, variance = (1 - pi) * m, (1 - pi) * (xi + pi * m**2)
        want = abs(mu) / math.sqrt(variance) if variance else math.inf if mu else 0
        assert row.snr == pytest.approx(want, rel=1e-5)
    largest = table.groupby("layer")[["out", "in", "position"]].max()
    assert largest.values.tolist() == [[3, 0, 5], [4, 23, 0]]


def test_shared_layers_are_one_row(linear: nn.Module) -> None:
    model = nn.ModuleList([linear, nn.ModuleList([linear[0]])])
    twin = SpikeSlabLinear(12, 9)
    twin.m, twin.pi, twin.xi = linear[0].m, linear[0].pi, linear[0].xi
    model.append(twin)
    assert credit(model)["layer_name"].tolist() == ["0.0", "0.2"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype: torch.dtype) -> None:
    model = nn.Sequential(SpikeSlabLinear(300, 301, generator=rng()))
    layer = model[0]
    layer.xi.data[:300] = 0
    layer.pi.data[300] = 1e-3
    model.to(dtype)
    assert perturb_(model, "vip_off", 0.5, generator=rng()) == {"0": 45000}
    assert connections(model)["vip"].sum() == 45000
    layer.pi.data.fill_(1e-3)
    absent = (layer.sample(generator=rng()) == 0).double().mean().item()
    assert absent == pytest.approx(1e-3, rel=0.3)


def test_other_fraction_is_an_error(mixed: nn.Module) -> None:
    for fraction in (-0.1, 50):
        with pytest.raises(UserError, match=r"fraction is in \[0, 1\], not"):
            perturb_(mixed, "vip_off", fraction, generator=rng())


@pytest.mark.parametrize("kind", ["vip_off", "random_off", "other_off"])
@pytest.mark.parametrize("fraction", [1.0, 0.5])
def test_switching_off(mixed: nn.Module, kind: str, fraction: float) -> None:
    before = copy.deepcopy(mixed)
    changed = perturb_(mixed, kind, fraction, generator=rng())
    for (name, layer), (_, source) in zip(named_layers(mixed), named_layers(before), strict=True):
        off = layer.pi != source.pi
        of = {
            "vip_off": source.vip(),
            "random_off": torch.ones_like(off),
            "other_off": ~(source.vip() | source.uip()),
        }
        assert (layer.pi[off] == 1).all() and not (off & ~of[kind]).any()
        count = round(fraction * int(source.vip().sum()))
        assert changed[name] == min(count, int(of[kind].sum())) > 0
        hidden = int(off.sum()) if kind != "random_off" else changed[name]  # a UIP is off already
        assert hidden == changed[name]
        assert torch.equal(layer.m, source.m) and torch.equal(layer.xi, source.xi)
    if kind == "vip_off" and fraction == 1:
        assert not credit(mixed)["vip_fraction"].any()


@pytest.mark.parametrize("prefactor", [None, "sqrt"])
def test_switching_on(prefactor: str | None) -> None:
    model = nn.Sequential(SpikeSlabLinear(100, 80, prefactor=prefactor), nn.Linear(80, 2))
    layer, g = model[0], rng()
    layer.pi.data.copy_(torch.rand(80, 100, generator=g) < 0.5)
    uip = layer.uip()
    assert perturb_(model, "uip_on", generator=g) == {"0": int(uip.sum())}
    assert not layer.pi.any() and (layer.xi[uip] == 0).all() and layer.xi[~uip].all()
    w = layer.weight[uip] * 10  # sqrt(N)
    assert abs(w.mean().item()) < 0.06 and w.std().item() == pytest.approx(1, rel=0.04)


def test_one_layer_is_perturbed(mixed: nn.Module) -> None:
    before = mixed[0].pi.clone()
    assert list(perturb_(mixed, "vip_off", generator=rng(), only="3")) == ["3"]
    assert torch.equal(mixed[0].pi, before)
    with pytest.raises(UserError, match="there is no layer '4': choose 0, 3"):
        perturb_(mixed, "vip_off", generator=rng(), only="4")
    with pytest.raises(UserError, match="kind is one of vip_off, .*, not 'all'"):
        perturb_(mixed, "all", generator=rng())


@pytest.mark.parametrize("criterion", ["pi", "snr", "magnitude"])
def test_pruning_is_that_of_a_network(linear: nn.Module, criterion: str) -> None:
    network = network_of(linear)
    masks = fractions(network, criterion, [0.3])
    pruned = prune(linear, 0.3, criterion)
    assert [type(m) for m in pruned] == [nn.Linear, nn.ReLU, nn.Linear]
    for layer, mask, mean, scale in zip(
        (pruned[0], pruned[2]), masks, network.mean(), network.scales, strict=True
    ):
        torch.testing.assert_close(layer.weight, (mean * scale * mask[:, 0])[0])


def test_pruned_model_is_fine_tuned_and_saved(mixed: nn.Module) -> None:
    before = {name: value.clone() for name, value in mixed.state_dict().items()}
    pruned, x = prune(mixed, 0.4), torch.randn(3, 2, 5, 3, generator=rng())
    optimiser = torch.optim.Adam(pruned.parameters(), 0.1)
    zero = [layer.weight == 0 for layer in (pruned[0], pruned[3])]
    assert sum(int((~z).sum()) for z in zero) == round(0.4 * 144)
    for _ in range(3):
        optimiser.zero_grad()
        pruned(x).square().sum().backward()
        optimiser.step()
    pruned(x)
    for layer, removed in zip((pruned[0], pruned[3]), zero, strict=True):
        assert torch.equal(layer.weight == 0, removed)
        torch_prune.remove(layer, "weight")
    plain = nn.Sequential(nn.Conv2d(2, 4, (3, 2), groups=2), nn.ReLU(), nn.Flatten())
    plain.append(nn.Linear(24, 5))
    plain.load_state_dict(copy.deepcopy(pruned).state_dict())
    torch.testing.assert_close(plain(x), pruned(x))
    assert all(torch.equal(value, before[name]) for name, value in mixed.state_dict().items())


def test_keeping_all_is_the_mean_network(mixed: nn.Module) -> None:
    x = torch.randn(3, 2, 5, 3, generator=rng())
    with sampled(mixed, rng()):
        plain = prune(mixed, 1)
    assert torch.equal(plain(x), mixed.eval()(x))
    again = to_spike_slab(copy.deepcopy(plain))
    assert torch.equal(again.eval()(x), plain(x))
    for keep, criterion in ((1.1, "pi"), (0.5, "size")):
        with pytest.raises(UserError, match="keep is in \\[0, 1\\] and criterion one of pi, snr"):
            prune(mixed, keep, criterion)


def test_pruned_layers_still_share_their_weight(linear: nn.Module) -> None:
    twin = SpikeSlabLinear(9, 5, prefactor="sqrt")
    twin.m, twin.pi, twin.xi = linear[2].m, linear[2].pi, linear[2].xi
    plain = prune(nn.ModuleList([linear, twin]), 1)
    assert plain[0][2].weight is plain[1].weight
    weight: Tensor = plain[1].weight
    assert weight.is_leaf and weight.requires_grad
