"""What keeps earlier tasks while a rule learns the next: a penalty, or steps held back."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sascli.core.spike_slab import SpikeSlab
from sascli.rules.gradient import GradientRule


class Protection:
    """Protects nothing; the others act around the steps of a rule's optimiser."""

    def __init__(self, rule: GradientRule, strength: Tensor) -> None:
        """`strength` (replicas,): each replica's own; 0 protects nothing, bit for bit."""
        self.rule, self.network, self.strength = rule, rule.network, strength.view(-1, 1, 1)

    def remember(self, fisher: Callable[[], Tensor], shared: int) -> None:
        """Protect from now on what the first `shared` layers know: a task has ended.

        `fisher()` is the information about m in that task's images, flat like `flat["m"]`.
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
        for number, own in enumerate(self.network.split(information)):
            own *= self.strength if number < shared else 0
        self.stiffness += information
        self.pull.addcmul_(information, self.network.flat["m"])

    def penalise(self, *_: Any) -> None:
        """Add the penalty's gradient, lambda sum_k F^k (m - m^k)."""
        grad: Tensor = self.rule.gradients.grads["m"]
        grad.addcmul_(self.stiffness, self.network.flat["m"]).sub_(self.pull)


class Held(Protection):
    """Of every step only a share s, 0 to 1, reaches m, pi and Xi of a connection.

    s is decided by the connection's credit at the end of each task and only ever falls. The
    projection comes after; s = 0 leaves the three as they are, bit for bit.
    """

    def __init__(self, rule: GradientRule, strength: Tensor) -> None:
        super().__init__(rule, strength)
        self.share = torch.ones_like(self.network.flat["m"])
        self.before = torch.empty_like(self.network.all)
        rule.optimiser.register_step_pre_hook(self.note)
        rule.optimiser.register_step_post_hook(self.hold)

    @abstractmethod
    def allowed(self, uncertainty: Tensor) -> Tensor:
        """The share that connections of a relative variance may move."""

    def remember(self, fisher: Callable[[], Tensor], shared: int) -> None:
        """Lower the shares of the shared layers to what their credit now allows."""
        layers = zip(self.network.split(self.share)[:shared], self.network.layers, strict=False)
        for own, layer in layers:
            torch.minimum(own, self.allowed(uncertainty(layer)), out=own)

    def note(self, *_: Any) -> None:
        """Keep the parameters from before the step."""
        self.before.copy_(self.network.all)

    def hold(self, *_: Any) -> None:
        """Go only a share of the way."""
        torch.lerp(self.before, self.network.all, self.share, out=self.network.all)


class VIP(Held):
    """s = 0 where v < strength, else 1: the VIPs (v = 0) are frozen, and what comes near them."""

    def allowed(self, uncertainty: Tensor) -> Tensor:
        """All or nothing."""
        return (uncertainty >= self.strength).to(uncertainty.dtype)


class Certainty(Held):
    """s = v^strength: the surer a weight, the shorter its steps; a VIP (v = 0) is frozen."""

    def allowed(self, uncertainty: Tensor) -> Tensor:
        """A power of the relative variance."""
        return uncertainty**self.strength


@torch.no_grad()
def uncertainty(layer: SpikeSlab) -> Tensor:
    """v = Var(w) / rho, in [0, 1]: the variance of every weight over its second moment.

    v is without a unit, 0 for a VIP (of m other than 0) and the spike mass where Xi = 0. Where
    both are 0, as for UIPs, nothing is lost by moving: v = 1.
    """
    var, mu = layer.variance(), layer.mean()
    rho = var + mu * mu
    return torch.where(rho > 0, var / rho, 1.0)
