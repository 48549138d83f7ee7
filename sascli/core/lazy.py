"""Lazy training: gradient descent of wide networks, and the dynamics that their kernel gives."""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

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

    The descent is in the scaled parameters, at rate lr, on samples x (samples, steps * n_in), one
    step for each eps; with `project` pi and Xi are put back into their ranges. Changes network.
    """
    gbp = network.gbp()
    for own in eps:
        outputs, seen = gbp.forward(x, own)
        yield outputs[..., 0]
        gbp.backward(outputs - y.unsqueeze(-1), seen)
        parameters = trained(network, network.flat, scales)
        for (value, by), (grad, _) in zip(
            parameters, trained(network, gbp.grads, scales), strict=True
        ):
            value.sub_(grad, alpha=lr * by**2)
        if project:
            network.project_()


def kernel_dynamics(theta: Tensor, f: Tensor, y: Tensor, lr: float, steps: int) -> Tensor:
    """Outputs (steps, ..., samples) from f under f <- f - lr Theta (f - y), f itself first."""
    outputs = [f]
    for _ in range(steps - 1):
        f = f - lr * (theta @ (f - y).unsqueeze(-1)).squeeze(-1)
        outputs.append(f)
    return torch.stack(outputs)
