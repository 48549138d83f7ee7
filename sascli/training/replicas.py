"""Some of a population's replicas: taken out of it, and put together again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from sascli.core.network import KINDS, FeedForward
from sascli.rules.base import Rule, Setup

MOMENTS = {
    "AdamW": ("exp_avg", "exp_avg_sq"),
    "RMSprop": ("square_avg",),
    "RMSpropInside": ("square_avg",),
}
"""What an optimiser keeps of every parameter, by the names that torch gives it."""


def some(setup: Setup, which: slice) -> Setup:
    """The setup of some of the replicas."""
    lr = {kind: values[which] for kind, values in setup.lr.items()}
    decay = {kind: values[which] for kind, values in setup.decay.items()}
    return replace(setup, seeds=setup.seeds[which], lr=lr, decay=decay)


@torch.no_grad()
def alone(network: FeedForward, replica: int) -> FeedForward:
    """One replica as a network, copied; nothing of it frozen."""
    one = network.like(1, network.all.device)
    for kind in KINDS:
        views = zip(one.split(one.flat[kind]), network.split(network.flat[kind]), strict=True)
        for view, source in views:
            view[0].copy_(source[replica])
    if network.r:
        one.decorrelate([r[replica : replica + 1].clone() for r in network.r], network.slope)
    return one


def joined(networks: Sequence[FeedForward]) -> FeedForward:
    """A network on the CPU whose replicas are those of all the networks, copied."""
    whole = networks[0].like(sum(network.replicas for network in networks), "cpu")
    start = 0
    for network in networks:
        for kind in KINDS:
            views = zip(
                whole.split(whole.flat[kind]), network.split(network.flat[kind]), strict=True
            )
            for view, own in views:
                view[start : start + network.replicas].copy_(own)
        start += network.replicas
    if networks[0].r:
        parts = zip(*(network.r for network in networks), strict=True)
        r = [torch.cat(own).to(whole.flat["m"].device) for own in parts]
        whole.decorrelate(r, networks[0].slope)
    return whole


@torch.no_grad()
def hand_over(source: Rule, target: Rule, these: slice, those: slice) -> None:
    """Copy all that one rule keeps of `these` of its replicas to `those` of another's.

    What a rule keeps is its `state`: flat tensors laid out like `network.flat["m"]`, tensors of
    shape (replicas, ...), and the state of its optimiser.
    """
    for given, taken in zip(_numbers(source), _numbers(target), strict=True):
        taken[those].copy_(given[these])
    for step in _steps(target):
        step.copy_(_steps(source)[0])


class Held:
    """All numbers that a rule keeps of some of its replicas, as they are now.

    `restore` puts them back, parameters and the optimiser's state, in place and without waiting
    for the device: those replicas stand still while their companions learn.
    """

    @torch.no_grad()
    def __init__(self, rule: Rule, replicas: Sequence[int]) -> None:
        mask = torch.zeros_like(rule.network.all, dtype=torch.bool)
        for flat in mask:
            for view in rule.network.split(flat):
                view[list(replicas)] = True
        state, pairs = rule.state(), list[tuple[Tensor, Tensor]]()
        if state.pop("optimiser", None) is not None:
            pairs += _moments(rule, mask)
        for tensor in _leaves(state):
            if tensor.dim() == 1:
                pairs.append((tensor, mask[0]))
            else:
                shape = (-1, *[1] * (tensor.dim() - 1))
                which = torch.zeros(len(tensor), dtype=torch.bool)
                which[list(replicas)] = True
                pairs.append((tensor, which.view(shape).to(tensor.device)))
        self._parts = [(tensor, where, tensor.clone()) for tensor, where in pairs]

    @torch.no_grad()
    def restore(self) -> None:
        """Put the numbers back."""
        for tensor, where, value in self._parts:
            torch.where(where, value, tensor, out=tensor)


def _moments(rule: Any, mask: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """The moments of a rule's optimiser, each with its part of a tensor like `network.all`."""
    for p, moments in rule.optimiser.state.items():
        part = mask.as_strided(p.shape, p.stride(), p.storage_offset())
        for name in MOMENTS[type(rule.optimiser).__name__]:
            yield moments[name], part


def _numbers(rule: Rule) -> Iterator[Tensor]:
    """All numbers that a rule keeps, each a live view whose first axis is that of the replicas."""
    state = rule.state()
    if state.get("optimiser") is not None:
        state["optimiser"] = _laid_out(rule)
    for tensor in _leaves(state):
        if tensor.dim() == 1:
            yield from rule.network.split(tensor)
        else:
            yield tensor


def _leaves(tree: Any) -> Iterator[Tensor]:
    """The tensors in nested dictionaries and lists."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, Mapping | list | tuple):
        for branch in tree.values() if isinstance(tree, Mapping) else tree:
            yield from _leaves(branch)


def _laid_out(rule: Any) -> list[Tensor]:
    """The moments of a rule's optimiser, moved into tensors laid out like its network's `all`.

    How the optimiser cuts them depends on which replicas share their rates; this layout does not.
    """
    parameters = [p for group in rule.optimiser.param_groups for p in group["params"]]
    rows: list[Tensor] = []
    for name in MOMENTS[type(rule.optimiser).__name__]:
        moved = torch.zeros_like(rule.network.all)
        for p in parameters:
            own = rule.optimiser.state[p]
            place = moved.as_strided(p.shape, p.stride(), p.storage_offset())
            own[name] = place.copy_(own[name]) if name in own else place
            own.setdefault("step", torch.zeros(()))
        rows += moved
    return rows


def _steps(rule: Any) -> list[Tensor]:
    """The counts of steps in a rule's optimiser, all of them equal."""
    optimiser = getattr(rule, "optimiser", None)
    return [] if optimiser is None else [own["step"] for own in optimiser.state.values()]
