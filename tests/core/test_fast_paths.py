"""Every kind of network computes the same on both sides of the sizes at which loops are fused."""

from collections.abc import Callable

import pytest
import torch
from reference import error, fill
from torch import Tensor

from sascli.core import fused, products
from sascli.core.convolutional import Convolutional
from sascli.core.network import FeedForward
from sascli.core.patches import Kernel
from sascli.core.recurrent import Dynamics, Recurrent

BATCH, N_IN, CLASSES = 5, 12, 3
NETWORKS: dict[str, Callable[..., FeedForward]] = {
    "feedforward": lambda replicas, **to: FeedForward([N_IN, 5, 4, CLASSES], replicas, **to),
    "overlapping": lambda replicas, **to: Convolutional(
        [1, 4, 5, CLASSES], (3, 4), Kernel(3, 2), replicas, **to
    ),
    "separate": lambda replicas, **to: Convolutional(
        [1, 4, CLASSES], (3, 4), Kernel(2, 1), replicas, **to
    ),
    "recurrent": lambda replicas, **to: Recurrent(
        [4, 6, CLASSES], Dynamics(3, 0.5, sigma=0.1), replicas, **to
    ),
}


def computed(name: str, replicas: int, dtype: torch.dtype) -> dict[str, Tensor]:
    """Outputs and gradients by both rules, of parameters and inputs that stay as they are."""
    network = NETWORKS[name](replicas, dtype=dtype)
    fill(network)
    draws = torch.Generator().manual_seed(3)
    x = torch.randn(replicas, BATCH, N_IN, generator=draws, dtype=dtype).relu()
    y = torch.randint(CLASSES, (replicas, BATCH), generator=draws)
    size = BATCH * network.noise_size
    noise = torch.randn(replicas, size, generator=draws, dtype=dtype)
    before = [tensor.clone() for tensor in (network.all, x, noise)]
    eps = network.split_noise(noise, BATCH)
    results = {"run": network.run(network.mean(), x, eps)}
    for rule, gradients in (("gbp", network.gbp()), ("bp", network.bp())):
        results[f"{rule}, logits"] = gradients.logits(x, eps).clone()
        results[f"{rule}, loss"] = gradients(x, y, eps).clone()
        for kind, grad in gradients.grads.items():
            results[f"{rule}, {kind}"] = grad.clone()
    for tensor, old in zip((network.all, x, noise), before, strict=True):
        assert torch.equal(tensor, old)
    return results


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_fused_loops_and_products_change_no_number(
    name: str, replicas: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = []
    for large in (1, 10**9):
        monkeypatch.setattr(fused, "LARGE", large)
        monkeypatch.setattr(products, "LARGE", large)
        with torch.no_grad():
            sides.append(computed(name, replicas, dtype))
    for key, fast in sides[0].items():
        difference = error(fast, sides[1][key].double())
        assert difference < (1e-5 if dtype is torch.float32 else 1e-12), key
