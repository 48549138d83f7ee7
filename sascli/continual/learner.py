"""A population that learns tasks one after another and can be tested on earlier ones."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from sascli.config import METHODS, Continual, alternatives, population, seed_list
from sascli.continual.protection import EWC, VIP, Certainty, Protection
from sascli.continual.sequence import sequence
from sascli.core.fisher import fisher
from sascli.core.streams import streams
from sascli.data import Data
from sascli.data.accuracy import CHUNK
from sascli.rules.gradient import GradientRule
from sascli.training import run as training_run
from sascli.training.loop import one_epoch

PROTECTIONS: dict[str, type[Protection]] = {"ewc": EWC, "vip": VIP, "certainty": Certainty}


class Learner:
    """Replicas that learn by one method: every rate with every strength and every seed.

    A task starts with a new optimiser. Under `split` it also has a new output layer, kept for its
    tests; the other layers are shared by all tasks and protected.
    """

    def __init__(self, config: Continual, data: Data, method: str, strengths: list[float]) -> None:
        """Raises UserError for settings that do not fit the data."""
        seeds = seed_list(config.seeds)
        rule_name = {"name": METHODS[method]}
        config = replace(config, seeds=seeds * len(strengths), rule=rule_name)
        self.epochs, self.batches = config.epochs, config.batches
        self.seeds = [member.seed for member in population(config)]  # by rate, strength, seed
        self.tasks = sequence(config.task, data, config.tasks, self.seeds)
        first = self.tasks[0]
        setup = training_run.setup(config, first)
        self.lr = setup.lr["m"]
        self.strength = [s for _ in alternatives(config.lr) for s in strengths for _ in seeds]
        rule = training_run.rule_maker(config, first)(setup, data.train_x.device)
        assert isinstance(rule, GradientRule)
        self.rule, self.network = rule, rule.network
        protection = PROTECTIONS.get(method, Protection)
        self.protection = protection(rule, data.train_x.new_tensor(self.strength))
        self.separate_heads = config.task == "split"
        self.heads: list[list[Tensor]] = []  # the output layer after each task

    def learn(self, number: int) -> Iterator[int]:
        """Learn task `number`, from 0; yields every epoch, counted over all tasks, at its end."""
        task, epochs, layers = self.tasks[number], self.epochs, self.network.layers
        self.rule.optimiser.state.clear()
        if number == 0:
            self.rule.initialise()
        elif self.separate_heads:
            generators = streams(self.seeds, "head", number)
            self.rule.initialise_layer(len(layers) - 1, layers[-1], generators)
        for epoch in range(number * epochs + 1, (number + 1) * epochs + 1):
            one_epoch(task, self.rule, epoch, self.batches)
            yield epoch
        images = (x for x, _ in task.batches(self.seeds, 0, CHUNK))
        shared = len(layers) - self.separate_heads
        self.protection.remember(lambda: fisher(self.network, images), shared)
        self.heads.append([value.detach().clone() for value in layers[-1].parameters()])

    @torch.no_grad()
    def test(self, number: int) -> list[float]:
        """Mean-field accuracy of every replica on a task that it has learned."""
        task = self.tasks[number]
        if self.separate_heads:
            parameters = self.network.layers[-1].parameters()
            for value, head in zip(parameters, self.heads[number], strict=True):
                value.copy_(head)
        device = task.test_x.device
        noise = streams(self.seeds, f"evaluation {number}", len(self.heads), device=device)
        accuracies: list[float] = task.accuracy(self.rule.predictor(noise)).tolist()
        return accuracies
