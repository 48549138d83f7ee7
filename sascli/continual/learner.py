"""A population that learns tasks one after another and can be tested on those before."""

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor

from sascli import rules
from sascli.config import (
    METHODS,
    Continual,
    alternatives,
    population,
    rule_settings,
    seed_list,
)
from sascli.continual.protection import EWC, VIP, Certainty, Protection
from sascli.continual.sequence import sequence
from sascli.core.fisher import fisher
from sascli.core.streams import streams
from sascli.data import Data
from sascli.data.accuracy import CHUNK
from sascli.rules.gradient import GradientRule
from sascli.training import run as training_run
from sascli.training.loop import one_epoch
from sascli.training.networks import make_network

PROTECTIONS: dict[str, type[Protection]] = {"ewc": EWC, "vip": VIP, "certainty": Certainty}


class Learner:
    """Replicas that learn by one method: every rate with every strength and every seed.

    A task begins with a fresh optimiser. Under `split` it has an output layer of its own, drawn
    anew and kept to test it; all other layers go from task to task and are protected.
    """

    def __init__(self, config: Continual, data: Data, method: str, tried: list[float]) -> None:
        """`tried` are the strengths. Raises UserError for settings that cannot be."""
        seeds = seed_list(config.seeds)
        self.config = replace(config, seeds=seeds * len(tried))
        members = population(self.config)  # by rate, then strength, then seed
        self.seeds = [member.seed for member in members]
        self.lr = [member.lr["m"] for member in members]
        self.strength = [s for _ in alternatives(config.lr) for s in tried for _ in seeds]
        self.tasks = sequence(config.task, data, config.tasks, self.seeds)
        first = self.tasks[0]
        self.network = make_network(config, first, len(members), data.train_x.device)
        settings = rule_settings({"name": METHODS[method]})
        kind = rules.rule_class(settings)
        self.rule = cast(
            GradientRule, kind(self.network, settings, training_run.setup(self.config, first))
        )
        protection = PROTECTIONS.get(method, Protection)
        self.protection = protection(self.rule, data.train_x.new_tensor(self.strength))
        self.own_heads = config.task == "split"
        self.heads: list[list[Tensor]] = []

    def learn(self, number: int) -> Iterator[int]:
        """Learn task `number`, from 0; the number of each epoch, counted through, as it ends."""
        task, epochs, layers = self.tasks[number], self.config.epochs, self.network.layers
        self.rule.optimiser.state.clear()
        if number == 0:
            self.rule.initialise()
        elif self.own_heads:
            drawn = streams(self.seeds, "head", number, device=task.train_x.device)
            self.rule.initialise_layer(len(layers) - 1, layers[-1], drawn)
        for epoch in range(number * epochs + 1, (number + 1) * epochs + 1):
            one_epoch(self.config, task, self.rule, epoch)
            yield epoch
        images = (x for x, _ in task.batches(self.seeds, 0, CHUNK))
        shared = len(layers) - self.own_heads
        self.protection.remember(lambda: fisher(self.network, images), shared)
        self.heads.append([value.detach().clone() for value in layers[-1].parameters()])

    @torch.no_grad()
    def test(self, number: int) -> list[float]:
        """Every replica's accuracy on a task that it has learned, mean-field evaluation."""
        task = self.tasks[number]
        if self.own_heads:
            parameters = self.network.layers[-1].parameters()
            for value, own in zip(parameters, self.heads[number], strict=True):
                value.copy_(own)
        device = task.test_x.device
        noise = streams(self.seeds, f"evaluation {number}", len(self.heads), device=device)
        right = task.accuracy(lambda x: self.rule.logits(x, noise))
        return [float(value) for value in right]
