"""The interface of a learning rule: everything that the training loop knows about it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, ClassVar, Self, TypedDict

import torch
from torch import Tensor

from sascli.config import Optim, RuleSettings
from sascli.core.network import FeedForward
from sascli.core.streams import Generators

MOMENTS = {"exp_avg", "exp_avg_sq", "square_avg"}
"""torch's names for the tensors that AdamW and RMSprop keep for every parameter."""


@dataclass(frozen=True)
class Setup:
    """A rule's inputs besides its own settings, already checked.

    lr and decay hold a number per replica for each kind of parameter (m, pi, xi), and for a kind
    of one layer (rec.pi) where it differs. For each layer m_var is the variance of the initial
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

    def select(self, replicas: slice) -> "Setup":
        """The setup of the chosen replicas."""
        return self.concat([self], replicas)

    @staticmethod
    def concat(setups: Sequence["Setup"], replicas: slice = slice(None)) -> "Setup":
        """The setup of the chosen replicas of all, side by side; the rest is that of the first."""
        first = setups[0]
        seeds = [seed for setup in setups for seed in setup.seeds[replicas]]
        lr = {kind: [lr for s in setups for lr in s.lr[kind][replicas]] for kind in first.lr}
        decay = {
            kind: [d for s in setups for d in s.decay[kind][replicas]] for kind in first.decay
        }
        return replace(first, seeds=seeds, lr=lr, decay=decay)


class Measurement(TypedDict):
    """A row of metrics.csv without its seed and epoch."""

    replica: int
    layer: int
    name: str
    value: float


class Rule(ABC):
    """A learning rule: initialises a network's parameters, trains them by batches, evaluates it.

    The rule does not choose the network. A new rule is one file in this folder with a subclass of
    `Rule` named in `RULE` and its settings, and one YAML in conf/rule/.
    """

    networks: ClassVar[Sequence[str]] = ("feedforward",)
    """The kinds of network (`model.network`) that it can train."""

    optimiser: torch.optim.Optimizer | None = None
    """The optimiser, if there is one; its parameters are views of `network.all`."""

    def __init__(self, network: FeedForward, settings: RuleSettings, setup: Setup) -> None:
        self.network, self.settings, self.setup = network, settings, setup

    @abstractmethod
    def initialise(self) -> None:
        """Draw the initial parameters, each replica's from its own seed."""

    def step(self, x: Tensor, y: Tensor) -> Tensor:
        """Change the parameters by a batch, x (replicas, batch, n) and y; losses (replicas,).

        A rule implements this, or the parts of it below.
        """
        loss = self.differentiate(x, y, self.draw(x.shape[1]))
        self.clip()
        self.update()
        return loss

    def constants(self) -> Hashable | None:
        """The numbers and addresses that a captured step would keep; None: it cannot be captured.

        A rule that has them implements the parts of its step, not the step.
        """
        return None

    def draw(self, batch: int) -> list[Tensor] | None:
        """The normal draws of a step, in the same memory each time, and its work on the host."""
        return None

    def differentiate(self, x: Tensor, y: Tensor, eps: list[Tensor] | None) -> Tensor:
        """Compute the changes by a batch, or make them; losses (replicas,)."""
        raise NotImplementedError

    def clip(self) -> None:  # noqa: B027 - optional
        """Limit the changes; the only part that may wait for the device."""

    def update(self) -> None:  # noqa: B027 - optional
        """Change the parameters."""

    @abstractmethod
    def logits(self, x: Tensor, generator: Generators | None = None) -> Tensor:
        """Outputs of the network as in training, or of the mean network without a generator."""

    def predictor(self, generator: Generators | None = None) -> Callable[[Tensor], Tensor]:
        """`logits` of the present parameters for many batches; a rule may prepare them once."""
        return lambda x: self.logits(x, generator)

    def sample(self, generator: Generators) -> list[Tensor]:
        """Weights of one effective network per replica, for `network.run`."""
        return self.network.sample(generator=generator)

    def start_epoch(self, epoch: int) -> None:  # noqa: B027 - optional
        """Called before the batches of an epoch, counted from 1."""

    def measure(self, x: Tensor) -> list[Measurement]:
        """The rule's own measurements after an epoch, rows of metrics.csv.

        x are the same training images every time, (images, n).
        """
        return []

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """The live numbers that `load` needs to continue the run exactly.

        Plain values; tensors of one dimension, laid out like `network.flat["m"]`; other tensors
        (replicas, ...); under "optimiser" the `state_dict` of `optimiser`, or None.
        """

    @abstractmethod
    def load(self, state: dict[str, Any]) -> None:
        """Continue from `state`."""

    def select(self, replicas: slice) -> Self:
        """A copy of the rule, with its network and optimiser, for the chosen replicas alone.

        It continues exactly as these replicas would have in their population. Plain values of
        `state` are taken over as they are.
        """
        return self._gather([self], replicas)

    @classmethod
    def concat(cls, rules: Sequence[Self]) -> Self:
        """A copy of several rules as one, with their replicas side by side: undoes `select`.

        Settings and plain values of `state` are those of the first; all have the same network
        but for its replicas. The optimiser continues from the largest count of steps.
        """
        return rules[0]._gather(rules, slice(None))

    @torch.no_grad()
    def _gather(self, rules: Sequence[Self], replicas: slice) -> Self:
        """A rule like this one of the chosen replicas of every rule."""
        networks = [rule.network for rule in rules]
        network = FeedForward.concat(networks, self.network.all.device, replicas)
        setup = Setup.concat([rule.setup for rule in rules], replicas)
        result = type(self)(network, self.settings, setup)

        def gather(*values: Any) -> Any:
            first = values[0]
            if isinstance(first, Mapping):
                return {key: gather(*(value[key] for value in values)) for key in first}
            if isinstance(first, list | tuple):
                return [gather(*branches) for branches in zip(*values, strict=True)]
            if not isinstance(first, Tensor):
                return first
            if first.dim() == 0:
                return torch.stack(values).amax()
            if first.dim() > 1:
                return torch.cat([value[replicas] for value in values])
            flat = first.new_empty(network.flat["m"].shape)
            pairs = zip(rules, values, strict=True)
            parts = zip(*(rule.network.split(value) for rule, value in pairs), strict=True)
            for target, part in zip(network.split(flat), parts, strict=True):
                torch.cat([value[replicas] for value in part], out=target)
            return flat

        state = gather(*(rule._portable_state() for rule in rules))
        if result.optimiser is not None:
            result._set_moments(state.pop("optimiser"))
            state["optimiser"] = result.optimiser.state_dict()
        result.load(state)
        return result

    def _portable_state(self) -> dict[str, Any]:
        """`state`, with the optimiser's step and moments, the latter laid out like `network.all`.

        The layout of an optimiser's state depends on the replicas that share their rates.
        """
        state = self.state()
        if self.optimiser is not None:
            moments: dict[str, Tensor] = {}
            steps = []
            for parameter, values in self.optimiser.state.items():
                for name in values.keys() & MOMENTS:
                    moment = moments.setdefault(name, torch.zeros_like(self.network.all))
                    self.network.counterpart(parameter, moment).copy_(values[name])
                steps = [values["step"]]  # of all parameters; none before the first step
            rows = {name: list(moment) for name, moment in moments.items()}
            state["optimiser"] = rows | {"step": steps}
        return state

    def _set_moments(self, rows: Mapping[str, list[Tensor]]) -> None:
        """Fill the optimiser by the moments of `_portable_state`."""
        assert self.optimiser is not None
        moments = {name: torch.stack(rows[name]) for name in rows.keys() & MOMENTS}
        parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        for parameter, step in product(parameters, rows["step"]):
            self.optimiser.state[parameter] = {"step": step.clone()} | {
                name: self.network.counterpart(parameter, moment).clone()
                for name, moment in moments.items()
            }

    def masks(self, replicas: Sequence[int]) -> Iterator[tuple[Tensor, Tensor]]:
        """All live tensors of `state`, with masks of the numbers that belong to the replicas.

        A mask broadcasts to its tensor, so that `torch.where` can restore these replicas only.
        """
        chosen = torch.zeros_like(self.network.all, dtype=torch.bool)
        numbers = torch.arange(self.network.replicas)
        rows = torch.isin(numbers, torch.tensor(replicas)).to(chosen.device)
        for flat in chosen:
            for view in self.network.split(flat):
                view[rows] = True
        state = self.state()
        if state.pop("optimiser", None) is not None and self.optimiser is not None:
            for parameter, values in self.optimiser.state.items():
                part = self.network.counterpart(parameter, chosen)
                yield from ((values[name], part) for name in values.keys() & MOMENTS)
        for tensor in _tensors(state):
            by_replica = rows.view(-1, *[1] * (tensor.dim() - 1))
            yield tensor, chosen[0] if tensor.dim() == 1 else by_replica


def load_optimiser(optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Continue from an optimiser's `state`; its rates and its device's options remain its own."""
    options = [
        {key: value for key, value in group.items() if key != "params"}
        for group in optimiser.param_groups
    ]
    optimiser.load_state_dict(state)
    for group, values in zip(optimiser.param_groups, options, strict=True):
        group.update(values)


def addresses(optimiser: torch.optim.Optimizer | None) -> list[int]:
    """Addresses of an optimiser's state; none before its first step."""
    states = optimiser.state.values() if optimiser is not None else ()
    return [tensor.data_ptr() for state in states for tensor in _tensors(state)]


def _tensors(tree: Any) -> Iterator[Tensor]:
    """The tensors in nested dictionaries and lists."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, Mapping | list | tuple):
        for branch in tree.values() if isinstance(tree, Mapping) else tree:
            yield from _tensors(branch)
