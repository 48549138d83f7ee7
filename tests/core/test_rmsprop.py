"""RMSprop with epsilon inside the root."""

import pytest
import torch
from reference import error, normal
from torch import Tensor

from sascli.core.rmsprop import RMSpropInside

LR, ALPHA, EPS, DECAY = 1e-3, 0.9, 1e-8, 1e-3


def stepped(kind: type[torch.optim.RMSprop], grads: list[Tensor], start: Tensor) -> Tensor:
    """The parameter after steps along gradients."""
    parameter = torch.nn.Parameter(start.clone())
    optimiser = kind([parameter], lr=LR, alpha=ALPHA, eps=EPS, weight_decay=DECAY)
    for grad in grads:
        parameter.grad = grad.clone()
        optimiser.step()
    return parameter.detach()


@pytest.mark.parametrize("size", [1e-7, 1e-4, 1.0])
def test_steps_equal_the_published_formula(size: float) -> None:
    start, grads = normal(4, 3, seed=1), [size * normal(4, 3, seed=seed) for seed in (2, 3, 4)]
    theta, s = start.clone(), torch.zeros_like(start)
    for grad in grads:
        g = grad + DECAY * theta
        s = ALPHA * s + (1 - ALPHA) * g**2
        theta = theta - LR * g / (s + EPS).sqrt()
    assert error(stepped(RMSpropInside, grads, start), theta) < 1e-14


def test_first_steps_keep_small_gradients_small() -> None:
    """torch's first step is 3.16 lr for any gradient, this one 10^4 lr g for a small one."""
    start = torch.zeros(2, dtype=torch.float64)
    grad = torch.tensor([1e-6, 1.0], dtype=torch.float64)
    inside, outside = (
        stepped(kind, [grad], start) / -LR for kind in (RMSpropInside, torch.optim.RMSprop)
    )
    assert inside.tolist() == pytest.approx([1e-2, 10**0.5], rel=1e-3)
    assert outside.tolist() == pytest.approx([10**0.5] * 2, rel=0.04)


def test_loaded_state_continues_exactly() -> None:
    grads, parameters = [normal(3, seed=seed) for seed in (1, 2)], []
    for broken in (False, True):
        parameter = torch.nn.Parameter(normal(3))
        optimiser = RMSpropInside([parameter], lr=LR)
        for number, grad in enumerate(grads):
            parameter.grad = grad
            if broken and number:
                state, optimiser = optimiser.state_dict(), RMSpropInside([parameter], lr=LR)
                optimiser.load_state_dict(state)
            optimiser.step()
        parameters.append(parameter.detach())
    assert torch.equal(*parameters)
