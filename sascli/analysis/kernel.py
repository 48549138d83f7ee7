"""The neural tangent kernel, analytic and empirical, and lazy training with its dynamics."""

from collections.abc import Iterable, Sequence
from itertools import chain, product, repeat

import numpy as np
import pandas as pd
import torch
from scipy.stats import linregress
from torch import Tensor

from sascli.core.kernel import (
    Scales,
    analytic,
    gradients,
    gradients_at,
    noise_of,
    random_networks,
)
from sascli.core.lazy import descend_, kernel_dynamics
from sascli.core.streams import stream

DYNAMICS = ("analytic", "empirical", "descent", "projected", "fresh")
"""The kernels of infinite width and of the network; gradient descent with constant eps, then with
pi and Xi projected into their ranges, and with fresh eps at every step."""


def sequences(angles: int) -> tuple[Tensor, Tensor]:
    """Angles phi from 0 to 2 pi, and (1, -1) followed by (cos phi, sin phi): two scalars each."""
    phi = torch.linspace(0, 2 * torch.pi, angles, dtype=torch.float64)
    pairs = torch.stack((phi.cos(), phi.sin()), 1)
    return phi, torch.cat((pairs.new_tensor([[1.0, -1.0]]), pairs)).unsqueeze(-1)


@torch.no_grad()
def kernel_table(
    scales: Scales,
    angles: int,
    widths: Sequence[int],
    seeds: int,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """kernel.csv: Theta between (1, -1) and (cos phi, sin phi) of one network per width and seed.

    The networks have single precision.
    """
    phi, x = sequences(angles)
    theta = analytic(x, scales)[0, 1:]
    tables = []
    for width, seed in product(widths, range(seeds)):
        generator = stream(seed, "kernel", width)
        network = random_networks(
            1, x.shape[1], width, scales, 1, generator=generator, dtype=torch.float32,
            device=device,
        )  # fmt: skip
        rows = gradients(network, x.float().to(device), scales, generator=generator)
        first = next(rows)
        values = torch.stack([(first * row).sum(dtype=torch.float64) for row in rows]).tolist()
        columns = {"alpha": scales.alpha, "width": width, "seed": seed, "angle": phi.tolist()}
        tables.append(pd.DataFrame(columns | {"kernel": values, "analytic": theta.tolist()}))
    return pd.concat(tables, ignore_index=True)


def decay_table(kernel: pd.DataFrame) -> pd.DataFrame:
    """kernel_decay.csv: deviation ~ width^exponent, a least-squares line for each seed.

    The deviation of a network is its root mean square over the angles, relative to that of the
    analytic kernel.
    """
    error = kernel["kernel"] - kernel["analytic"]
    squares = kernel.assign(error=error**2, size=kernel["analytic"] ** 2)
    mean = squares.groupby(["alpha", "seed", "width"])[["error", "size"]].mean()
    deviation = (mean["error"] / mean["size"]) ** 0.5
    table = deviation.rename("deviation").reset_index()
    for _, rows in table.groupby(["alpha", "seed"]):
        line = linregress(np.log(rows["width"]), np.log(rows["deviation"]))
        table.loc[rows.index, "exponent"] = line.slope
    return table


@torch.no_grad()
def lazy_table(
    x: Tensor, y: Tensor, width: int, scales: Scales, *,
    lr: float, steps: int, every: int, seed: int,
) -> pd.DataFrame:  # fmt: skip
    """Rows of lazy.csv: one network's outputs and loss by each of the `DYNAMICS`, from one start.

    There is a row for every `every`-th step. x is (samples, steps, n_in), y (samples,) of -1
    and 1.
    """
    theta, flat = analytic(x.double(), scales).to(x.dtype), x.flatten(1)
    tables = []
    for dynamics in DYNAMICS:
        generator = stream(seed, "lazy")  # the same network and first eps
        network = random_networks(
            x.shape[2], x.shape[1], width, scales, 1, generator=generator, dtype=x.dtype,
            device=x.device,
        )  # fmt: skip
        eps = noise_of(network, len(x), generator)
        if dynamics in ("analytic", "empirical"):
            f = network.gbp().logits(flat, eps)[0, :, 0]
            kernel = theta
            if dynamics == "empirical":
                rows = torch.cat(list(gradients_at(network, flat, eps, scales)))
                kernel = rows @ rows.T
            outputs = kernel_dynamics(kernel, f, y, lr, steps)
        else:
            noises: Iterable[Sequence[Tensor]] = repeat(eps, steps)
            if dynamics == "fresh":
                fresh = (noise_of(network, len(x), generator) for _ in range(steps - 1))
                noises = chain([eps], fresh)
            project = dynamics == "projected"
            outputs = torch.cat(list(descend_(network, flat, y, noises, scales, lr, project)))
        tables.append(_by_step(outputs, y, every).assign(seed=seed, dynamics=dynamics))
    table = pd.concat(tables, ignore_index=True)
    return table[["seed", "dynamics", "step", "loss", "output_low", "output_high"]]


def _by_step(outputs: Tensor, y: Tensor, every: int) -> pd.DataFrame:
    """Loss, the mean over samples of (f - y)^2 / 2, and the mean output of either label."""
    steps = range(0, len(outputs), every)
    outputs = outputs[::every]
    return pd.DataFrame(
        {
            "step": steps,
            "loss": ((outputs - y).square().mean(-1) / 2).tolist(),
            "output_low": outputs[:, y < 0].mean(-1).tolist(),
            "output_high": outputs[:, y > 0].mean(-1).tolist(),
        }
    )
