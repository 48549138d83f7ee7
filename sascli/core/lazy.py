"""Lazy training: gradient descent of wide networks, and the dynamics that a kernel predicts."""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from sascli.core.backprop import Saved
from sascli.core.kernel import Scales, trained
from sascli.core.recurrent import Recurrent


@torch.no_grad()
def descend_(
    network: Recurrent,
    x: Tensor,
    y: Tensor,
    eps: Iterable[Sequence[Tensor]],
    scales: Scales,
    lr: float,
    project: bool = False,
) -> Iterator[Tensor]:
    """Outputs (networks, samples) before each step of gradient descent on sum (f - y)^2 / 2.

    Changes the scaled parameters of the network at rate lr on samples x (samples, steps * n_in),
    one step for each eps. With `project`, pi and Xi are projected into their ranges.
    """
    gbp = network.gbp()
    for noise in eps:
        tape: list[Saved] = []
        outputs = gbp.logits(x, noise, tape)
        yield outputs[..., 0]
        gbp.backward(outputs - y.unsqueeze(-1), tape)
        grads = trained(network, gbp.grads, scales)
        for (value, factor), (grad, _) in zip(
            trained(network, network.flat, scales), grads, strict=True
        ):
            value.sub_(grad, alpha=lr * factor**2)
        if project:
            network.project_()


def kernel_dynamics(theta: Tensor, f: Tensor, y: Tensor, lr: float, steps: int) -> Tensor:
    """Outputs (steps, ..., samples) under f <- f - lr Theta (f - y), the initial f first."""
    outputs = [f]
    for _ in range(steps - 1):
        f = f - lr * (theta @ (f - y).unsqueeze(-1)).squeeze(-1)
        outputs.append(f)
    return torch.stack(outputs)
