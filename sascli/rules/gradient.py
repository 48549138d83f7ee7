"""Gradient descent by torch's optimisers: what gBP and BP have in common."""

import math
from abc import abstractmethod
from collections.abc import Hashable, Iterator, Mapping
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from sascli.config import Optim, RuleSettings
from sascli.core import fused
from sascli.core.backprop import Gradients
from sascli.core.network import KINDS, FeedForward
from sascli.core.optimisers import SGD, AdamW, RMSprop, SlabAdamW
from sascli.core.recurrent import Recurrent
from sascli.core.recurrent_backprop import clip_spectral_
from sascli.core.rmsprop import RMSpropInside
from sascli.core.spike_slab import SpikeSlab
from sascli.core.streams import Generators, fill_normal, fill_on_cpu, streams
from sascli.rules.base import Rule, Setup, addresses, load_optimiser

BLOCK = 2**18
"""Normal draws made at a time and replica on the CPU: enough to be cheap, few enough to stay in
cache. A GPU draws for one step at a time, so that its numbers do not depend on this one."""


class GradientRule(Rule):
    """Steps of an optimiser down gradients that a network computes in place.

    A subclass makes `gradients`, by `make_gradients`, and evaluates the network.
    """

    networks = ("feedforward", "recurrent", "convolutional")
    optimiser: torch.optim.Optimizer

    def __init__(self, network: FeedForward, settings: RuleSettings, setup: Setup) -> None:
        super().__init__(network, settings, setup)
        self.gradients = self.make_gradients()
        self.optimiser = make_optimiser(network, self.gradients.grads, setup)
        self.gradients.before_chain = isinstance(self.optimiser, SlabAdamW)
        self.rates = [group["lr"] for group in self.optimiser.param_groups]  # of epoch 1
        self._block = network.all.new_empty(0, 0)

    @abstractmethod
    def make_gradients(self) -> Gradients:
        """The object that computes the gradients."""

    @property
    def noisy(self) -> bool:
        """Whether a step needs normal draws."""
        return self.network.noisy

    def initialise(self) -> None:
        """Draw the parameters of every layer, then project them."""
        generators = streams(self.setup.seeds, "init")
        for number, layer in enumerate(self.network.layers):
            self.initialise_layer(number, layer, generators)
        self.network.project_()

    def initialise_layer(self, number: int, layer: SpikeSlab, generators: Generators) -> None:
        """m ~ N(0, m_var), or the identity, in layer `number` from 0."""
        m, variance = layer.m.data, self.setup.m_var[number]
        if variance is None:
            m.copy_(torch.eye(*m.shape[1:]))
        else:
            fill_on_cpu(fill_normal, m, generators).mul_(math.sqrt(variance))

    def start_epoch(self, epoch: int) -> None:
        """Start the epoch's stream of noise, and halve the rates that are due."""
        self._noise = streams(self.setup.seeds, "noise", epoch, device=self.network.all.device)
        self._used = self._block.shape[1]  # nothing is left
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            if "halve_every" in group:
                past = epoch if self.setup.optim.halve_early else epoch - 1
                group["lr"] = rate * 0.5 ** (past // group["halve_every"])

    def draw(self, batch: int) -> list[Tensor] | None:
        """Fresh normal draws for one batch, taken from a block for several steps.

        A step takes as many for a smaller batch, so the draws of later steps do not depend on it.
        """
        if not self.noisy:
            return None
        size = self.setup.batch_size * self.network.noise_size
        if self._used + size > self._block.shape[1]:
            steps = max(1, BLOCK // size) if self._block.device.type == "cpu" else 1
            self._block.resize_(len(self.setup.seeds), steps * size)
            fill_normal(self._block, self._noise)
            self._used = 0
        self._used += size
        return self.network.split_noise(self._block[:, self._used - size :], batch)

    def constants(self) -> Hashable | None:
        """The rates, and where the optimiser's state is."""
        rates = [group["lr"] for group in self.optimiser.param_groups]
        state = addresses(self.optimiser)
        return (*rates, *state) if state else None

    def differentiate(self, x: Tensor, y: Tensor, eps: list[Tensor] | None) -> Tensor:
        """Compute the gradients."""
        return self.gradients(x, y, eps)

    def clip(self) -> None:
        """Limit the gradients' spectral norms to `optim.clip`, if it is set."""
        if self.setup.optim.clip is not None:
            grads = self.gradients.grads.values()
            matrices = [matrix for grad in grads for matrix in self.network.split(grad)]
            clip_spectral_(matrices, self.setup.optim.clip)

    def update(self) -> None:
        """One step of the optimiser down the gradients, then the projection."""
        self.optimiser.step()
        self.project()

    def project(self) -> None:
        """Bring the parameters back to where they are allowed after a step; everywhere here."""

    def state(self) -> dict[str, Any]:
        """Parameters and the optimiser's moments."""
        return {"parameters": dict(self.network.flat), "optimiser": self.optimiser.state_dict()}

    @torch.no_grad()
    def load(self, state: dict[str, Any]) -> None:
        """Continue from `state`; rates and decays remain those of `setup`."""
        for kind, value in state["parameters"].items():
            self.network.flat[kind].copy_(value)
        load_optimiser(self.optimiser, state["optimiser"])


def make_optimiser(
    network: FeedForward, grads: Mapping[str, Tensor], setup: Setup
) -> torch.optim.Optimizer:
    """The optimiser of kinds of parameters, the gradients `grads[kind]` attached to them.

    AdamW, theta <- theta - lr (Adam direction + decay theta), RMSprop with coupled decay, or SGD,
    theta <- theta - lr (gradient + decay theta). It has one group of parameters for each set of
    options. Where all layers and replicas have the same rate and decay, a group holds whole kinds
    of parameters, otherwise slices of layers. In the first case AdamW is `SlabAdamW` for large
    networks on the CPU, unless the gradients are needed: to limit or to mask them.
    """
    groups: dict[tuple[tuple[str, float], ...], list[Tensor]] = {}
    for kind, grad in grads.items():
        for lr, decay, parameter, parameter_grad in _parameters(network, kind, grad, setup):
            parameter.grad = parameter_grad
            options = {"lr": lr, "weight_decay": decay} | _special_options(kind, setup.optim)
            groups.setdefault(tuple(options.items()), []).append(parameter)
    params = [{"params": group, **dict(options)} for options, group in groups.items()]
    optim = setup.optim
    on_gpu = network.all.device.type == "cuda"  # counts its steps there: can be captured
    if optim.name == "rmsprop":
        optimiser = RMSpropInside if optim.eps_inside else RMSprop
        return optimiser(params, alpha=optim.beta2, eps=optim.eps, capturable=on_gpu)
    if optim.name == "sgd":
        return SGD(params)
    parameters = [parameter for group in groups.values() for parameter in group]
    # fused AdamW is silently wrong on views with gaps
    contiguous = all(parameter.is_contiguous() for parameter in parameters)
    whole = len(grads) == len(parameters) == len(KINDS) and fused.fit(*parameters)
    changed = optim.clip is not None or isinstance(network, Recurrent)  # the gradients
    adamw = SlabAdamW if whole and not changed else AdamW
    betas = (optim.beta1, optim.beta2)
    return adamw(params, betas=betas, eps=optim.eps, fused=contiguous, capturable=on_gpu)


def _parameters(
    network: FeedForward, kind: str, grad: Tensor, setup: Setup
) -> Iterator[tuple[float, float, Tensor, Tensor]]:
    """Rate, decay, parameters and gradients of all parameters of a kind that share these."""
    options = []
    for name in network.layer_names:
        lr, decay = (t.get(f"{name}.{kind}", t[kind]) for t in (setup.lr, setup.decay))
        options.append(list(zip(lr, decay, strict=True)))
    if len({pair for pairs in options for pair in pairs}) == 1:
        yield *options[0][0], network.flat[kind], grad
        return
    views = (network.split(network.flat[kind]), network.split(grad))
    for pairs, parameter, parameter_grad in zip(options, *views, strict=True):
        start = 0
        for pair, replicas in groupby(pairs):
            stop = start + len(list(replicas))
            yield *pair, parameter[start:stop], parameter_grad[start:stop]
            start = stop


def _special_options(kind: str, optim: Optim) -> dict[str, float]:
    """The optimiser's options that differ for one kind of parameter."""
    options: dict[str, float] = {}
    if optim.halve_every and kind in optim.halve:
        options["halve_every"] = optim.halve_every
    if kind == "pi" and optim.pi == "sgd":  # a mean square that stays 0, so that the root is 1
        options |= {"alpha": 1.0, "eps": 1.0}
    return options
