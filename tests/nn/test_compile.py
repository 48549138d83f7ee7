"""Compiled models compute what the others do, in every mode."""

import copy

import pytest
import torch
from torch import nn

from sascli.core import fused
from sascli.nn import mean_field, project_after, sampled, to_spike_slab


@pytest.mark.parametrize("large", [1, fused.LARGE])
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch.compile warns of its own parts
def test_compiled_model_trains_and_predicts_as_the_other(
    large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fused, "LARGE", large)
    torch.compiler.reset()
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(7, 3, 8, 8, generator=generator), torch.arange(7) % 5
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, groups=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 5)
    )
    to_spike_slab(model, generator=generator)
    compiled = torch.compile(copy.deepcopy(model))
    models = (model, compiled)
    for network in models:
        optimiser = torch.optim.AdamW(network.parameters(), 1e-2)
        project_after(optimiser, network)
        for _ in range(3):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(x), y).backward()
            optimiser.step()
        network.eval()
    for one, other in zip(model.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(model(x), compiled(x), rtol=1e-3, atol=1e-3)
        outputs = []
        for network in models:
            with sampled(network, torch.Generator().manual_seed(1)):
                outputs.append(network(x))
        torch.testing.assert_close(*outputs, rtol=1e-3, atol=1e-3)
        with mean_field(model), mean_field(compiled):
            torch.testing.assert_close(model(x), compiled(x), rtol=1e-3, atol=1e-3)
            assert not torch.equal(compiled(x), compiled(x))
