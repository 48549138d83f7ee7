"""What a learning rule is: the one thing the training loop knows about it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, ClassVar

import torch
from torch import Tensor

from sascli.config import Optim, RuleSettings
from sascli.core.network import FeedForward
from sascli.core.rmsprop import RMSpropInside
from sascli.core.streams import Generators
from sascli.errors import UserError


@dataclass(frozen=True)
class Setup:
    """What a rule is given besides its own settings, already checked.

    lr and decay hold a number per replica for each kind of parameter (m, pi, xi), and for a kind
    of one layer (rec.pi) where it has its own. For each layer m_var is the variance of the initial
    m, None for the identity, and xi_max the end of the initial Uniform(0, xi_max) of Xi.
    """

    seeds: Sequence[int]
    batch_size: int
    lr: Mapping[str, Sequence[float]]
    decay: Mapping[str, Sequence[float]]
    optim: Optim
    m_var: Sequence[float | None]
    pi: float
    xi_max: Sequence[float]


class Rule(ABC):
    """A learning rule: makes a network's parameters, changes them by a batch, evaluates it.

    It is handed a network and does not choose one. A new rule is one file in this folder with a
    subclass called `Rule`'s child and named in `RULE`, its settings, and one YAML in conf/rule/.
    """

    networks: ClassVar[Sequence[str]] = ("feedforward",)
    """The kinds of network (`model.network`) that it can train."""

    def __init__(self, network: FeedForward, settings: RuleSettings, setup: Setup) -> None:
        self.network, self.settings, self.setup = network, settings, setup

    @abstractmethod
    def initialise(self) -> None:
        """Draw the initial parameters, each replica's from its own seed."""

    @abstractmethod
    def step(self, x: Tensor, y: Tensor) -> Tensor:
        """Change the parameters by a batch, x (replicas, batch, n) and y; losses (replicas,)."""

    @abstractmethod
    def logits(self, x: Tensor, generator: Generators | None = None) -> Tensor:
        """Outputs of the network as in training, or of the mean network without a generator."""

    def sample(self, generator: Generators) -> list[Tensor]:
        """Weights of one effective network per replica, for `network.run`."""
        return self.network.sample(generator=generator)

    def start_epoch(self, epoch: int) -> None:  # noqa: B027 - optional
        """Called before the batches of an epoch, counted from 1."""

    def measure(self, x: Tensor) -> list[dict[str, Any]]:
        """Rows (replica, layer, name, value) of the rule's own measurements after an epoch.

        x are the same training images every time, (images, n).
        """
        return []

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Tensors and plain values that, given back to `load`, continue the run exactly."""

    @abstractmethod
    def load(self, state: dict[str, Any]) -> None:
        """Continue from `state`."""


def one(values: Sequence[float], what: str) -> float:
    """The number that all replicas share. Raises UserError where they differ."""
    if len(set(values)) > 1:
        raise UserError(f"this rule takes one {what} for all replicas, not a list")
    return values[0]


def parameter_groups(
    network: FeedForward, grads: Mapping[str, Tensor], setup: Setup
) -> list[dict[str, Any]]:
    """The optimiser's groups, one for each set of options, with the gradients attached.

    Where all layers and replicas have the same rate and decay, a group holds whole kinds of
    parameters; else it holds every layer's slice of the replicas in question.
    """
    groups: dict[tuple[tuple[str, Any], ...], list[Tensor]] = {}
    for kind, grad in grads.items():
        for pair, part, own in _parts(network, kind, grad, setup):
            part.grad = own
            options = {"lr": pair[0], "weight_decay": pair[1]} | own_options(kind, setup.optim)
            groups.setdefault(tuple(options.items()), []).append(part)
    return [{"params": params, **dict(options)} for options, params in groups.items()]


def _parts(
    network: FeedForward, kind: str, grad: Tensor, setup: Setup
) -> Iterator[tuple[tuple[float, float], Tensor, Tensor]]:
    """Rate and decay, parameters and gradients of what shares them, for one kind."""
    flat, pairs = network.flat[kind], []
    for name in network.layer_names:
        lr, decay = (t.get(f"{name}.{kind}", t[kind]) for t in (setup.lr, setup.decay))
        pairs.append(list(zip(lr, decay, strict=True)))
    if len({pair for own in pairs for pair in own}) == 1:
        yield pairs[0][0], flat, grad
        return
    views = (network.split(flat), network.split(grad))
    for own, part, change in zip(pairs, *views, strict=True):
        start = 0
        for pair, members in groupby(own):
            stop = start + len(list(members))
            yield pair, part[start:stop], change[start:stop]
            start = stop


def own_options(kind: str, optim: Optim) -> dict[str, Any]:
    """What the optimiser does differently for one kind of parameter."""
    options: dict[str, Any] = {}
    if optim.halve_every and kind in optim.halve:
        options["halve_every"] = optim.halve_every
    if kind == "pi" and optim.pi == "sgd":  # a mean square that stays 0, so that the root is 1
        options |= {"alpha": 1.0, "eps": 1.0}
    return options


def make_optimiser(groups: list[dict[str, Any]], optim: Optim) -> torch.optim.Optimizer:
    """AdamW, theta <- theta - lr (Adam direction + decay theta), or RMSprop with coupled decay."""
    if optim.name == "rmsprop":
        kind = RMSpropInside if optim.eps_inside else torch.optim.RMSprop
        return kind(groups, alpha=optim.beta2, eps=optim.eps)
    # fused AdamW is silently wrong on views with gaps
    fused = all(part.is_contiguous() for group in groups for part in group["params"])
    return torch.optim.AdamW(groups, betas=(optim.beta1, optim.beta2), eps=optim.eps, fused=fused)
