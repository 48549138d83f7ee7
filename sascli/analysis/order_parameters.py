r"""Symmetry breaking of a single read-out neuron, y = tanh(u), that learns a sine from its inputs.

All N inputs are the sine itself, s(t), so that the output depends on the weights only through
:math:`\sum_i \mu_i / \sqrt N` and the mean of their variances: the inputs are interchangeable, and
the initial m has no direction.
"""

import math
from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor

from sascli.core.mean_field import mean_field_linear
from sascli.core.spike_slab import SpikeSlab
from sascli.core.streams import fill_normal, fill_on_cpu, fill_uniform, streams


def order_parameters(
    n: int,
    *,
    steps: int = 20,
    epochs: int = 600,
    lr: dict[str, float],
    halve_every: int = 100,
    pi_max: float = 0.1,
    xi_max: float = 0.1,
    every: int = 10,
    seeds: Sequence[int],
    device: torch.device | None = None,
) -> pd.DataFrame:
    """order_parameters.csv, before training and after every `every` epochs.

    One epoch is one step of gradient descent on the squared error summed over one period of the
    sine, sum_t (y - s)^2 / 2, with fresh eps for every time; the rates `lr` of m, pi and xi are
    halved every `halve_every` epochs. Initially m ~ N(0, 1/N), pi ~ Uniform(0, pi_max),
    Xi ~ Uniform(0, xi_max).

    An overlap is a . b / (|a| |b|): with the initial values of the same network, and, on average,
    with the networks of the other seeds (empty for one seed).
    """
    weights = SpikeSlab(1, n, len(seeds), dtype=torch.float64, device=device)
    init, noise = streams(seeds, "init"), streams(seeds, "noise")
    fill_on_cpu(fill_normal, weights.m.data, init).div_(math.sqrt(n))
    fill_on_cpu(fill_uniform, weights.pi.data, init).mul_(pi_max)
    fill_on_cpu(fill_uniform, weights.xi.data, init).mul_(xi_max)
    parameters = dict(weights.named_parameters())  # m, pi and xi
    start = {kind: value.detach().clone() for kind, value in parameters.items()}
    time = torch.arange(1, steps + 1, dtype=torch.float64)
    s = (2 * math.pi * time / steps).sin().view(1, steps, 1).to(weights.m.device)
    x, rows = s.expand(len(seeds), steps, n), []
    for epoch in range(epochs + 1):
        eps = fill_on_cpu(fill_normal, s.new_empty(len(seeds), steps, 1), noise)
        u = mean_field_linear(x, weights.m, weights.pi, weights.xi, eps)
        loss = (u.tanh() - s).square().sum((1, 2)) / 2
        if epoch % every == 0:
            for kind, value in parameters.items():
                table = _overlaps(kind, value.detach(), start[kind], seeds)
                rows.append(table.assign(epoch=epoch, loss=loss.tolist()))
        grads = torch.autograd.grad(loss.sum(), [*parameters.values()])
        for (kind, value), grad in zip(parameters.items(), grads, strict=True):
            value.data.sub_(grad, alpha=lr[kind] * 0.5 ** (epoch // halve_every))
        weights.project_()
    table = pd.concat(rows, ignore_index=True)
    return table[["seed", "epoch", "parameter", "field", "to_start", "to_others", "loss"]]


def _overlaps(kind: str, value: Tensor, start: Tensor, seeds: Sequence[int]) -> pd.DataFrame:
    """Contribution of a parameter to the neuron's field, and its overlaps; one row per seed."""
    unit, first = (torch.nn.functional.normalize(t[:, 0], dim=1) for t in (value, start))
    n, count = value.shape[-1], len(seeds)
    overlaps = (unit @ unit.T).fill_diagonal_(0)
    others = overlaps.sum(1).div(count - 1 if count > 1 else math.nan)
    return pd.DataFrame(
        {
            "seed": seeds,
            "parameter": kind,
            "field": value.sum((1, 2)).div(math.sqrt(n) if kind == "m" else n).tolist(),
            "to_start": (unit * first).sum(1).tolist(),
            "to_others": others.tolist(),
        }
    )
