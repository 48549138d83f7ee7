"""torch's optimisers without their preparation for `torch.compile`.

torch wraps their methods in functions that import torch._dynamo when they are first called, which
takes as long as importing torch. Nothing here is compiled, so the methods are used unwrapped: the
same steps, the same state.
"""

import math
from inspect import unwrap
from typing import Any

import torch
from torch.optim import Optimizer

from sascli.core import fused


class Eager(Optimizer):
    """The methods that all optimisers share, unwrapped."""

    add_param_group = unwrap(Optimizer.add_param_group)
    state_dict = unwrap(Optimizer.state_dict)
    load_state_dict = unwrap(Optimizer.load_state_dict)


class AdamW(Eager, torch.optim.AdamW):
    """torch's AdamW."""

    step = torch.no_grad()(unwrap(torch.optim.AdamW.step))


class SlabAdamW(AdamW):
    """AdamW of all m, pi and Xi of a network on the CPU, from dC/dmu and 2 dC/dv.

    The gradients of m and Xi are those of mu and v, before the chain rule, which is in the same
    pass over the parameters as the step. Steps equal those of `AdamW` to rounding, and the state
    is the same.
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step down the gradients; the projection is not part of it."""
        pairs = [(p, group) for group in self.param_groups for p in group["params"]]
        pairs.sort(key=lambda pair: pair[0].data_ptr())  # m, pi and Xi are rows of one tensor
        parameters, groups = zip(*pairs, strict=True)
        states = [self.state[parameter] for parameter in parameters]
        for parameter, state in zip(parameters, states, strict=True):
            if not state:
                state["step"] = torch.zeros(())
                state["exp_avg"] = torch.zeros_like(parameter)
                state["exp_avg_sq"] = torch.zeros_like(parameter)
            state["step"] += 1
        count, (beta1, beta2), rates = states[0]["step"].item(), groups[0]["betas"], {}
        for kind, group in zip(("m", "pi", "xi"), groups, strict=True):
            rates[f"keep_{kind}"] = 1 - group["lr"] * group["weight_decay"]
            rates[f"rate_{kind}"] = group["lr"] / (1 - beta1**count)
        fused.adamw(
            *parameters, parameters[0].grad, parameters[2].grad,
            *(state["exp_avg"] for state in states), *(state["exp_avg_sq"] for state in states),
            **rates, root=1 / math.sqrt(1 - beta2**count),
            rest1=1 - beta1, beta2=beta2, rest2=1 - beta2, eps=groups[0]["eps"],
        )  # fmt: skip


class RMSprop(Eager, torch.optim.RMSprop):
    """torch's RMSprop."""

    step = torch.no_grad()(unwrap(torch.optim.RMSprop.step))


class SGD(Eager, torch.optim.SGD):
    """torch's plain gradient descent."""

    step = torch.no_grad()(unwrap(torch.optim.SGD.step))
