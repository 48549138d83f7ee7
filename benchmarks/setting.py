"""Training steps at a setting around the published one, and their memory."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing import get_context

import torch
from torch import Tensor

from benchmarks.step import BATCH, WIDTHS, make_rule
from sascli.rules.bp import BP
from sascli.rules.gbp import GBP
from sascli.training.memory import free, largest_resident_set

RULES = {"gbp": GBP, "bp": BP}
FEW = 5
"""Replicas compared with a single one if the setting has one."""


@dataclass(frozen=True)
class Setting:
    """The published setting by default."""

    width: int = 100
    depth: int = 4
    train_size: int = 10_000
    replicas: int = 1

    @property
    def widths(self) -> Sequence[int]:
        """Neurons of all layers."""
        return [WIDTHS[0], *[self.width] * (self.depth - 2), WIDTHS[-1]]


def images(count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Random images and labels; four fifths of the pixels are dark."""
    x = torch.empty(count, WIDTHS[0], device=device).uniform_(-4, 1).clamp_(min=0)
    return x, torch.randint(WIDTHS[-1], (count,), device=device)


class Steps:
    """Training steps as in `sas train`, each replica with its own order of images."""

    def __init__(self, name: str, setting: Setting, x: Tensor, y: Tensor) -> None:
        self.x, self.y, self.replicas = x, y, setting.replicas
        self.rule = make_rule(RULES[name], setting.widths, setting.replicas, x.device)
        self.buffer = x.new_empty(setting.replicas * BATCH, x.shape[1])
        self.batches: list[Tensor] = []
        self.epoch = 0

    def __call__(self) -> None:
        """The next step; a new epoch shuffles first."""
        if not self.batches:
            orders = torch.stack([torch.randperm(len(self.x)) for _ in range(self.replicas)])
            self.batches = list(orders.to(self.x.device).split(BATCH, dim=1))
            self.epoch += 1
            self.rule.start_epoch(self.epoch)
        batch = self.batches.pop()
        torch.index_select(self.x, 0, batch.flatten(), out=self.buffer)
        self.rule.step(self.buffer.unflatten(0, batch.shape), self.y[batch])


def memory_per_replica(name: str, setting: Setting, x: Tensor, y: Tensor) -> float:
    """Bytes of a replica in training, without the images.

    On a GPU: torch.cuda.max_memory_allocated of two steps, divided by the replicas. On the CPU:
    the increase of a new process's ru_maxrss after two steps from one replica to several, divided
    by the number of additional replicas.
    """
    device = x.device
    if device.type == "cuda":
        free(device)
        before = torch.cuda.memory_allocated(device)
        take_two(Steps(name, setting, x, y))
        return (torch.cuda.max_memory_allocated(device) - before) / setting.replicas
    several = replace(setting, replicas=setting.replicas if setting.replicas > 1 else FEW)
    more = resident(name, several) - resident(name, replace(setting, replicas=1))
    return more / (several.replicas - 1)


@cache
def resident(name: str, setting: Setting) -> int:
    """ru_maxrss in bytes of a new process after two steps."""
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])  # torch is imported once
    with ProcessPoolExecutor(1, context) as process:
        return process.submit(two_steps, name, setting).result()


def two_steps(name: str, setting: Setting) -> int:
    """The work of that process."""
    take_two(Steps(name, setting, *images(setting.train_size, torch.device("cpu"))))
    return largest_resident_set()


def take_two(steps: Steps) -> None:
    """Two steps: the optimiser's moments exist in the second."""
    steps()
    steps()
