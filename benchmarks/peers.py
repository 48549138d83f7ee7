"""The same network in libraries for Bayesian networks, if installed (extra `bench`).

None has a spike: they learn a Gaussian for each weight, with other rules and other noise.
"""

import importlib
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

Make = Callable[[int, int], nn.Module]


def layers() -> dict[str, Make]:
    """A constructor of linear layers for each library that can be imported."""
    makers: dict[str, Make] = {}
    with warnings.catch_warnings(), suppress(ImportError):
        warnings.simplefilter("ignore")
        bayesian = importlib.import_module("bayesian_torch.layers")
        for kind in ("Reparameterization", "Flipout"):
            cls = getattr(bayesian, f"Linear{kind}")
            makers[f"bayesian-torch {kind}"] = lambda i, o, cls=cls: cls(i, o, bias=False)
    with warnings.catch_warnings(), suppress(ImportError):
        warnings.simplefilter("ignore")
        bnn = importlib.import_module("torchbnn")
        makers["torchbnn"] = lambda i, o: bnn.BayesLinear(0, 0.1, i, o, bias=False)
    with warnings.catch_warnings(), suppress(ImportError):
        warnings.simplefilter("ignore")
        blitz = importlib.import_module("blitz.modules")
        makers["blitz"] = lambda i, o: blitz.BayesianLinear(i, o, bias=False)
    return makers


class Network(nn.Module):
    """A ReLU network of a library's layers."""

    def __init__(self, make: Make, widths: Sequence[int]) -> None:
        super().__init__()
        pairs = pairwise(widths)
        self.layers = nn.ModuleList(make(n_in, n_out) for n_in, n_out in pairs)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, without the divergence that some layers return with them."""
        for number, layer in enumerate(self.layers):
            out: Any = layer(x.relu() if number else x)
            x = out[0] if isinstance(out, tuple) else out
        return x


def step(network: nn.Module, lr: float, decay: float) -> Callable[[Tensor, Tensor], None]:
    """One step of fused AdamW on the cross entropy of a batch."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=decay, fused=True)

    def run(x: Tensor, y: Tensor) -> None:
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(x), y).backward()
        optimiser.step()

    return run
