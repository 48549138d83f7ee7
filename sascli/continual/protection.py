"""Protection of earlier tasks while a rule learns the next: a penalty, or smaller steps."""

from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from sascli.core.spike_slab import SpikeSlab
from sascli.rules.gradient import GradientRule


class Protection:
    """No protection; subclasses act before and after the steps of a rule's optimiser."""

    def __init__(self, rule: GradientRule, strength: Tensor) -> None:
        """`strength` (replicas,); a replica of strength 0 is unprotected, bit for bit."""
        self.rule, self.network, self.strength = rule, rule.network, strength.view(-1, 1, 1)

    def remember(self, fisher: Callable[[], Tensor], shared: int) -> None:
        """Protect the first `shared` layers, as they are at the end of a task, from now on.

        `fisher()` is the information about m in the task's images, flat like `flat["m"]`.
        """


class EWC(Protection):
    r"""Elastic weight consolidation of a network that BP trains.

    .. math::
        C + \frac{\lambda}{2} \sum_k \sum_i F_i^k (m_i - m_i^k)^2

    is minimised, with a term for every earlier task k: m^k are the weights at its end and F^k
    the diagonal of the Fisher information there; lambda is `strength`. The gradient of the
    penalty joins that of C before each step.

    Source: Kirkpatrick et al., PNAS 114, 3521 (2017), Eq. 3.
    """

    def __init__(self, rule: GradientRule, strength: Tensor) -> None:
        super().__init__(rule, strength)
        self.stiffness = torch.zeros_like(self.network.flat["m"])  # lambda sum_k F^k
        self.pull = torch.zeros_like(self.stiffness)  # lambda sum_k F^k m^k
        rule.optimiser.register_step_pre_hook(self.penalise)

    def remember(self, fisher: Callable[[], Tensor], shared: int) -> None:
        """Add the term of the task that has ended."""
        information = fisher()
        for number, layer in enumerate(self.network.split(information)):
            layer *= self.strength if number < shared else 0
        self.stiffness += information
        self.pull.addcmul_(information, self.network.flat["m"])

    def penalise(self, *_: object) -> None:
        """Add the penalty's gradient, lambda sum_k F^k (m - m^k)."""
        grad: Tensor = self.rule.gradients.grads["m"]
        grad.addcmul_(self.stiffness, self.network.flat["m"]).sub_(self.pull)


class SmallerSteps(Protection):
    """Every step of m, pi and Xi of a connection is scaled by s in [0, 1].

    s depends on the connection's credit at the end of each task and never grows. The projection
    comes after the scaling; s = 0 keeps the three parameters, bit for bit.
    """

    def __init__(self, rule: GradientRule, strength: Tensor) -> None:
        super().__init__(rule, strength)
        self.scale = torch.ones_like(self.network.flat["m"])
        self.before = torch.empty_like(self.network.all)
        rule.optimiser.register_step_pre_hook(self.save)
        rule.optimiser.register_step_post_hook(self.shorten)

    @abstractmethod
    def scale_of(self, v: Tensor) -> Tensor:
        """s of connections of relative variance v."""

    def remember(self, fisher: Callable[[], Tensor], shared: int) -> None:
        """Lower s of the shared layers to that of their present v."""
        layers = zip(self.network.split(self.scale)[:shared], self.network.layers, strict=False)
        for scale, layer in layers:
            torch.minimum(scale, self.scale_of(uncertainty(layer)), out=scale)

    def save(self, *_: object) -> None:
        """Save the parameters before a step."""
        self.before.copy_(self.network.all)

    def shorten(self, *_: object) -> None:
        """Scale the step that was made."""
        torch.lerp(self.before, self.network.all, self.scale, out=self.network.all)


class VIP(SmallerSteps):
    """s = 0 where v < strength, else 1: VIPs (v = 0) and VIP-like connections are frozen."""

    def scale_of(self, v: Tensor) -> Tensor:
        """0 or 1."""
        return (v >= self.strength).to(v.dtype)


class Certainty(SmallerSteps):
    """s = v^strength: steps are small for certain weights; a VIP (v = 0) is frozen."""

    def scale_of(self, v: Tensor) -> Tensor:
        """A power of the relative variance."""
        return v**self.strength


@torch.no_grad()
def uncertainty(layer: SpikeSlab) -> Tensor:
    """v = Var(w) / rho in [0, 1]: the variance of every weight over its second moment rho.

    v is dimensionless, 0 for a VIP with m other than 0, and the spike mass where Xi = 0. Where
    Var(w) = rho = 0, as for UIPs, the weight is free to move: v = 1.
    """
    var, mu = layer.variance(), layer.mean()
    rho = var + mu * mu
    return torch.where(rho > 0, var / rho, 1.0)
