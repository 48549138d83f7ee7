"""The feed-forward network and its gradients by gBP and BP."""

import math

import pytest
import reference
import torch
import torch.nn.functional as F
from reference import error, fill, leaves, normal, rng
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from sascli.core import FeedForward, products
from sascli.core.backprop import cross_entropy, relu_backward
from sascli.core.network import KINDS
from sascli.core.streams import streams

WIDTHS = {2: [9, 4], 3: [9, 7, 4], 4: [9, 7, 6, 4], 5: [9, 7, 6, 5, 4]}
BATCH = 11


def make(
    depth: int, replicas: int = 1, dtype: torch.dtype = torch.float64, ends: bool = True
) -> FeedForward:
    return fill(FeedForward(WIDTHS[depth], replicas, dtype=dtype), ends=ends)


def make_batch(
    network: FeedForward, batch: int = BATCH
) -> tuple[Tensor, Tensor, list[Tensor], Tensor]:
    """Inputs with one sample all zero, labels, noise per layer, the flat noise."""
    replicas, n = network.replicas, network.widths[0]
    x = normal(replicas, batch, n, seed=50)
    x[:, 1] = 0
    y = torch.randint(network.widths[-1], (replicas, batch), generator=rng(51))
    flat = normal(replicas, batch * network.noise_size, seed=52)
    return x, y, network.split_noise(flat, batch), flat


def gradients_of(network: FeedForward, flat: Tensor, kind: str) -> list[tuple[Tensor, Tensor]]:
    """Pairs of a view of flat gradients and autograd's, layer by layer."""
    wanted = [getattr(layer, kind).grad for layer in network.layers]
    return list(zip(network.split(flat), wanted, strict=True))


@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize("depth", [2, 3, 4, 5])
def test_gbp_equals_autograd(depth: int, replicas: int) -> None:
    network = make(depth, replicas)
    x, y, eps, _ = make_batch(network)
    gbp = network.gbp()
    losses = gbp(x, y, eps)

    want = reference.loss(network(x, eps), y)
    want.sum().backward()
    assert error(losses, want.detach()) < 1e-10
    for kind in KINDS:
        for got, through_forward in gradients_of(network, gbp.grads[kind], kind):
            assert error(got, through_forward) < 1e-10, kind

    plain = leaves(network)
    reference.loss(reference.logits(plain, x, eps), y).sum().backward()
    for number, kind in enumerate(KINDS):
        for got, layer in zip(network.split(gbp.grads[kind]), plain, strict=True):
            wanted = layer[number].grad
            assert wanted is not None
            assert error(got, wanted) < 1e-10, kind


@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize("depth", [2, 4])
def test_float32_gradients_follow_float64(depth: int, replicas: int) -> None:
    network, single = make(depth, replicas), make(depth, replicas, torch.float32)
    x, y, eps, _ = make_batch(network)
    gbp, gbp_single = network.gbp(), single.gbp()
    losses = gbp(x, y, eps)
    losses_single = gbp_single(x.float(), y, [noise.float() for noise in eps])
    assert losses_single.dtype == torch.float32
    assert error(losses_single, losses) < 1e-5
    for kind in KINDS:
        pairs = zip(
            single.split(gbp_single.grads[kind]), network.split(gbp.grads[kind]), strict=True
        )
        assert all(error(got, want) < 1e-4 for got, want in pairs), kind


@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize("depth", [2, 3, 4, 5])
def test_bp_is_the_limit_without_spike_and_variance(depth: int, replicas: int) -> None:
    network = make(depth, replicas)
    network.flat["pi"].zero_()
    network.flat["xi"].zero_()
    x, y, eps, _ = make_batch(network)
    gbp, bp = network.gbp(), network.bp()
    assert torch.equal(gbp(x, y, eps), bp(x, y))
    assert torch.equal(gbp.grads["m"], bp.grads["m"])
    assert (gbp.grads["xi"] == 0).all()
    assert error(gbp.grads["pi"], -network.flat["m"] * bp.grads["m"]) < 1e-12

    weights = [layer[0] for layer in leaves(network)]
    a = x
    for number, weight in enumerate(weights):
        a = (a.relu() if number else a) @ weight.mT / math.sqrt(weight.shape[-1])
    losses = F.cross_entropy(a.flatten(0, 1), y.flatten(), reduction="none")
    losses.view(replicas, BATCH).mean(-1).sum().backward()
    for got, weight in zip(network.split(bp.grads["m"]), weights, strict=True):
        assert weight.grad is not None
        assert error(got, weight.grad) < 1e-12


def test_gbp_costs_twice_the_matrix_arithmetic_of_bp() -> None:
    network = make(4, 2)
    x, y, eps, _ = make_batch(network)
    gbp, bp = network.gbp(), network.bp()
    with FlopCounterMode(display=False) as general:
        gbp(x, y, eps)
    with FlopCounterMode(display=False) as ordinary:
        bp(x, y)
    first, *rest = (2 * BATCH * layer.m.numel() for layer in network.layers)
    assert ordinary.get_total_flops() == 2 * first + 3 * sum(rest)
    assert general.get_total_flops() == 2 * ordinary.get_total_flops()


@pytest.mark.parametrize("kind", KINDS)
def test_divergence_gives_non_finite_loss(kind: str) -> None:
    network = make(4, 2)
    x, y, eps, _ = make_batch(network)
    getattr(network.layers[1], kind).data[1, 0] = math.nan
    losses = network.gbp()(x, y, eps)
    assert losses[0].isfinite()
    assert losses[1].isnan()


@pytest.mark.parametrize("rule", [FeedForward.gbp, FeedForward.bp])
def test_gradients_change_nothing_else(rule: type) -> None:
    network = make(4, 2)
    x, y, eps, flat = make_batch(network)
    before = [t.clone() for t in (x, y, flat, *network.flat.values())]
    rule(network)(*((x, y, eps) if rule is FeedForward.gbp else (x, y)))
    after = (x, y, flat, *network.flat.values())
    assert all(torch.equal(a, b) for a, b in zip(after, before, strict=True))
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize("shared", [False, True])
def test_logits_without_autograd_equal_forward(shared: bool) -> None:
    network = make(4, 3)
    x, _, eps, _ = make_batch(network)
    x = x[0] if shared else x
    logits, want = network.gbp().logits(x, eps), network(x, eps)
    assert want.requires_grad
    assert not logits.requires_grad
    assert error(logits, want.detach()) < 1e-14


def test_buffers_carry_no_state() -> None:
    network = make(4, 2)
    used = network.gbp()
    other = make_batch(network, batch=5)
    used(other[0], other[1], other[2])
    x, y, eps, _ = make_batch(network)
    fresh = network.gbp()
    assert torch.equal(used(x, y, eps), fresh(x, y, eps))
    assert all(torch.equal(used.grads[kind], fresh.grads[kind]) for kind in KINDS)


def test_gradients_follow_the_parameters() -> None:
    network = make(3)
    x, y, eps, _ = make_batch(network)
    gbp = network.gbp()
    gbp(x, y, eps)
    network.flat["m"].mul_(0.5)
    gbp(x, y, eps)
    fresh = network.gbp()
    fresh(x, y, eps)
    assert all(torch.equal(gbp.grads[kind], fresh.grads[kind]) for kind in KINDS)


@pytest.mark.parametrize("rule", [FeedForward.gbp, FeedForward.bp])
def test_a_replica_does_not_depend_on_its_companions(rule: type) -> None:
    network = make(4, 3)
    x, y, eps, flat = make_batch(network)
    population = rule(network)
    together = population(*((x, y, eps) if rule is FeedForward.gbp else (x, y)))
    for r in range(3):
        alone = network.select(slice(r, r + 1))
        noise = alone.split_noise(flat[r : r + 1], BATCH)
        xs, ys = x[r : r + 1], y[r : r + 1]
        single = rule(alone)
        loss = single(*((xs, ys, noise) if rule is FeedForward.gbp else (xs, ys)))
        assert error(loss, together[r : r + 1]) < 1e-12
        assert error(alone(xs, noise).detach(), network(x, eps)[r : r + 1].detach()) < 1e-12
        for kind, grad in population.grads.items():
            pairs = zip(alone.split(single.grads[kind]), network.split(grad), strict=True)
            assert all(error(got, want[r : r + 1]) < 1e-12 for got, want in pairs), kind


def test_sampled_replica_does_not_depend_on_its_companions() -> None:
    network = make(3, 3)
    alone = network.select(slice(2, 3))
    together = network.sample(generator=streams([4, 5, 6], "sample"))
    single = alone.sample(generator=streams([6], "sample"))
    assert all(torch.equal(s, t[2:]) for s, t in zip(single, together, strict=True))


def test_every_parameter_gets_a_gradient() -> None:
    network = make(4, 2, ends=False)
    x, y, eps, _ = make_batch(network)
    reference.loss(network(x, eps), y).sum().backward()
    parameters = dict(network.named_parameters())
    assert len(parameters) == 3 * 3
    for name, parameter in parameters.items():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert (parameter.grad.flatten(1).norm(dim=1) > 0).all(), name


def test_forward_is_the_plain_network() -> None:
    network = make(4, 2)
    x, _, eps, _ = make_batch(network)
    want = reference.logits(leaves(network), x, eps).detach()
    assert error(network(x, eps).detach(), want) < 1e-12


@pytest.mark.parametrize("depth", [2, 4])
def test_forward_without_noise_runs_the_mean_network(depth: int) -> None:
    network = make(depth, 2)
    x, _, eps, _ = make_batch(network)
    mean = network(x).detach()
    weights = [layer.mean().detach() for layer in network.layers]
    assert error(mean, network.run(weights, x).detach()) < 1e-12
    zero = [torch.zeros_like(noise) for noise in eps]
    assert error(mean, network(x, zero).detach()) < 1e-12
    assert not torch.equal(mean, network(x, eps).detach())


def test_mean_network_is_differentiable() -> None:
    network = make(4, 2)
    x, y, eps, _ = make_batch(network)
    reference.loss(network(x), y).sum().backward()
    plain = leaves(network)
    zero = [torch.zeros_like(noise) for noise in eps]
    reference.loss(reference.logits(plain, x, zero), y).sum().backward()
    for layer, (m, pi, _) in zip(network.layers, plain, strict=True):
        assert m.grad is not None
        assert pi.grad is not None
        assert error(layer.m.grad, m.grad) < 1e-12
        assert error(layer.pi.grad, pi.grad) < 1e-12


@pytest.mark.parametrize("large", [1, 10**9])
def test_gradients_of_the_mean_network_reach_every_layer(
    large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "LARGE", large)
    network = FeedForward([9, 5, 4, 3])
    fill(network)
    network(torch.rand(6, 9)).sum().backward()
    assert all(layer.m.grad is not None and layer.m.grad.any() for layer in network.layers)


def test_run_does_not_change_weights_or_inputs() -> None:
    network = make(4, 2)
    x = normal(2, BATCH, 9, seed=60)
    weights = network.sample(generator=rng(1))
    before = [t.clone() for t in (x, *weights)]
    network.run(weights, x)
    assert all(torch.equal(t, b) for t, b in zip((x, *weights), before, strict=True))


def test_inputs_without_replicas_are_shared() -> None:
    network = make(3, 3)
    x, _, eps, _ = make_batch(network)
    shared, copies = x[0], x[0].expand(3, -1, -1)
    weights = network.sample(generator=rng(1))
    assert torch.equal(network(shared, eps), network(copies, eps))
    assert torch.equal(network(shared), network(copies))
    assert torch.equal(network.run(weights, shared), network.run(weights, copies))


def test_run_takes_any_number_of_networks() -> None:
    network = make(3)
    x = make_batch(network)[0][0]
    five = [normal(5, n, k, seed=n) for n, k in ((7, 9), (4, 7))]
    together = network.run(five, x)
    assert together.shape == (5, BATCH, 4)
    for n in range(5):
        hidden = (x @ five[0][n].mT / 3).relu()
        assert error(together[n], hidden @ five[1][n].mT / math.sqrt(7)) < 1e-12


def test_sample_covers_all_layers_and_is_reproducible() -> None:
    network = make(4, 2)
    one = network.sample(generator=streams([0, 1], "sample"))
    two = network.sample(generator=streams([0, 1], "sample"))
    assert [w.shape for w in one] == [layer.m.shape for layer in network.layers]
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    for w, layer in zip(one, network.layers, strict=True):
        assert (w[layer.pi == 1] == 0).all()
        fixed = layer.vip()
        assert torch.equal(w[fixed], layer.m.detach()[fixed])


def test_moments_of_sampled_pre_activations() -> None:
    networks, n_in, n_out, batch = 20_000, 12, 3, 4
    network = FeedForward([n_in, n_out], networks, dtype=torch.float64)
    values = reference.ended_parameters(1, n_out, n_in, seed=3)
    for kind, value in zip(KINDS, values, strict=True):
        network.flat[kind].copy_(value.expand(networks, -1, -1).flatten())
    x = normal(batch, n_in, seed=8)
    z = network.run(network.sample(generator=rng(2)), x)

    one = FeedForward([n_in, n_out], dtype=torch.float64)
    for kind, value in zip(KINDS, values, strict=True):
        one.flat[kind].copy_(value.flatten())
    noise = torch.ones(1, batch, n_out, dtype=torch.float64)
    g = one(x)[0].detach()
    delta = (one(x, [noise])[0] - g).detach()
    assert (delta > 0).all()
    centred = z - g
    mean_error = delta / math.sqrt(networks)
    variance_error = (centred.square().var(0) / networks).sqrt()
    assert ((z.mean(0) - g).abs() < 4.5 * mean_error).all()
    assert ((centred.square().mean(0) - delta**2).abs() < 4.5 * variance_error).all()


def test_parameters_are_views_of_flat_tensors() -> None:
    network = make(4, 2)
    for kind in KINDS:
        views = network.split(network.flat[kind])
        assert sum(view.numel() for view in views) == network.flat[kind].numel()
        network.flat[kind].copy_(torch.arange(network.flat[kind].numel()))
        for view, layer in zip(views, network.layers, strict=True):
            assert view.shape == (2, layer.m.shape[1], layer.m.shape[2])
            assert torch.equal(view, getattr(layer, kind))
        seen = torch.cat([view.flatten() for view in views])
        assert torch.equal(seen.sort().values, network.flat[kind])


@pytest.mark.parametrize("spare", [0, 13])
def test_noise_views_are_disjoint_and_cover(spare: int) -> None:
    network = make(4, 2)
    assert network.noise_size == 7 + 6 + 4
    need = BATCH * network.noise_size
    flat = torch.arange(2 * (need + spare)).view(2, -1)
    views = network.split_noise(flat, BATCH)
    assert [view.shape for view in views] == [(2, BATCH, n) for n in (7, 6, 4)]
    for r in range(2):
        seen = torch.cat([view[r].flatten() for view in views])
        assert torch.equal(seen.sort().values, flat[r, :need])
    for view in views:
        view.fill_(-1)
    assert (flat[:, :need] == -1).all()
    assert (flat[:, need:] >= 0).all()


def test_cross_entropy_and_its_derivative() -> None:
    logits = normal(3, BATCH, 4, seed=1).requires_grad_()
    y = torch.randint(4, (3, BATCH), generator=rng(2))
    want = reference.loss(logits, y)
    want.sum().backward()
    loss, k = cross_entropy(logits.detach().clone(), y)
    assert logits.grad is not None
    assert error(loss, want.detach()) < 1e-14
    assert error(k, logits.grad) < 1e-14


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cross_entropy_of_huge_logits_is_finite(dtype: torch.dtype) -> None:
    logits = torch.tensor([[[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]]], dtype=dtype)
    loss, k = cross_entropy(logits, torch.tensor([[0, 0]]))
    assert loss.item() == pytest.approx((2e4 + math.log(2)) / 2)
    want = torch.tensor([[[0.0, 0.0, 0.0], [-0.5, 0.25, 0.25]]], dtype=dtype)
    assert torch.allclose(k, want)


def test_relu_backward_passes_only_where_active() -> None:
    a = torch.tensor([0.0, 1e-30, 2.0, 0.0])
    k = torch.tensor([1.0, -2.0, 3.0, torch.inf])
    assert relu_backward(k, a).tolist() == [0.0, -2.0, 3.0, 0.0]


# ---------------------------------------------------------------- replicas


@pytest.mark.parametrize("decorrelated", [False, True])
def test_selected_replicas_run_as_in_their_population(decorrelated: bool) -> None:
    network = make(4, 4)
    if decorrelated:
        network.decorrelate([normal(4, n, n, seed=n) for n in network.widths[:-1]], 0.1)
    x, *_ = make_batch(network)
    outputs = network.run(network.mean(), x)
    for chosen in (slice(0, 1), slice(1, 4), slice(0, 4, 2)):
        part = network.select(chosen)
        assert error(part.run(part.mean(), x[chosen]), outputs[chosen]) < 1e-12
        part.all.zero_()
    assert torch.equal(network.run(network.mean(), x), outputs)  # copies, not views


def test_concat_undoes_select() -> None:
    network = make(3, 4)
    network.decorrelate([normal(4, n, n, seed=n) for n in network.widths[:-1]], 0.1)
    parts = [network.select(slice(0, 3)), network.select(slice(3, 4))]
    joined = FeedForward.concat(parts, "cpu")
    assert torch.equal(joined.all, network.all)
    assert all(map(torch.equal, joined.r, network.r)) and joined.slope == 0.1


def test_counterpart_is_the_part_at_the_same_place() -> None:
    network = make(3, 4)
    other = torch.zeros_like(network.all)
    network.counterpart(network.split(network.flat["pi"])[1][1:3], other).fill_(1.0)
    assert (network.split(other[1])[1][1:3] == 1).all()
    assert other.sum() == network.layers[1].pi[1:3].numel()
