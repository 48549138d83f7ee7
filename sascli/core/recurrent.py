r"""The recurrent network of spike-and-slab weights (Zou, Li and Huang, PRE 107, 024307).

One step is one mean-field map over :math:`[r(t-1), x(t)]` and :math:`[w_{rec}, w_{in}]` side by
side, without a prefactor:

.. math::
    u(t) = G + \varepsilon(t) \Delta, \quad
    h(t) = (1-\alpha) h(t-1) + \alpha u(t) + \sqrt{2\alpha} \sigma n(t), \quad
    r = \mathrm{ReLU}(h), \quad y = G_{out} + \varepsilon \Delta_{out}
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sascli.core.backprop import MeanFieldMaps, MeanMaps
from sascli.core.mean_field import mean_field_linear
from sascli.core.network import KINDS, FeedForward, Weights
from sascli.core.products import product
from sascli.core.recurrent_backprop import LOSSES, ThroughTime


@dataclass(frozen=True)
class Dynamics:
    """How a recurrent network runs in time.

    alpha is dt / tau, in (0, 1]; start is h(0), a number or a tensor that broadcasts to
    (replicas, batch, n_rec); sigma is the neurons' noise, which needs eps. With `every_step` the
    network is read out after every step and learns by the squared error, otherwise after the last
    step and by the cross entropy. `loss` is the scale of the squared error, one of `LOSSES`.

    Raises ValueError for another alpha or loss, or fewer than one step.
    """

    steps: int
    alpha: float
    start: float | Tensor = 0.0
    sigma: float = 0.0
    every_step: bool = False
    loss: str = "mean"

    def __post_init__(self) -> None:
        if not (0 < self.alpha <= 1 and self.steps >= 1):
            raise ValueError(f"steps >= 1 and 0 < alpha <= 1, not {self.steps} and {self.alpha}")
        if self.loss not in LOSSES:
            raise ValueError(f"loss is one of {', '.join(LOSSES)}, not {self.loss!r}")

    @property
    def readouts(self) -> int:
        """Number of steps that are read out."""
        return self.steps if self.every_step else 1


class Recurrent(FeedForward):
    """A leaky recurrent network with spike-and-slab weights and the interface of `FeedForward`.

    `widths` is [n_in, n_rec, n_out] and `layers` are in, rec and out, with parameters
    (replicas, n_out, n_in). `flat[kind]` contains [w_rec, w_in] as one matrix, then w_out. Frozen
    parameters (`freeze`) have gradient 0 and are reset by `project_`. `dynamics` may be replaced
    at any time: the weights do not depend on it.

    A sample is one row of steps * n_in numbers, x(1) first; inputs are
    (replicas, batch, steps * n_in), the replicas axis is optional. Outputs are
    (replicas, batch, n_out), with `every_step` (replicas, batch, steps, n_out).
    """

    layer_names = ("in", "rec", "out")

    def __init__(
        self,
        widths: Sequence[int],
        dynamics: Dynamics,
        replicas: int = 1,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        n_in, n_rec, n_out = widths
        super().__init__([n_rec + n_in, n_rec, n_out], replicas, device=device, dtype=dtype)
        self.widths, self.scales, self.dynamics = [n_in, n_rec, n_out], [1.0, 1.0], dynamics
        self.frozen: dict[str, Tensor] = {}  # where, flat
        self._fixed: dict[str, Tensor] = {}  # the values there

    @property
    def prefactors(self) -> Sequence[float]:
        """The factors of the layers' pre-activations: none."""
        return [1.0] * len(self.layers)

    def like(self, replicas: int, device: torch.device | str) -> "Recurrent":
        """A network of the same widths and dynamics with all numbers 0 and nothing frozen.

        The dynamics are shared: h(0), if it is a tensor, is not selected by replica.
        """
        time, dtype = self.dynamics, self.all.dtype
        network = Recurrent(self.widths, time, replicas, device=device, dtype=dtype)
        for kind in self.frozen:
            network._allow_freezing(kind)
        return network

    def tensors(self) -> list[Tensor]:
        """As of a feed-forward network, and where parameters are frozen at which values."""
        flats = (*self.frozen.values(), *self._fixed.values())
        return super().tensors() + [view for flat in flats for view in self.split(flat)]

    def split(self, flat: Tensor) -> list[Tensor]:
        """Views of a flat tensor, one (replicas, n_out, n_in) per layer.

        `matrices` is [w_rec, w_in] side by side, and w_out.
        """
        step, out = self.matrices(flat)
        n_rec = step.shape[-2]
        return [step[..., n_rec:], step[..., :n_rec], out]

    @torch.no_grad()
    def freeze(self, layer: int, kind: str, value: float, where: Tensor | None = None) -> None:
        """Fix one kind of parameter of layer 0, 1 or 2 at a value, everywhere or `where`.

        `where` is boolean and broadcasts to (replicas, n_out, n_in).
        """
        self._allow_freezing(kind)
        frozen = self.split(self.frozen[kind])[layer]
        here = torch.ones_like(frozen) if where is None else where.to(frozen.device)
        frozen.logical_or_(here)
        self.split(self._fixed[kind])[layer].masked_fill_(here, value)
        self.project_()

    def _allow_freezing(self, kind: str) -> None:
        flat = self.flat[kind]
        self.frozen.setdefault(kind, torch.zeros_like(flat, dtype=torch.bool))
        self._fixed.setdefault(kind, torch.zeros_like(flat))

    @torch.no_grad()
    def project_(self) -> "Recurrent":
        """Project pi into [0, 1] and Xi into [0, inf), and reset frozen parameters."""
        super().project_()
        for kind, where in self.frozen.items():
            torch.where(where, self._fixed[kind], self.flat[kind], out=self.flat[kind])
        return self

    @property
    def noisy(self) -> bool:
        """Whether the neurons are noisy."""
        return bool(self.dynamics.sigma)

    def noise_shapes(self, batch: int) -> list[tuple[int, ...]]:
        """Shapes of eps of the steps, eps of the read-out and the neurons' noise, if any."""
        time, (_, n_rec, n_out) = self.dynamics, self.widths
        shapes = [(time.steps, batch, n_rec), (time.readouts, batch, n_out)]
        return [*shapes, shapes[0]] if time.sigma else [*shapes]

    def forward(self, x: Tensor, eps: Sequence[Tensor] | None = None) -> Tensor:
        """Outputs: mean field with `eps` as `split_noise` gives it, the mean network without."""
        if eps is None:
            return self.run(self.mean(), x)
        w_in, w_rec, out = self.layers
        m, pi, xi = (torch.cat([getattr(w, k) for w in (w_rec, w_in)], -1) for k in KINDS)

        def current(t: int, a: Tensor) -> Tensor:
            return mean_field_linear(a, m, pi, xi, eps[0][:, t], scale=1.0)

        rates = self.rates(self.per_replica(x), current, eps)
        a, noise = rates.flatten(1, 2), eps[1].flatten(1, 2)
        y = mean_field_linear(a, out.m, out.pi, out.xi, noise, scale=1.0)
        return self.outputs(y.unflatten(1, rates.shape[1:3]))

    def run(
        self,
        weights: Weights | Callable[[], Weights],
        x: Tensor,
        eps: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """Outputs of networks with these weights, one (networks, n_out, n_in) per layer.

        A function that draws weights is called at every step. Of `eps` only the neurons' noise is
        used; several networks for each of its replicas share it. With w_out = 1 and `every_step`
        the outputs are r(t).
        """
        readouts: list[Tensor] = []

        def draw() -> Tensor:
            w_in, w_rec, w_out = weights() if callable(weights) else weights
            readouts.append(w_out)
            return torch.cat((w_rec, w_in), -1).mT

        step = draw()

        def current(t: int, a: Tensor) -> Tensor:
            nonlocal step
            step = draw() if callable(weights) and t else step
            return product(a, step)

        rates = self.rates(self.per_replica(x, step.shape[0]), current, eps)
        return self.outputs(rates @ torch.stack(readouts[-rates.shape[1] :], 1).mT)

    def rates(
        self,
        x: Tensor,
        current: Callable[[int, Tensor], Tensor],
        eps: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """r(t) at the steps that are read out, (replicas, readouts, batch, n_rec).

        `current(t, a)` is u of step t, counted from 0, from a = [r(t-1), x(t)].
        """
        time = self.dynamics
        noise = eps[2] * (math.sqrt(2 * time.alpha) * time.sigma) if eps and time.sigma else None
        h = x.new_zeros(*x.shape[:2], self.widths[1]) + time.start
        r, readouts = h.relu(), list[Tensor]()
        for t, x_t in enumerate(x.unflatten(-1, (time.steps, -1)).unbind(-2)):
            h = torch.lerp(h, current(t, torch.cat((r, x_t), -1)), time.alpha)
            if noise is not None:
                h = h + noise[:, t].repeat_interleave(len(h) // len(noise), 0)
            r = h.relu()
            if time.every_step:
                readouts.append(r)
        return torch.stack(readouts or [r], 1)

    def outputs(self, y: Tensor) -> Tensor:
        """The network's outputs, from (replicas, readouts, batch, n_out)."""
        return y.transpose(1, 2) if self.dynamics.every_step else y[:, 0]

    def gbp(self) -> ThroughTime:
        """The gBP gradients of this network, through time."""
        return ThroughTime(self, MeanFieldMaps(self, repeated=True))

    def bp(self) -> ThroughTime:
        """The BP gradients of this network, through time."""
        return ThroughTime(self, MeanMaps(self, repeated=True))

    def per_replica(self, x: Tensor, networks: int | None = None) -> Tensor:
        """As of a feed-forward network.

        Raises ValueError for samples that are not steps * n_in long.
        """
        steps, n_in = self.dynamics.steps, self.widths[0]
        if x.shape[-1] != steps * n_in:
            raise ValueError(f"a sample is {steps} steps of {n_in} numbers, not {x.shape[-1]}")
        return super().per_replica(x, networks)
