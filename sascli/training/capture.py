"""Steps as CUDA graphs: one launch in place of hundreds, where the launches take the time."""

from collections.abc import Callable

import torch
from torch import Tensor

from sascli.core.recurrent import Recurrent
from sascli.rules.base import Rule

SMALL = 2**21
"""Weights of all replicas up to which the launches of a feed-forward network take the time."""


def step_of(rule: Rule, capture: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The rule's step, captured where the setting `capture` and the device say so."""
    network = rule.network
    small = isinstance(network, Recurrent) or network.flat["m"].numel() <= SMALL
    chosen = capture == "always" or (capture == "auto" and small)
    return Captured(rule) if chosen and network.all.device.type == "cuda" else rule.step


class Captured:
    """The step of a rule, recorded once and replayed on the same memory.

    Normal draws are made outside the graph: inside, they would be the same at each replay. The
    graph is recorded again when the `constants` of the rule change. The first step, which makes
    the handles of libraries, smaller batches, and steps whose rule has no constants yet are not
    captured. With `optim.clip` there are two graphs,
    between which the norms are read back.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule, self._begun = rule, False
        self._constants: object = None
        self._graphs: list[torch.cuda.CUDAGraph] = []

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """As `Rule.step`; the losses are valid until the next step."""
        rule, constants = self.rule, self.rule.constants()
        if constants is None or x.shape[1] != rule.setup.batch_size or not self._begun:
            self._begun = True
            return rule.step(x, y)
        eps = rule.draw(x.shape[1])
        if constants != self._constants:
            self._record(x, y, eps)
            self._constants = constants
        self._x.copy_(x)
        self._y.copy_(y)
        for graph in self._graphs[:1]:
            graph.replay()
        for graph in self._graphs[1:]:
            rule.clip()
            graph.replay()
        return self._loss

    def _record(self, x: Tensor, y: Tensor, eps: list[Tensor] | None) -> None:
        """Record the step; its operations are not run."""
        rule, clips = self.rule, self.rule.setup.optim.clip is not None
        self._graphs = []  # frees their memory
        self._x, self._y = x.clone(), y.clone()

        def first() -> None:
            self._loss = rule.differentiate(self._x, self._y, eps)
            if not clips:
                rule.update()

        for work in (first, rule.update) if clips else (first,):
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                work()
            self._graphs.append(graph)
