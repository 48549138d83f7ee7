"""torch's optimisers without their preparation for `torch.compile`.

torch wraps their methods in functions that import torch._dynamo when they are first called, which
takes as long as importing torch. Nothing here is compiled, so the methods are used unwrapped: the
same steps, the same state.
"""

from inspect import unwrap

import torch
from torch.optim import Optimizer


class Eager(Optimizer):
    """The methods that all optimisers share, unwrapped."""

    add_param_group = unwrap(Optimizer.add_param_group)
    state_dict = unwrap(Optimizer.state_dict)
    load_state_dict = unwrap(Optimizer.load_state_dict)


class AdamW(Eager, torch.optim.AdamW):
    """torch's AdamW."""

    step = torch.no_grad()(unwrap(torch.optim.AdamW.step))


class RMSprop(Eager, torch.optim.RMSprop):
    """torch's RMSprop."""

    step = torch.no_grad()(unwrap(torch.optim.RMSprop.step))


class SGD(Eager, torch.optim.SGD):
    """torch's plain gradient descent."""

    step = torch.no_grad()(unwrap(torch.optim.SGD.step))
