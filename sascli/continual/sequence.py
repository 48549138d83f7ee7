"""Tasks in sequence, made of one data set: pairs of its classes, or permutations of its pixels."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from sascli.core.streams import streams
from sascli.data import Data
from sascli.errors import UserError


@dataclass(frozen=True)
class Permuted(Data):
    """Images of which each replica sees the pixels in an order of its own, (replicas, n)."""

    order: Tensor

    def seen(self, x: Tensor) -> Tensor:
        """(replicas, batch, n) of images that may lack the first axis."""
        whole = x.expand(len(self.order), *x.shape[-2:])
        return whole.gather(-1, self.order.unsqueeze(1).expand_as(whole))

    def batches(self, *of: Any) -> Iterator[tuple[Tensor, Tensor]]:
        """As of images, in the new order."""
        for x, y in super().batches(*of):
            yield self.seen(x), y

    def accuracy(self, logits: Callable[[Tensor], Tensor]) -> Tensor:
        """As of images, in the new order."""
        return super().accuracy(lambda x: logits(self.seen(x)))


def split(data: Data, number: int) -> Data:
    """The classes 2 number and 2 number + 1, labelled 0 and 1. Raises UserError."""
    classes = data.classes[2 * number : 2 * number + 2]
    if len(classes) < 2:
        raise UserError(f"task=split has at most {len(data.classes) // 2} tasks with {data.name}")
    train, test = (y // 2 == number for y in (data.train_y, data.test_y))
    if not train.any() or not test.any():
        raise UserError(f"no images of {' or '.join(classes)}: raise train_size and test_size")
    return replace(
        data,
        classes=classes,
        train_x=data.train_x[train],
        train_y=data.train_y[train] % 2,
        test_x=data.test_x[test],
        test_y=data.test_y[test] % 2,
    )


def permuted(data: Data, number: int, seeds: Sequence[int]) -> Permuted:
    """All classes, the pixels in an order that each replica draws from its seed."""
    n = data.train_x.shape[1]
    drawn = [torch.randperm(n, generator=g) for g in streams(seeds, "permutation", number)]
    return Permuted(**vars(data), order=torch.stack(drawn).to(data.train_x.device))


def sequence(protocol: str, data: Data, count: int, seeds: Sequence[int]) -> list[Data]:
    """The first `count` tasks of a protocol. Raises UserError where the data have fewer."""
    if protocol == "split":
        return [split(data, number) for number in range(count)]
    return [permuted(data, number, seeds) for number in range(count)]
