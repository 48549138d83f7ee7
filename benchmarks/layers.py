"""A training step of a model in plain torch, converted to spike-and-slab and to Bayesian layers.

python -m benchmarks.layers [--rounds N] [--check]

With one thread, in processor time: other processes on the machine change it less than the clock's.
"""

import importlib
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from itertools import pairwise

import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks import timing
from sascli.nn import project_after, to_spike_slab
from sascli.nn.layers import SpikeSlabLayer

Step = Callable[[], None]
BAR = 2.5
"""Largest ratio of a step of a converted model to one of the plain model (--check)."""
FLIPOUT = "bayesian-torch Flipout"


def linear() -> tuple[nn.Module, Tensor]:
    """784-100-100-10, 500 images of MNIST's size."""
    hidden = [nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU()]
    return nn.Sequential(*hidden, nn.Linear(100, 10)), torch.rand(500, 784)


def convolutional(channels: int, side: int) -> tuple[nn.Module, Tensor]:
    """Three convolutions, each pooled, and a read-out; 100 images."""
    widths, blocks = (channels, 32, 64, 128), list[nn.Module]()
    for n_in, n_out in pairwise(widths):
        blocks += [nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    read_out = nn.Linear(128 * (side // 8) ** 2, 10)
    return nn.Sequential(*blocks, nn.Flatten(), read_out), torch.rand(100, channels, side, side)


def strided(channels: int, side: int) -> tuple[nn.Module, Tensor]:
    """As `convolutional`, with strides instead of pooling."""
    model, x = convolutional(channels, side)
    layers = [layer for layer in model.children() if not isinstance(layer, nn.MaxPool2d)]
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            layer.stride, layer.padding = (2, 2), (1, 1)
    size = nn.Sequential(*layers[:-1])(x[:1]).numel()
    return nn.Sequential(*layers[:-1], nn.Linear(size, 10)), x


MODELS: dict[str, Callable[[], tuple[nn.Module, Tensor]]] = {
    "784-100-100-10": linear,
    "convolutions, 1 x 28 x 28": lambda: convolutional(1, 28),
    "convolutions, 3 x 32 x 32": lambda: convolutional(3, 32),
    "strided convolutions, 3 x 32 x 32": lambda: strided(3, 32),
}


def bayesian(model: nn.Module, kind: str) -> nn.Module:
    """A copy with bayesian-torch's layers. Raises ImportError where it is not installed."""
    with warnings.catch_warnings(action="ignore"):
        convert = importlib.import_module("bayesian_torch.models.dnn_to_bnn").dnn_to_bnn
    copy = deepcopy(model)
    prior = {"prior_mu": 0.0, "prior_sigma": 1.0, "posterior_mu_init": 0.0}
    rest = {"posterior_rho_init": -3.0, "type": kind, "moped_enable": False, "moped_delta": 0.5}
    convert(copy, prior | rest)
    return copy


def step(model: nn.Module, x: Tensor) -> Step:
    """A step of fused AdamW on the cross entropy of the same batch."""
    y = torch.arange(len(x)) % 10
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    if any(isinstance(layer, SpikeSlabLayer) for layer in model.modules()):
        project_after(optimiser, model)

    def run() -> None:
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimiser.step()

    return run


def variants(model: nn.Module, x: Tensor) -> dict[str, Step]:
    """The compared steps by name."""
    models = {"plain torch": model, "sas": to_spike_slab(deepcopy(model))}
    for kind in ("Flipout", "Reparameterization"):
        with suppress(ImportError):
            models[f"bayesian-torch {kind}"] = bayesian(model, kind)
    return {name: step(variant, x) for name, variant in models.items()}


def main() -> None:
    """Measure, print, write outputs/bench/layers.csv."""
    args = timing.parser(__doc__, rounds=20).parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    tables = []
    for name, make in MODELS.items():
        model, x = make()
        weights = sum(p.numel() for p in model.parameters())
        table = timing.in_turn(variants(model, x), args.rounds, "plain torch")
        table.insert(0, "model", name)
        table.insert(1, "weights", weights)
        tables.append(table)
    results = pd.concat(tables, ignore_index=True)
    timing.report("layers", results)
    if args.check:
        ratios = results.pivot(index="model", columns="variant", values="ratio")
        missed = ratios["sas"] > BAR
        if FLIPOUT in ratios:
            missed |= ratios["sas"] >= ratios[FLIPOUT]
        print(f"largest ratio {ratios['sas'].max():.2f}, bar {BAR}")
        sys.exit(bool(missed.any()))


if __name__ == "__main__":
    main()
