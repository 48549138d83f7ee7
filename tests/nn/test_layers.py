"""Spike-and-slab layers behave as torch's namesakes, with distributions instead of weights."""

import copy
import io
import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sascli.core import products
from sascli.core.streams import stream
from sascli.errors import UserError
from sascli.nn import (
    SpikeSlabConv1d,
    SpikeSlabConv2d,
    SpikeSlabLinear,
    mean_field,
    reseed_,
    sampled,
)
from sascli.nn.layers import SpikeSlabLayer

Make = Callable[..., SpikeSlabLayer]
CASES: dict[str, tuple[type[SpikeSlabLayer], type[nn.Module], tuple[Any, ...], dict[str, Any]]] = {
    "linear": (SpikeSlabLinear, nn.Linear, (7, 3), {}),
    "no_bias": (SpikeSlabLinear, nn.Linear, (7, 3, False), {}),
    "conv1d": (SpikeSlabConv1d, nn.Conv1d, (4, 6, 3, 2), {"dilation": 2}),
    "conv2d": (SpikeSlabConv2d, nn.Conv2d, (4, 6, (2, 3), (1, 2), 1), {"groups": 2}),
    "same": (SpikeSlabConv2d, nn.Conv2d, (4, 6, (5, 3)), {"padding": "same"}),
    "valid": (SpikeSlabConv2d, nn.Conv2d, (4, 6, 3), {"padding": "valid"}),
    "circular": (SpikeSlabConv1d, nn.Conv1d, (4, 6, 3, 1, 2), {"padding_mode": "circular"}),
    "reflect": (
        SpikeSlabConv2d, nn.Conv2d, (4, 6, 4), {"padding": "same", "padding_mode": "reflect"},
    ),
}  # fmt: skip
SHAPES = {nn.Linear: (5, 7), nn.Conv1d: (5, 4, 9), nn.Conv2d: (5, 4, 9, 8)}


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[SpikeSlabLayer, nn.Module, Tensor]:
    """A layer with random parameters, torch's namesake with its mean, and an input."""
    kind, namesake, arguments, options = CASES[request.param]
    layer = kind(*arguments, **options, prefactor="sqrt", dtype=torch.float64, generator=rng(1))
    layer.pi.data.uniform_(generator=rng(2))
    plain = namesake(*arguments, **options, dtype=torch.float64)
    plain.weight.data.copy_(layer.mean() / math.sqrt(layer.m[0].numel()))
    if layer.bias is not None:
        plain.bias.data.copy_(layer.bias)
    return layer, plain, torch.randn(SHAPES[namesake], generator=rng(3), dtype=torch.float64)


def noise_of(layer: SpikeSlabLayer, shape: torch.Size) -> Tensor:
    """The noise that the layer draws next."""
    return copy.deepcopy(layer.noise)(layer.m, *shape)


def test_evaluation_is_the_mean_network(case: tuple[SpikeSlabLayer, nn.Module, Tensor]) -> None:
    layer, plain, a = case
    torch.testing.assert_close(layer.eval()(a), plain(a), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(layer(a[0]), plain(a[0]), rtol=1e-12, atol=1e-12)


def test_training_is_the_mean_field(case: tuple[SpikeSlabLayer, nn.Module, Tensor]) -> None:
    layer, plain, a = case
    g = plain(a)
    plain.bias = None  # type: ignore[assignment]
    plain.weight.data.copy_(layer.variance() / layer.m[0].numel())
    delta = plain(a**2).sqrt()
    eps = noise_of(layer, g.shape)
    torch.testing.assert_close(layer(a), g + eps * delta, rtol=1e-10, atol=1e-10)
    assert not torch.equal(layer(a), layer(a))


def test_input_without_a_batch(case: tuple[SpikeSlabLayer, nn.Module, Tensor]) -> None:
    layer, plain, a = case
    twin = copy.deepcopy(layer)
    torch.testing.assert_close(layer(a[0]), twin(a[:1])[0])
    assert layer(a[0]).shape == plain(a[0]).shape


def test_gradients_reach_all_parameters_and_the_input(
    case: tuple[SpikeSlabLayer, nn.Module, Tensor],
) -> None:
    layer, _, a = case
    layer(a.requires_grad_()).square().sum().backward()
    for tensor in (a, *layer.parameters()):
        assert tensor.grad is not None and tensor.grad.isfinite().all() and tensor.grad.any()


@pytest.mark.parametrize("large", [1, 10**9])
def test_outputs_may_be_changed_in_place(large: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "LARGE", large)  # by the other library of matrix products
    layer = SpikeSlabLinear(7, 3, bias=False)
    x = torch.rand(5, 7, requires_grad=True)
    nn.Sequential(layer, nn.ReLU(inplace=True))(x).sum().backward()
    assert x.grad is not None and x.grad.isfinite().all() and layer.m.grad is not None


def test_layers_of_any_leading_shape() -> None:
    layer = SpikeSlabLinear(7, 3, generator=rng())
    a = torch.randn(2, 5, 7, generator=rng(1))
    twin = copy.deepcopy(layer)
    torch.testing.assert_close(layer(a).flatten(0, 1), twin(a.flatten(0, 1)))
    assert layer(a[:0]).shape == (0, 5, 3)


def test_sampled_weights_are_drawn_once(case: tuple[SpikeSlabLayer, nn.Module, Tensor]) -> None:
    layer, plain, a = case
    plain.weight.data.copy_(layer.sample(generator=rng(5)) / math.sqrt(layer.m[0].numel()))
    before = layer.eval()(a)
    with sampled(layer, rng(5)):
        torch.testing.assert_close(layer(a), plain(a), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(layer.train()(a), plain(a), rtol=1e-12, atol=1e-12)
        with sampled(layer, rng(6)):
            assert not torch.equal(layer(a), plain(a))
        torch.testing.assert_close(layer.eval()(a), plain(a), rtol=1e-12, atol=1e-12)
        assert "effective" not in layer.state_dict()
    assert torch.equal(layer(a), before)


def test_mean_field_in_evaluation() -> None:
    layer = SpikeSlabLinear(7, 3, generator=rng()).eval()
    a = torch.randn(5, 7, generator=rng(1))
    training = copy.deepcopy(layer).train()(a)
    with mean_field(layer):
        assert not torch.backends.mha.get_fastpath_enabled()
        assert torch.equal(layer(a), training)
        assert not torch.equal(layer(a), training)
    assert torch.equal(layer(a), layer(a))
    assert torch.backends.mha.get_fastpath_enabled()


def test_modes_end_with_an_error() -> None:
    layer = SpikeSlabLinear(7, 3, generator=rng()).eval()
    with pytest.raises(KeyError), sampled(layer, rng()), mean_field(layer):
        raise KeyError
    assert layer.effective is None and not layer.field


def saved(layer: SpikeSlabLayer) -> Any:
    """A layer that was written and read by torch."""
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


COPIES = (copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer)), saved)


@pytest.mark.parametrize("copied", COPIES)
@pytest.mark.parametrize("used", [False, True])
def test_copies_continue_the_noise(copied: Any, used: bool) -> None:
    layer, a = SpikeSlabLinear(7, 3, generator=rng()), torch.randn(5, 7, generator=rng(1))
    if used:
        layer(a)
    twin = copied(copied(layer))
    first = layer(a)
    assert torch.equal(twin(a), first)
    assert torch.equal(twin(a), layer(a)) and not torch.equal(layer(a), first)


def test_to_keeps_the_noise() -> None:
    layer, a = SpikeSlabLinear(7, 3, generator=rng()), torch.randn(5, 7, generator=rng(1))
    twin = copy.deepcopy(layer).to(torch.float64).to("cpu").float()
    assert torch.equal(twin(a), layer(a))


def test_state_of_another_device_is_kept_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def on_cpu(*arguments: Any, device: torch.device) -> torch.Generator:
        return stream(*arguments)

    monkeypatch.setattr("sascli.nn.noise.stream", on_cpu)
    layer, gpu = SpikeSlabLinear(7, 3, generator=rng()), torch.device("cuda", 1)
    draws = [torch.randn(3, generator=layer.noise.generator(gpu)) for _ in range(2)]
    assert not torch.equal(draws[0], torch.randn(3, generator=stream(layer.noise.seed, "noise")))
    before = pickle.loads(pickle.dumps(SpikeSlabLinear(7, 3, generator=rng())))
    torch.randn(3, generator=before.noise.generator(gpu))
    again = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(before))))  # never used between
    assert torch.equal(torch.randn(3, generator=again.noise.generator(gpu)), draws[1])


def test_noise_is_no_tensor_that_loading_moves() -> None:
    layer, a = SpikeSlabLinear(7, 3, generator=rng()), torch.randn(5, 7, generator=rng(1))
    layer(a)
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    loaded = torch.load(file, map_location="meta", weights_only=False)
    assert torch.equal(loaded.noise(a, 5), layer.noise(a, 5))


def test_copies_are_reseeded() -> None:
    layer, a = SpikeSlabLinear(7, 7, generator=rng()), torch.randn(5, 7, generator=rng(1))
    model = nn.Sequential(layer, copy.deepcopy(layer))
    assert torch.equal(model[0](a), model[1](a))
    assert reseed_(model, rng()) is model and not torch.equal(model[0](a), model[1](a))
    first = model[0](a)
    reseed_(model, rng())
    model[0](a)
    assert torch.equal(model[0](a), first)


def test_replicas_of_data_parallel_share_parameters_and_noise() -> None:
    layer, a = SpikeSlabLinear(7, 3, generator=rng()), torch.randn(5, 7, generator=rng(1))
    replica = layer._replicate_for_data_parallel()  # what DataParallel computes with
    for kind in ("m", "pi", "xi", "bias"):
        setattr(replica, kind, getattr(layer, kind) * 1)
    first = copy.deepcopy(layer)(a)
    z = replica(a)
    assert torch.equal(z, first) and not torch.equal(layer(a), first)
    z.sum().backward()
    assert layer.pi.grad is not None and layer.pi.grad.any()
    with sampled(nn.DataParallel(layer), rng(3)):
        replica = layer._replicate_for_data_parallel()
        assert layer.effective is not None and replica.effective is layer.effective


def test_state_dict_has_the_distribution() -> None:
    layer, other = (SpikeSlabConv2d(2, 3, 3, generator=rng(seed)) for seed in (0, 1))
    assert sorted(layer.state_dict()) == ["bias", "m", "pi", "xi"]
    other.load_state_dict(layer.state_dict())
    a = torch.randn(1, 2, 5, 5, generator=rng())
    assert torch.equal(layer.eval()(a), other.eval()(a))


@pytest.mark.parametrize("strict", [True, False])
def test_weights_of_a_plain_model_are_loaded(strict: bool) -> None:
    plain = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(27, 2))
    layers = (SpikeSlabConv2d(2, 3, 3, prefactor="sqrt"), SpikeSlabLinear(27, 2))
    model = nn.Sequential(layers[0], nn.Flatten(), layers[1]).eval()
    layers[0].pi.data.fill_(0.5)
    xi, weights = layers[1].xi.clone(), plain.state_dict()
    assert str(model.load_state_dict(weights, strict=strict)) == "<All keys matched successfully>"
    a = torch.randn(4, 2, 5, 5, generator=rng())
    torch.testing.assert_close(model(a), plain(a))
    assert torch.equal(layers[1].xi, xi) and "0.weight" in weights


@pytest.mark.parametrize("prefactor", [None, "sqrt"])
@pytest.mark.parametrize(("n_in", "n_out"), [(0, 3), (3, 0)])
def test_layers_without_inputs_or_outputs(n_in: int, n_out: int, prefactor: str | None) -> None:
    layer = SpikeSlabLinear(n_in, n_out, prefactor=prefactor, generator=rng(1))
    a = torch.ones(5, n_in, requires_grad=True)
    layer(a).sum().backward()
    assert a.grad is not None and layer.m.grad is not None
    for z in (layer(a), layer.eval()(a)):
        assert z.shape == (5, n_out)
        if layer.bias is not None:
            assert torch.equal(z, layer.bias.expand(5, n_out)) and not layer.bias.any()
    with sampled(layer, rng(2)):
        assert layer(a).shape == (5, n_out)


def test_skip_init_of_torch_leaves_numbers_to_the_caller() -> None:
    layer = torch.nn.utils.skip_init(SpikeSlabLinear, 3, 4)
    want = SpikeSlabLinear(3, 4, True, "cpu", torch.float32, generator=rng(1))
    for ours in (layer, SpikeSlabLinear(3, 4, device="cpu")):
        assert isinstance(ours, SpikeSlabLinear) and ours.m.device.type == "cpu"
        ours.reseed(rng(1))
        ours.reset_parameters()
        for name, value in want.state_dict().items():
            assert torch.equal(ours.state_dict()[name], value), name


def test_inputs_of_another_width_are_an_error() -> None:
    layer = SpikeSlabLinear(8, 5)
    for a in (torch.ones(6, 4), torch.ones(0, 4), torch.ones(4)):
        with pytest.raises(RuntimeError, match="size"):
            layer(a)
    assert layer(torch.ones(0, 8)).shape == (0, 5) and layer(torch.ones(8)).shape == (5,)


def test_draws_do_not_depend_on_the_layout() -> None:
    layer = SpikeSlabConv2d(4, 5, 3, generator=rng())
    want = layer.sample(generator=rng(1))
    layer.to(memory_format=torch.channels_last)
    assert not layer.m.is_contiguous()
    assert torch.equal(layer.sample(generator=rng(1)), want)


def test_seeds_make_layers_repeatable() -> None:
    a = torch.randn(5, 7, generator=rng(1))
    one, same, other = (SpikeSlabLinear(7, 3, generator=rng(s)) for s in (4, 4, 5))
    assert torch.equal(one(a), same(a)) and not torch.equal(one.m, other.m)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        one = SpikeSlabLinear(7, 3)
        torch.manual_seed(3)
        same, other = SpikeSlabLinear(7, 3), SpikeSlabLinear(7, 3)
    assert torch.equal(one(a), same(a)) and not torch.equal(one(a), other(a))


@pytest.mark.parametrize(("prefactor", "bound"), [(None, 0.1), ("sqrt", math.inf)])
def test_initial_parameters(prefactor: str | None, bound: float) -> None:
    layer = SpikeSlabLinear(100, 400, prefactor=prefactor, generator=rng())
    n, scale = 100, layer.scale
    deviation = math.sqrt(2 / n) if prefactor else 0.1 / math.sqrt(3)
    assert layer.m.std().item() == pytest.approx(deviation, rel=0.02)
    assert layer.m.abs().max() <= bound and not layer.pi.any()
    assert layer.bias is not None and 0.09 < layer.bias.abs().max() <= 0.1
    xi = layer.xi * scale**2 * n
    assert xi.min() >= 0 and 0.0099 < xi.max() <= 0.01
    before = layer.m.clone()
    layer.reset_parameters()
    assert not torch.equal(layer.m, before)


def test_weight_is_a_result() -> None:
    layer = SpikeSlabLinear(4, 3, prefactor="sqrt", generator=rng())
    assert torch.equal(layer.weight, layer.mean() / 2)
    with sampled(layer, rng()):
        assert layer.effective is not None and torch.equal(layer.weight, layer.effective / 2)
    with pytest.raises(KeyError, match="weight"):
        layer.weight = nn.Parameter(torch.zeros(3, 4))  # type: ignore[misc]


def test_mixed_precision_computes_in_float32() -> None:
    layer, a = SpikeSlabConv1d(4, 6, 3, generator=rng()), torch.randn(5, 4, 9, generator=rng(1))
    half = a.bfloat16()
    want = copy.deepcopy(layer)(half.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = layer(half)
        assert F.conv1d(half, layer.m).dtype == torch.bfloat16
        linear, x = SpikeSlabLinear(4, 3, generator=rng()), a.mT.clone().requires_grad_()
        z = linear(x).square().sum()
        gradient = torch.autograd.grad(z, x, retain_graph=True)[0]
    assert torch.equal(got, want)
    got.sum().backward()
    assert torch.equal(torch.autograd.grad(z, x)[0], gradient)


def test_other_prefactor_is_an_error() -> None:
    with pytest.raises(UserError, match="prefactor is None or 'sqrt', not 'root'"):
        SpikeSlabLinear(3, 2, prefactor="root")


def test_description_shows_the_prefactor() -> None:
    assert (
        repr(SpikeSlabConv2d(1, 2, 3))
        == "SpikeSlabConv2d(1, 2, kernel_size=(3, 3), stride=(1, 1))"
    )
    assert repr(SpikeSlabLinear(3, 2, False, prefactor="sqrt")).endswith(
        "out_features=2, bias=False, prefactor='sqrt')"
    )
