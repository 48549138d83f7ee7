r"""RMSprop with epsilon inside the root, as published for the multisensory task (PRE 107, 024307).

.. math::
    s \leftarrow \alpha s + (1 - \alpha) g^2, \quad
    \theta \leftarrow \theta - \eta \, g / \sqrt{s + \epsilon}

with s = 0 initially. torch's form divides by :math:`\sqrt s + \epsilon`: its first step is
:math:`\eta / \sqrt{1 - \alpha}` for any g. Here a gradient far below :math:`\sqrt\epsilon` gives
a proportionally small step.
"""

from typing import Any

import torch

from sascli.core.optimisers import RMSprop


class RMSpropInside(RMSprop):
    """torch's RMSprop except for the place of epsilon: the same options, the same state.

    The gradient g includes `weight_decay` times the parameter. Centring, momentum and torch's
    other variants are not used. A step does not wait for the device.
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step down the gradients."""
        for group in self.param_groups:
            alpha = group["alpha"]
            for parameter in group["params"]:
                state = self.state[parameter]
                if not state:
                    device = parameter.device if group["capturable"] else None
                    state["step"] = torch.zeros((), device=device)
                    state["square_avg"] = torch.zeros_like(parameter)
                state["step"] += 1
                grad = parameter.grad.add(parameter, alpha=group["weight_decay"])
                square = state["square_avg"].mul_(alpha).addcmul_(grad, grad, value=1 - alpha)
                parameter.addcdiv_(grad, (square + group["eps"]).sqrt_(), value=-group["lr"])
