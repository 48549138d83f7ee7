"""The recurrent network and its gradients through time."""

import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import reference
import torch
from reference import Parameters, error, fill, leaves, normal, rng, safe_sqrt
from torch import Tensor

from sascli.core.network import KINDS
from sascli.core.recurrent import Dynamics, Recurrent
from sascli.core.recurrent_backprop import clip_spectral_, squared_error
from sascli.core.rmsprop import RMSpropInside
from sascli.core.streams import streams

WIDTHS = [3, 6, 4]
BATCH = 5
LAST = Dynamics(7, 0.3, start=0.1)
EVERY = Dynamics(6, 0.2, sigma=0.15, every_step=True)
DYNAMICS = {
    "last": LAST,
    "every": EVERY,
    "no_leak": replace(LAST, alpha=1.0),
    "one_step": Dynamics(1, 0.4, start=0.2),
    "from_zero": replace(LAST, start=0.0),
    "noisy": replace(LAST, sigma=0.3),
}


def make(dynamics: Dynamics, replicas: int = 1, dtype: torch.dtype = torch.float64) -> Recurrent:
    network = Recurrent(WIDTHS, dynamics, replicas, dtype=dtype)
    fill(network)
    network.flat["m"] *= 0.5
    return network


def make_batch(network: Recurrent) -> tuple[Tensor, Tensor, list[Tensor], Tensor]:
    """Inputs with zeros, what is to be learned, the noise and the flat noise."""
    replicas, time, n_out = network.replicas, network.dynamics, WIDTHS[-1]
    x = normal(replicas, BATCH, time.steps * WIDTHS[0], seed=50).relu()
    if time.every_step:
        y = normal(replicas, BATCH, time.steps, n_out, seed=51)
        y[:, 1, 3:] = torch.nan
        y[:, 2, :4] = torch.nan
    else:
        y = torch.randint(n_out, (replicas, BATCH), generator=rng(51))
    flat = normal(replicas, BATCH * network.noise_size, seed=52)
    return x, y, network.split_noise(flat, BATCH), flat


def plain(
    parameters: Sequence[Parameters], time: Dynamics, x: Tensor, eps: Sequence[Tensor]
) -> Tensor:
    """The recursion as printed; outputs of all steps, (replicas, batch, steps, n_out)."""
    (mu_in, v_in), (mu_rec, v_rec), (mu_out, v_out) = (
        ((1 - pi) * m, (1 - pi) * (xi + pi * m**2)) for m, pi, xi in parameters
    )
    h = torch.zeros(*x.shape[:2], WIDTHS[1], dtype=x.dtype) + time.start
    outputs = []
    for t in range(time.steps):
        r, now = h.relu(), x[..., t * WIDTHS[0] : (t + 1) * WIDTHS[0]]
        g = r @ mu_rec.mT + now @ mu_in.mT
        u = g + eps[0][:, t] * safe_sqrt(r**2 @ v_rec.mT + now**2 @ v_in.mT)
        h = (1 - time.alpha) * h + time.alpha * u
        if time.sigma:
            h = h + math.sqrt(2 * time.alpha) * time.sigma * eps[2][:, t]
        noise = eps[1][:, t if time.every_step else 0]
        outputs.append(h.relu() @ mu_out.mT + noise * safe_sqrt(h.relu() ** 2 @ v_out.mT))
    return torch.stack(outputs, 2)


def plain_loss(outputs: Tensor, y: Tensor) -> Tensor:
    if y.dtype == torch.int64:
        return reference.loss(outputs[:, :, -1], y)
    return torch.stack(
        [(o[~t.isnan()] - t[~t.isnan()]).square().mean() for o, t in zip(outputs, y, strict=True)]
    )


@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize("case", DYNAMICS)
def test_gbp_equals_autograd_of_the_plain_recursion(case: str, replicas: int) -> None:
    network = make(DYNAMICS[case], replicas)
    x, y, eps, _ = make_batch(network)
    gbp = network.gbp()
    losses = gbp(x, y, eps)

    parameters = leaves(network)
    outputs = plain(parameters, network.dynamics, x, eps)
    want = plain_loss(outputs, y)
    want.sum().backward()
    assert error(losses, want.detach()) < 1e-9
    outputs = outputs.detach() if network.dynamics.every_step else outputs.detach()[:, :, -1]
    assert error(gbp.logits(x, eps), outputs) < 1e-9
    assert error(network(x, eps).detach(), outputs) < 1e-9
    for number, kind in enumerate(KINDS):
        for got, layer in zip(network.split(gbp.grads[kind]), parameters, strict=True):
            assert layer[number].grad is not None
            assert error(got, layer[number].grad) < 1e-9, kind


@pytest.mark.parametrize("case", DYNAMICS)
def test_forward_is_differentiable(case: str) -> None:
    network = make(DYNAMICS[case], 2)
    x, y, eps, _ = make_batch(network)
    gbp = network.gbp()
    gbp(x, y, eps)
    outputs = network(x, eps)
    plain_loss(
        outputs if network.dynamics.every_step else outputs.unsqueeze(2), y
    ).sum().backward()
    for kind in KINDS:
        for got, layer in zip(network.split(gbp.grads[kind]), network.layers, strict=True):
            assert error(got, getattr(layer, kind).grad) < 1e-9, kind


@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize("case", DYNAMICS)
def test_bp_is_the_limit_without_spike_and_variance(case: str, replicas: int) -> None:
    network = make(DYNAMICS[case], replicas)
    network.flat["pi"].zero_()
    network.flat["xi"].zero_()
    x, y, eps, _ = make_batch(network)
    gbp, bp = network.gbp(), network.bp()
    assert error(gbp(x, y, eps), bp(x, y, eps)) < 1e-12
    assert error(gbp.grads["m"], bp.grads["m"]) < 1e-12
    assert error(gbp.grads["pi"], -network.flat["m"] * bp.grads["m"]) < 1e-12
    assert (gbp.grads["xi"] == 0).all()
    assert bp.grads["m"].norm() > 0
    weights = [layer.m.detach() for layer in network.layers]
    assert error(bp.logits(x, eps), network.run(weights, x, eps)) < 1e-12


@pytest.mark.parametrize("case", DYNAMICS)
def test_float32_gradients_follow_float64(case: str) -> None:
    network, single = make(DYNAMICS[case], 2), make(DYNAMICS[case], 2, torch.float32)
    x, y, eps, _ = make_batch(network)
    gbp, gbp_single = network.gbp(), single.gbp()
    y_single = y.float() if y.is_floating_point() else y
    losses = gbp_single(x.float(), y_single, [noise.float() for noise in eps])
    assert losses.dtype == torch.float32
    assert error(losses, gbp(x, y, eps)) < 1e-5
    for kind in KINDS:
        pairs = zip(
            single.split(gbp_single.grads[kind]), network.split(gbp.grads[kind]), strict=True
        )
        assert all(error(got, want) < 1e-4 for got, want in pairs), kind


def test_one_step_without_leak_is_the_feed_forward_map() -> None:
    network = make(Dynamics(1, 1.0), 2)
    x, y, eps, _ = make_batch(network)
    inputs, _, out = leaves(network)
    hidden = reference.pre_activation(x, *inputs, eps[0][:, 0], scale=1.0).relu()
    logits = reference.pre_activation(hidden, *out, eps[1][:, 0], scale=1.0)
    assert error(network.gbp().logits(x, eps), logits.detach()) < 1e-12
    reference.loss(logits, y).sum().backward()
    gbp = network.gbp()
    gbp(x, y, eps)
    for number, kind in enumerate(KINDS):
        got_in, got_rec, got_out = network.split(gbp.grads[kind])
        assert error(got_in, inputs[number].grad) < 1e-12
        assert error(got_out, out[number].grad) < 1e-12
        assert (got_rec == 0).all()


def test_delta_is_zero_at_the_first_step_from_zero_without_input_variance() -> None:
    network = make(replace(LAST, start=0.0))
    for kind in ("pi", "xi"):
        network.freeze(0, kind, 0.0)
    x, y, eps, _ = make_batch(network)
    gbp = network.gbp()
    loss = gbp(x, y, eps)
    grads = gbp.maps.all.clone()
    eps[0][:, 0] *= -10
    assert torch.equal(gbp(x, y, eps), loss)
    assert torch.equal(gbp.maps.all, grads)
    assert grads.isfinite().all()
    eps[0][:, 1] *= -10
    assert not torch.equal(gbp(x, y, eps), loss)


def test_frozen_parameters_do_not_change() -> None:
    network = make(EVERY, 2)
    where = torch.zeros(WIDTHS[1], WIDTHS[0], dtype=torch.bool)
    where[:2, 1:] = True
    for kind in ("pi", "xi"):
        network.freeze(0, kind, 0.0)
    for kind, value in (("m", 0.0), ("pi", 1.0), ("xi", 0.0)):
        network.freeze(0, kind, value, where)
    x, y, eps, _ = make_batch(network)
    gbp, bp = network.gbp(), network.bp()
    optimiser = torch.optim.AdamW(network.flat.values(), lr=0.1, weight_decay=0.5)
    before = copy.deepcopy(network)
    for _ in range(3):
        gbp(x, y, eps)
        bp(x, y, eps)
        assert (network.split(bp.grads["m"])[0][:, where] == 0).all()
        assert (network.split(gbp.grads["m"])[0][:, where] == 0).all()
        assert (network.split(gbp.grads["m"])[0][:, ~where] != 0).any()
        for kind in ("pi", "xi"):
            assert (network.split(gbp.grads[kind])[0] == 0).all()
            assert (network.split(gbp.grads[kind])[1] != 0).any()
        for kind in KINDS:
            network.flat[kind].grad = gbp.grads[kind]
        optimiser.step()
        network.project_()
    inputs, rec, _ = network.layers
    assert torch.equal(inputs.pi, where.double().expand_as(inputs.pi))
    assert (inputs.xi == 0).all()
    assert (inputs.m[:, where] == 0).all()
    assert (inputs.m[:, ~where] != before.layers[0].m[:, ~where]).all()
    assert (rec.m != before.layers[1].m).all()
    assert network.flat["pi"].min() == 0
    assert network.flat["pi"].max() <= 1
    assert network.flat["xi"].min() == 0


def test_copy_is_independent_and_equally_frozen() -> None:
    network = make(EVERY)
    network.freeze(1, "pi", 0.25)
    other = copy.deepcopy(network)
    assert torch.equal(other.all, network.all)
    other.all.zero_()
    other.project_()
    assert (other.layers[1].pi == 0.25).all()
    assert (network.layers[1].m != 0).all()


def test_selected_and_concatenated_replicas_are_frozen_as_before() -> None:
    network = make(EVERY, 3)
    where = torch.tensor([False, True, True]).view(3, 1, 1)
    network.freeze(1, "pi", 0.25, where)
    parts = [network.select(slice(0, 2)), network.select(slice(2, 3))]
    joined = Recurrent.concat(parts, "cpu")
    assert isinstance(joined, Recurrent) and torch.equal(joined.all, network.all)
    for part, chosen in ((parts[0], slice(0, 2)), (parts[1], slice(2, 3)), (joined, slice(3))):
        part.all.fill_(0.5)
        part.project_()
        assert torch.equal((part.layers[1].pi == 0.25).all((1, 2)), where[chosen].flatten())


def test_layers_are_views_of_two_matrices_side_by_side() -> None:
    network = make(LAST, 2)
    shapes = {
        name: tuple(layer.m.shape)
        for name, layer in zip(network.layer_names, network.layers, strict=True)
    }
    assert shapes == {"in": (2, 6, 3), "rec": (2, 6, 6), "out": (2, 4, 6)}
    for kind in KINDS:
        step, out = network.matrices(network.flat[kind])
        inputs, rec, read = (getattr(layer, kind) for layer in network.layers)
        assert torch.equal(step, torch.cat((rec, inputs), -1))
        assert torch.equal(out, read)
        network.flat[kind].fill_(0.5)
        assert all((view == 0.5).all() for view in (inputs, rec, read))


@pytest.mark.parametrize("rule", ["gbp", "bp"])
def test_a_replica_does_not_depend_on_its_companions(rule: str) -> None:
    network = make(EVERY, 3)
    x, y, eps, flat = make_batch(network)
    population = getattr(network, rule)()
    together = population(x, y, eps)
    for r in range(3):
        alone = network.select(slice(r, r + 1))
        single = getattr(alone, rule)()
        noise = alone.split_noise(flat[r : r + 1], BATCH)
        loss = single(x[r : r + 1], y[r : r + 1], noise)
        assert error(loss, together[r : r + 1]) < 1e-12
        for kind, grad in population.grads.items():
            pairs = zip(alone.split(single.grads[kind]), network.split(grad), strict=True)
            assert all(error(got, want[r : r + 1]) < 1e-12 for got, want in pairs), kind


def test_gradients_change_nothing_else() -> None:
    network = make(EVERY, 2)
    x, y, eps, flat = make_batch(network)
    before = [t.clone() for t in (x, y, flat, network.all)]
    gbp = network.gbp()
    first = gbp(x, y, eps)
    after = (x, y, flat, network.all)
    same = (
        torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(after, before, strict=True)
    )
    assert all(same)
    grads = gbp.maps.all.clone()
    gbp.logits(x[:, :2], network.split_noise(flat, 2))
    assert torch.equal(gbp(x, y, eps), first)
    assert torch.equal(gbp.maps.all, grads)


def test_the_mean_network_is_the_mean_field_without_noise() -> None:
    network = make(EVERY, 2)
    x, _, eps, _ = make_batch(network)
    zero = [torch.zeros_like(noise) for noise in eps]
    assert error(network(x).detach(), network.gbp().logits(x, zero)) < 1e-12
    shared = network(x[0]).detach()
    assert torch.equal(shared[0], network(x).detach()[0])
    assert not torch.equal(shared[1], network(x).detach()[1])


@pytest.mark.parametrize("case", ["last", "every"])
def test_effective_networks_draw_weights_once_or_at_every_step(case: str) -> None:
    network = make(DYNAMICS[case], 2)
    x, _, eps, _ = make_batch(network)
    once = network.sample(generator=streams([3, 4], "ensemble"))
    drawn: list[list[Tensor]] = []

    def again() -> list[Tensor]:
        drawn.append(network.sample(generator=streams([3, 4], "ensemble", len(drawn))))
        return drawn[-1]

    assert torch.equal(network.run(lambda: once, x, eps), network.run(once, x, eps))
    got = network.run(again, x, eps)
    assert len(drawn) == network.dynamics.steps
    h = torch.zeros(2, BATCH, WIDTHS[1], dtype=x.dtype) + network.dynamics.start
    alpha, sigma = network.dynamics.alpha, network.dynamics.sigma
    outputs = []
    for t, (w_in, w_rec, w_out) in enumerate(drawn):
        u = h.relu() @ w_rec.mT + x.unflatten(-1, (-1, 3))[:, :, t] @ w_in.mT
        h = (1 - alpha) * h + alpha * u
        h = h + (math.sqrt(2 * alpha) * sigma * eps[2][:, t] if sigma else 0.0)
        outputs.append(h.relu() @ w_out.mT)
    want = torch.stack(outputs, 2) if network.dynamics.every_step else outputs[-1]
    assert error(got, want) < 1e-12
    assert not torch.equal(got, network.run(once, x, eps))


def test_rates_are_the_outputs_of_a_unit_read_out() -> None:
    network = make(LAST, 2)
    x, _, _, _ = make_batch(network)
    w_in, w_rec, w_out = (layer.mean().detach() for layer in network.layers)
    logits = network.run([w_in, w_rec, w_out], x)
    network.dynamics = replace(LAST, every_step=True)
    unit = torch.eye(WIDTHS[1], dtype=x.dtype).expand(2, -1, -1)
    rates = network.run([w_in, w_rec, unit], x)
    assert rates.shape == (2, BATCH, LAST.steps, WIDTHS[1])
    assert (rates >= 0).all()
    assert error(rates[:, :, -1] @ w_out.mT, logits) < 1e-12


def test_the_variance_of_one_step_is_that_of_the_weights() -> None:
    """Monte Carlo over effective networks against the mean field, one step."""
    network = make(Dynamics(1, 0.5, start=0.7))
    network.dynamics = replace(network.dynamics, every_step=True)
    x = normal(1, 1, WIDTHS[0], seed=9)
    w_in, w_rec, _ = network.layers
    h0, a = 0.7 * torch.ones(6, dtype=x.dtype), x[0, 0]
    mean = 0.5 * h0 + 0.5 * (w_rec.mean()[0] @ h0 + w_in.mean()[0] @ a)
    variance = 0.25 * (w_rec.variance()[0] @ h0**2 + w_in.variance()[0] @ a**2)
    count, generator = 20_000, rng(3)
    big = Recurrent(WIDTHS, network.dynamics, count, dtype=x.dtype)
    for mine, theirs in zip(big.layers, network.layers, strict=True):
        for kind in KINDS:
            getattr(mine, kind).data.copy_(getattr(theirs, kind).data.expand(count, -1, -1))
    drawn = big.sample(generator=generator)
    both = torch.cat((torch.eye(6), -torch.eye(6))).to(x.dtype).expand(count, -1, -1)
    w_in_s, w_rec_s = drawn[0], drawn[1]
    positive, negative = big.run([w_in_s, w_rec_s, both], x[0])[:, 0, 0].split(6, -1)
    assert torch.equal(positive, -negative)
    r = 0.5 * h0 + 0.5 * ((w_rec_s @ h0) + (w_in_s @ a))
    assert error(positive, r.relu()) < 1e-12
    assert ((r.mean(0) - mean).abs() < 5 * (variance / count).sqrt()).all()
    assert ((r.var(0) / variance - 1).abs() < 0.1).all()


@pytest.mark.parametrize("kind", [torch.optim.RMSprop, RMSpropInside, torch.optim.AdamW])
def test_training_layer_by_layer_follows_training_by_flat_tensors(kind: Any) -> None:
    """Rates of a layer's own need the layers' views as the optimiser's parameters.

    Not with `fused=True`: PyTorch's fused AdamW is silently wrong on views with gaps.
    """
    flat, views = make(LAST, 2), make(LAST, 2)
    x, y, eps, _ = make_batch(flat)
    for network in (flat, views):
        gbp = network.gbp()
        parameters = [network.flat[kind] for kind in KINDS]
        gradients = [gbp.grads[kind] for kind in KINDS]
        if network is views:
            parameters = [getattr(layer, kind) for kind in KINDS for layer in network.layers]
            gradients = [part for grad in gradients for part in network.split(grad)]
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        optimiser = kind(parameters, lr=0.01, weight_decay=0.1)
        for _ in range(3):
            gbp(x, y, eps)
            optimiser.step()
            network.project_()
    assert error(views.all, flat.all) < 1e-12
    assert error(flat.all, make(LAST, 2).all) > 1e-3


def test_noise_is_split_by_use() -> None:
    network = Recurrent(WIDTHS, EVERY, 2)
    assert network.noise_size == 6 * 6 + 6 * 4 + 6 * 6
    flat = torch.arange(2 * (BATCH * network.noise_size + 3.0)).view(2, -1)
    views = network.split_noise(flat, BATCH)
    assert [tuple(v.shape) for v in views] == [(2, 6, 5, 6), (2, 6, 5, 4), (2, 6, 5, 6)]
    assert torch.equal(torch.cat([v.flatten(1) for v in views], 1), flat[:, :-3])
    network.dynamics = LAST
    assert network.noise_size == 7 * 6 + 4
    assert [tuple(v.shape) for v in network.split_noise(flat, 2)] == [(2, 7, 2, 6), (2, 1, 2, 4)]


def test_squared_error_ignores_masked_outputs() -> None:
    y = normal(2, 3, 4, 2, seed=1)
    y[0, :, 2:] = torch.nan
    outputs = normal(2, 3, 4, 2, seed=2)
    loss, k = squared_error(outputs, y)
    want = [(outputs[0, :, :2] - y[0, :, :2]).square().mean(), (outputs[1] - y[1]).square().mean()]
    assert error(loss, torch.stack(want)) < 1e-12
    assert (k[0, :, 2:] == 0).all()
    assert error(k[1], 2 * (outputs[1] - y[1]) / 24) < 1e-12
    outputs[1, 0, 0, 0] = torch.nan
    assert squared_error(outputs, y)[0].isnan().tolist() == [False, True]


def test_half_squared_error_per_step_counts_the_padding() -> None:
    """C = sum mask (y - y*)^2 / (2 B T), with B = 3 trials of T = 4 steps, and its gradient."""
    y, outputs = normal(2, 3, 4, 2, seed=1), normal(2, 3, 4, 2, seed=2).requires_grad_()
    y[0, :, 2:] = torch.nan
    loss, k = squared_error(outputs.detach(), y, "half_per_step")
    known = ~y.isnan()
    want = ((outputs - y.nan_to_num(0)).square() * known).flatten(1).sum(1) / (2 * 3 * 4)
    assert error(loss, want.detach()) < 1e-12
    (grad,) = torch.autograd.grad(want.sum(), outputs)
    assert error(k, grad) < 1e-12


def test_the_loss_of_the_dynamics_is_that_of_the_gradients() -> None:
    losses, grads = [], []
    for name in ("mean", "half_per_step"):
        network = make(replace(EVERY, loss=name), 2)
        x, y, eps, _ = make_batch(network)
        gbp = network.gbp()
        losses.append(gbp(x, y, eps))
        grads.append(gbp.maps.all.clone())
    known = (~y.isnan()).flatten(1).sum(1).double()
    ratio = known / (2 * BATCH * EVERY.steps)  # the same in both replicas
    assert error(losses[1], losses[0] * ratio) < 1e-12
    assert error(grads[1], grads[0] * ratio[0]) < 1e-12


def test_invalid_arguments_raise() -> None:
    with pytest.raises(ValueError, match="loss is one of mean, half_per_step, not 'sum'"):
        Dynamics(3, 0.5, loss="sum")
    for alpha in (0.0, -0.1, 1.01):
        with pytest.raises(ValueError, match="alpha"):
            Dynamics(3, alpha)
    with pytest.raises(ValueError, match="steps"):
        Dynamics(0, 0.5)
    network = Recurrent(WIDTHS, LAST)
    with pytest.raises(ValueError, match="7 steps of 3 numbers, not 20"):
        network(torch.zeros(2, 20))
    with pytest.raises(TypeError):
        network.double()


def test_spectral_clipping_scales_only_large_matrices() -> None:
    large, small = normal(2, 8, 5, seed=1), normal(2, 4, 8, seed=2)
    large[1] *= 20
    spread = 0.9 * torch.eye(5, dtype=torch.float64).expand(2, -1, -1).contiguous()
    matrices = [large.clone(), small.clone(), spread.clone(), torch.full((1, 2, 2), torch.nan)]
    limit = float(torch.linalg.matrix_norm(large[0], 2)) + 0.1
    clip_spectral_(matrices, limit)
    assert torch.equal(matrices[0][0], large[0])
    norm = torch.linalg.matrix_norm(large[1], 2)
    assert error(matrices[0][1], large[1] * limit / norm) < 1e-12
    assert torch.equal(matrices[1], small)
    clip_spectral_([matrices[2]], 1.0)  # its Frobenius norm is 2
    assert torch.equal(matrices[2], spread)
    assert matrices[3].isnan().all()


def test_sampled_replica_does_not_depend_on_its_companions() -> None:
    network = make(LAST, 3)
    alone = network.select(slice(2, 3))
    together = network.sample(generator=streams([4, 5, 6], "sample"))
    single = alone.sample(generator=streams([6], "sample"))
    assert all(torch.equal(s, t[2:]) for s, t in zip(single, together, strict=True))
