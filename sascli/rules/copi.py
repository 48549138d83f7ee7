"""Constrained parameter inference (Ahmad, Schrader and van Gerven, arXiv:2203.13203)."""

import math
from abc import abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sascli.config import Need, Never, RuleSettings, setting
from sascli.core.copi import Decorrelated, correlation, decorrelate_, infer_, mean_square
from sascli.core.network import FeedForward
from sascli.core.streams import Generators, fill_normal, fill_on_cpu, streams
from sascli.errors import UserError
from sascli.rules.base import Measurement, Rule, Setup, addresses, load_optimiser


@dataclass
class COPISettings(RuleSettings):
    """Settings of COPI; the rates are lr.m of W and lr.r of R.

    There is no optimiser, and W has no distribution.
    """

    needs = dict.fromkeys(
        ("lr.pi", "lr.xi", "decay.pi", "decay.xi", "init*", "optim*", "eval.redraw",
         "model.prefactor"), Never()
    )  # fmt: skip
    credit: str = setting(
        "bp",
        "how p is carried down: bp, through W and R; fa, through fixed random matrices",
        choices=("bp", "fa"),
    )
    decorrelation: str = setting(
        "global",
        "global: dR = -lr.r C R; local: -lr.r R C",
        Need("lr.r", "it is used with lr.r above 0", lambda rate: rate != 0),
        choices=("global", "local"),
    )
    decorrelation_epochs: int = setting(1, "first epochs, in which R alone learns", ge=0)
    gain: float = setting(1000.0, "p = -gain dC/da at the output", gt=0, lt=float("inf"))
    slope: float = setting(0.1, "slope of the leaky ReLU below 0", ge=0, le=1)


class DecorrelatedRule(Rule):
    """W learns by perturbations p, on inputs that R decorrelates; a subclass says how."""

    settings: COPISettings

    def __init__(self, network: FeedForward, settings: COPISettings, setup: Setup) -> None:
        super().__init__(network, settings, setup)
        for name in ("halve_every", "clip"):
            if getattr(setup.optim, name) is not None:
                raise UserError(f"rule={settings.name} has no optim.{name}: leave it null")
        self.lr, self.decay = self._rates(setup.lr["m"]), self._rates(setup.decay["m"])
        self.lr_r = self._rates(setup.lr["r"])
        self.layers = Decorrelated(network, self.settings.slope)
        if self.settings.credit == "fa":
            self.layers.feedback = [torch.empty_like(w) for w in self.layers.w[1:]]
            self._xavier(self.layers.feedback, "feedback")
        self.learning, self.decorrelating = True, bool(self.lr_r.any())
        self._effective: list[Tensor] | None = None

    def _rates(self, values: Sequence[float]) -> Tensor:
        """One number per replica, for its matrices: (replicas, 1, 1)."""
        rates: Tensor = self.network.flat["m"].new_tensor(values)
        return rates.view(-1, 1, 1)

    def _xavier(self, matrices: Sequence[Tensor], purpose: str) -> None:
        """Draw each matrix from N(0, 2 / (n_in + n_out)), every replica's from its own seed."""
        generators = streams(self.setup.seeds, purpose)
        for w in matrices:
            fill_on_cpu(fill_normal, w, generators).mul_(
                math.sqrt(2 / (w.shape[-1] + w.shape[-2]))
            )

    def initialise(self) -> None:
        """W as Xavier normal, R the identity."""
        self._xavier(self.layers.w, "init")

    def start_epoch(self, epoch: int) -> None:
        """W is frozen during the first `decorrelation_epochs`."""
        self.learning = epoch > self.settings.decorrelation_epochs

    def constants(self) -> Hashable | None:
        """Whether W learns, and where its optimiser's state is."""
        state = addresses(self.optimiser)
        ready = state or self.optimiser is None or not self.learning
        return (self.learning, *state) if ready else None

    def draw(self, batch: int) -> None:
        """Forget the effective weights of the last test; there is no noise."""
        self._effective = None

    @torch.no_grad()
    def differentiate(self, x: Tensor, y: Tensor, eps: list[Tensor] | None) -> Tensor:
        """Compute and make the changes."""
        inputs, activations = self.layers.forward(x)
        powers = [mean_square(x) for x in inputs]
        loss, slope = self.layers.squared_error(activations[-1], y)
        if self.learning:
            p = self.layers.perturbations(activations, slope.mul_(-self.settings.gain))
            for number, parts in enumerate(zip(inputs, powers, activations, p, strict=True)):
                self.learn(number, *parts)
            if self.optimiser is not None:
                self.optimiser.step()
        if self.decorrelating:
            for r, x, power in zip(self.layers.r, inputs, powers, strict=True):
                decorrelate_(r, x, power, self.lr_r, local=self.settings.decorrelation == "local")
        return loss

    @abstractmethod
    def learn(self, number: int, x: Tensor, power: Tensor, a: Tensor, p: Tensor) -> None:
        """Change W of layer `number` from 0, by decorrelated inputs x, <x^2>, activations and p.

        If there is an `optimiser`, fill the gradient for its step instead.
        """

    @torch.no_grad()
    def logits(self, x: Tensor, generator: Generators | None = None) -> Tensor:
        """Output activations; there is no noise."""
        if self._effective is None:
            self._effective = self.network.mean()
        return self.network.run(self._effective, x)

    @torch.no_grad()
    def measure(self, x: Tensor) -> list[Measurement]:
        """Mean absolute correlations of every layer's inputs, for images x.

        `correlation` is that of x = R y, the inputs of W, and `correlation_before` that of y.
        """
        inputs, activations = self.layers.forward(x)
        before = [self.network.per_replica(x), *map(self.layers.outputs, activations[:-1])]
        named = {"correlation": inputs, "correlation_before": before}
        keys = [(name, layer) for name in named for layer, _ in enumerate(named[name], 1)]
        values = torch.stack([correlation(named[name][layer - 1]) for name, layer in keys])
        return [
            {"replica": replica, "layer": layer, "name": name, "value": value}
            for (name, layer), row in zip(keys, values.tolist(), strict=True)
            for replica, value in enumerate(row)
        ]

    def state(self) -> dict[str, Any]:
        """W of every layer (flat), R, the random matrices of credit=fa, and the optimiser, if any.

        The random matrices because earlier versions drew others on a GPU.
        """
        state = {"m": self.network.flat["m"], "r": self.layers.r}
        optimiser = {} if self.optimiser is None else {"optimiser": self.optimiser.state_dict()}
        feedback = {"feedback": self.layers.feedback} if self.layers.feedback else {}
        return state | feedback | optimiser

    @torch.no_grad()
    def load(self, state: dict[str, Any]) -> None:
        """Continue from `state`; without feedback in it (older versions) the seed's remains."""
        self._effective = None
        self.network.flat["m"].copy_(state["m"])
        matrices = [*self.layers.r, *(self.layers.feedback if "feedback" in state else ())]
        for matrix, value in zip(matrices, [*state["r"], *state.get("feedback", ())], strict=True):
            matrix.copy_(value)
        if self.optimiser is not None:
            load_optimiser(self.optimiser, state["optimiser"])


class COPI(DecorrelatedRule):
    """W infers its values from z* = a + p."""

    def learn(self, number: int, x: Tensor, power: Tensor, a: Tensor, p: Tensor) -> None:
        """W <- W + lr (<(a + p) x^T> - W diag<x^2> - decay W)."""
        infer_(self.layers.w[number], x, a + p, self.lr, power + self.decay)


RULE = COPI
