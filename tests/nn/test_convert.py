"""Any model becomes a spike-and-slab one by one call, and remains the same function."""

import copy
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import mobilenet_v3_small

from sascli.errors import UserError
from sascli.nn import (
    SpikeSlabConv1d,
    SpikeSlabConv2d,
    SpikeSlabLinear,
    mean_field,
    project_after,
    sampled,
    to_spike_slab,
)
from sascli.nn.layers import named_layers


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Tied(nn.Module):
    """A layer used twice, two layers of one weight, and an embedding with that weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 6)
        self.again = self.first
        self.read = nn.Linear(6, 9)
        self.nested = nn.ModuleDict({"twin": nn.Linear(6, 9, bias=False)})
        self.nested["twin"].weight = self.read.weight
        self.words = nn.Embedding(9, 6)
        self.words.weight = self.read.weight

    def forward(self, words: Tensor) -> Tensor:
        """Scores of words after each word."""
        a = self.again(self.first(self.words(words)).relu())
        return self.read(a) + self.nested["twin"](a.relu())


def convolutional() -> nn.Module:
    """Convolutions of one and two axes, nested."""
    block = nn.Sequential(nn.Conv2d(2, 4, (3, 1), 2, groups=2), nn.ReLU())
    return nn.Sequential(block, nn.Flatten(2), nn.Conv1d(4, 3, 5, padding="same"), nn.Flatten())


@pytest.mark.parametrize(
    ("make", "shape", "count", "prefactor"),
    [
        (convolutional, (3, 2, 8, 8), 2, None),
        (convolutional, (3, 2, 8, 8), 2, "sqrt"),
        (lambda: mobilenet_v3_small(num_classes=10), (2, 3, 32, 32), 54, None),
    ],
    ids=["plain", "sqrt", "mobilenet"],
)
@pytest.mark.filterwarnings("ignore:not converted")
def test_converted_model_is_the_same_function(
    make: Callable[[], nn.Module], shape: tuple[int, ...], count: int, prefactor: str | None
) -> None:
    model, x = make().double(), torch.randn(shape, generator=rng(), dtype=torch.float64)
    weights = {name: p.clone() for name, p in model.named_parameters()}
    want = model.eval()(x)
    assert to_spike_slab(model, prefactor=prefactor, generator=rng()) is model
    torch.testing.assert_close(model(x), want, rtol=1e-9, atol=1e-9)
    layers = dict(named_layers(model))
    assert len(layers) == count
    for name, layer in layers.items():
        torch.testing.assert_close(layer.m * layer.scale, weights[f"{name}.weight"])
        assert not layer.pi.any()
        assert 0 < (layer.xi * layer.scale**2 * layer.n_in).max() <= 0.01
    with mean_field(model):
        assert not torch.equal(model(x), model(x))
    model.train()(x).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_modules_hooks_and_parameters_remain() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    first, weight, calls = model[0], model[0].weight, list[int]()
    first.register_forward_hook(lambda *_: calls.append(1))
    first.my_name = "mine"
    to_spike_slab(model)
    assert model[0] is first and isinstance(first, SpikeSlabLinear)
    assert first.m is weight and first.my_name == "mine"
    model(torch.ones(1, 3)).sum().backward()
    before = weight.detach().clone()
    optimiser.step()
    assert calls == [1] and not torch.equal(weight, before)
    model.load_state_dict(copy.deepcopy(model).state_dict())


def test_layers_that_share_remain_shared() -> None:
    model, words = Tied(), torch.arange(9)
    want = model(words)
    with pytest.warns(UserWarning, match=r"^not converted: words \(Embedding\)$"):
        to_spike_slab(model.eval(), generator=rng())
    assert torch.equal(model(words), want)
    twin = model.nested["twin"]
    assert model.again is model.first and model.words.weight is model.read.m is twin.m
    assert twin.pi is model.read.pi and twin.xi is model.read.xi
    assert len([*model.parameters()]) == 3 + 1 + 3 + 1
    with sampled(model, rng()):
        assert twin.effective is model.read.effective


def test_prefactor_leaves_weights_of_other_modules_alone() -> None:
    model, words = Tied(), torch.arange(9)
    want = model(words)
    with pytest.warns(UserWarning, match=r"read \(Linear\), nested.twin \(Linear\), words"):
        to_spike_slab(model.eval(), prefactor="sqrt")
    torch.testing.assert_close(model(words), want)
    del model.words
    with warnings.catch_warnings(action="error"):
        to_spike_slab(model, prefactor="sqrt")
    twin = model.nested["twin"]
    torch.testing.assert_close(twin.weight, model.read.weight)
    assert twin.m is model.read.m and twin.xi is model.read.xi


def test_subset_by_name() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.Linear(3, 3), nn.Conv1d(1, 1, 3)))
    to_spike_slab(model, only=["1.*"])
    kinds = [nn.Linear, SpikeSlabLinear, SpikeSlabConv1d]
    assert [type(m) for m in (model[0], *model[1])] == kinds
    with pytest.raises(UserError, match="that is not converted yet"):
        to_spike_slab(model, only="1")
    to_spike_slab(model, only=["0"])  # the rest in a second call
    assert type(model[0]) is SpikeSlabLinear
    with pytest.raises(UserError, match=r"no module with parameters is head, 2\.\*: see"):
        to_spike_slab(model, only=["head", "1.*", "2.*"])


@pytest.mark.parametrize("only", ["10", ["10"], iter(["10"]), "1[0]", "10.*"])
def test_name_is_no_list_of_letters_and_chooses_what_is_inside(only: Any) -> None:
    inside = nn.Sequential(nn.ReLU(), nn.Linear(3, 3))
    model = nn.Sequential(*(nn.Linear(3, 3) for _ in range(10)), inside, nn.ReLU())
    to_spike_slab(model, only)
    assert [name for name, _ in named_layers(model)] == ["10.1"]
    with pytest.raises(UserError, match="no module with parameters is 11: see"):
        to_spike_slab(model, ["0", "11"])


@pytest.mark.parametrize("options", [{"prefactor": "root"}, {"xi_max": -1.0}])
def test_failure_leaves_the_model_as_it_was(options: Any) -> None:
    model = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 2))
    with pytest.raises(UserError):
        to_spike_slab(model, **options)
    assert all(type(layer) is nn.Linear for layer in model)
    to_spike_slab(model)
    assert all(layer.xi.any() for _, layer in named_layers(model))


def test_shared_weight_has_one_prefactor() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    to_spike_slab(model, "0")
    with pytest.raises(UserError, match="^1 shares its weight with a layer of prefactor=None"):
        to_spike_slab(model, "1", prefactor="sqrt")
    assert type(model[1]) is nn.Linear
    to_spike_slab(model, "1")
    assert torch.equal(model[0].weight, model[1].weight)


def test_single_layer() -> None:
    layer = nn.Conv2d(1, 2, 3)
    assert to_spike_slab(layer) is layer and type(layer) is SpikeSlabConv2d


class Other(nn.Linear):
    """A subclass that may compute something else."""


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_what_cannot_be_converted_is_listed() -> None:
    model = nn.ModuleDict(
        {
            "good": nn.Linear(3, 3),
            "normal": nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)),
            "pruned": nn.utils.prune.identity(nn.Linear(3, 3), "weight"),
            "other": Other(3, 3),
            "lazy": nn.LazyLinear(3),
            "lstm": nn.LSTM(3, 3),
            "attention": nn.MultiheadAttention(4, 2),
            "volume": nn.Conv3d(1, 1, 3),
            "batch": nn.BatchNorm1d(3),
            "relu": nn.ReLU(),
            "empty": nn.Linear(3, 0),
            "meta": nn.Linear(3, 3, device="meta"),
            "complex": nn.Linear(3, 3, dtype=torch.complex64),
            "hooked": nn.Linear(3, 3),
        }
    )
    model["hooked"].forward = lambda x: x
    with pytest.warns(UserWarning, match="not converted") as record:
        to_spike_slab(model)
    text = str(record[0].message)
    for name, kind in [
        ("pruned", "Linear"), ("other", "Other"), ("lazy", "LazyLinear"), ("lstm", "LSTM"),
        ("attention", "MultiheadAttention"),
        ("attention.out_proj", "NonDynamicallyQuantizableLinear"),
        ("volume", "Conv3d"), ("batch", "BatchNorm1d"), ("normal", "ParametrizedLinear"),
        *((name, "Linear") for name in ("empty", "meta", "complex", "hooked")),
    ]:  # fmt: skip
        assert f"{name} ({kind})" in text
    assert "good" not in text and "relu" not in text
    assert record[0].filename == __file__
    with pytest.raises(UserError, match="none of the chosen modules is an nn.Linear"):
        to_spike_slab(nn.LSTM(3, 3))


@pytest.mark.filterwarnings("ignore:not converted")
def test_transformer_in_every_mode() -> None:
    model = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True).eval()
    x = torch.randn(2, 5, 8, generator=rng())
    with torch.no_grad():
        want = model(x)
        to_spike_slab(model, generator=rng())
        torch.testing.assert_close(model(x), want)  # by torch's fused path
        with sampled(model, rng()):
            fused, slow = model(x), model(x.clone().requires_grad_())
            torch.backends.mha.set_fastpath_enabled(False)
            torch.testing.assert_close(model(x), fused)
            torch.backends.mha.set_fastpath_enabled(True)
            assert not torch.allclose(fused, want) and slow.shape == want.shape
        with mean_field(model):
            assert not torch.equal(model(x), model(x))


def test_projection_follows_each_step_until_removed() -> None:
    model = to_spike_slab(nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)), generator=rng())
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
    handle = project_after(optimiser, model)

    def step() -> None:
        for p in model.parameters():
            p.grad = torch.full_like(p, 3.0)
        optimiser.step()

    step()
    layers = [layer for _, layer in named_layers(model)]
    assert all((layer.pi == 0).all() and (layer.xi == 0).all() for layer in layers)
    for layer in layers:
        layer.pi.data.fill_(5)
    step()
    assert all((layer.pi == 1).all() for layer in layers)
    handle.remove()
    step()
    assert all((layer.pi == -2).all() for layer in layers)


def test_optimiser_made_before_the_conversion_is_an_error() -> None:
    model = nn.Linear(3, 4)
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
    with pytest.raises(UserError, match="no pi or xi of the model: make it after"):
        project_after(optimiser, to_spike_slab(model))
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3))
    optimiser = torch.optim.SGD(to_spike_slab(model, "0")[:2].parameters(), lr=1.0)
    with pytest.raises(UserError, match="no pi or xi of 1: make it after"):
        project_after(optimiser, to_spike_slab(model, ["1", "2"]))  # "2" is not trained


def test_model_without_layers_is_an_error() -> None:
    with pytest.raises(UserError, match="no spike-and-slab layer: call to_spike_slab"):
        project_after(torch.optim.SGD([torch.zeros(1)], 0.1), nn.ReLU())
    with pytest.raises(UserError, match="no spike-and-slab layer"), sampled(nn.ReLU(), rng()):
        pass
