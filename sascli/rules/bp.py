"""Back-propagation: the same network with m alone, pi and Xi fixed at 0."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sascli.config import RuleSettings
from sascli.core.network import FeedForward
from sascli.core.recurrent_backprop import clip_spectral_
from sascli.core.streams import Generators, fill_normal, streams
from sascli.rules.base import Rule, Setup, make_optimiser, parameter_groups

BLOCK = 2**18
"""Normal draws made at a time and replica: enough to be cheap, few enough to stay in cache."""


class BP(Rule):
    """Gradient descent on m: the limit pi = Xi = 0 of gBP."""

    networks = ("feedforward", "recurrent")

    def __init__(self, network: FeedForward, settings: RuleSettings, setup: Setup) -> None:
        super().__init__(network, settings, setup)
        self.gradients = self.make_gradients()
        grads: Mapping[str, Tensor] = self.gradients.grads
        self.optimiser = make_optimiser(parameter_groups(network, grads, setup), setup.optim)
        self.rates = [group["lr"] for group in self.optimiser.param_groups]  # of epoch 1

    def make_gradients(self) -> Any:
        """The object that computes the gradients."""
        return self.network.bp()

    @property
    def noisy(self) -> bool:
        """Whether a step needs normal draws."""
        return self.network.noisy

    def initialise(self) -> None:
        """m ~ N(0, m_var), or the identity, in every layer."""
        generators = streams(self.setup.seeds, "init", device=self.network.flat["m"].device)
        for number, layer in enumerate(self.network.layers):
            self.initialise_layer(number, layer, generators)
        self.network.project_()

    def initialise_layer(self, number: int, layer: Any, generators: Generators) -> None:
        """Draw one layer's parameters."""
        m, variance = layer.m.data, self.setup.m_var[number]
        if variance is None:
            m.copy_(torch.eye(*m.shape[1:]))
        else:
            fill_normal(m, generators).mul_(math.sqrt(variance))

    def start_epoch(self, epoch: int) -> None:
        """Begin the epoch's own stream of noise, and halve the rates that are to be halved."""
        device = self.network.flat["m"].device
        self._noise = streams(self.setup.seeds, "noise", epoch, device=device)
        self._block, self._used = self.network.flat["m"].new_empty(0, 0), 0
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            if "halve_every" in group:
                past = epoch if self.setup.optim.halve_early else epoch - 1
                group["lr"] = rate * 0.5 ** (past // group["halve_every"])

    def _eps(self, batch: int) -> list[Tensor] | None:
        """Fresh normal draws for one batch, taken from a block of several steps' worth.

        A step's share does not depend on the batch, so neither do the draws of a later step.
        """
        if not self.noisy:
            return None
        share = self.setup.batch_size * self.network.noise_size
        if self._used + share > self._block.shape[1]:
            self._block.resize_(len(self.setup.seeds), max(1, BLOCK // share) * share)
            fill_normal(self._block, self._noise)
            self._used = 0
        self._used += share
        return self.network.split_noise(self._block[:, self._used - share :], batch)

    def step(self, x: Tensor, y: Tensor) -> Tensor:
        """One step of the optimiser down the gradient of the batch."""
        loss: Tensor = self.gradients(x, y, self._eps(x.shape[1]))
        if self.setup.optim.clip is not None:
            for grad in self.gradients.grads.values():
                clip_spectral_(self.network.split(grad), self.setup.optim.clip)
        self.optimiser.step()
        return loss

    @torch.no_grad()
    def logits(self, x: Tensor, generator: Generators | None = None) -> Tensor:
        """Outputs of the network; of noise there is only the neurons' own."""
        weights = [layer.m for layer in self.network.layers]
        if generator is None or not self.noisy:
            return self.network.run(weights, x)
        return self.network.run(weights, x, self.network.draw_noise(x.shape[-2], generator))

    def state(self) -> dict[str, Any]:
        """Parameters and the optimiser's moments."""
        return {"parameters": dict(self.network.flat), "optimiser": self.optimiser.state_dict()}

    @torch.no_grad()
    def load(self, state: dict[str, Any]) -> None:
        """Continue from `state`."""
        for kind, value in state["parameters"].items():
            self.network.flat[kind].copy_(value)
        own = [
            {key: value for key, value in group.items() if key != "params"}
            for group in self.optimiser.param_groups
        ]
        self.optimiser.load_state_dict(state["optimiser"])
        for group, options in zip(self.optimiser.param_groups, own, strict=True):
            group.update(options)


RULE = BP
