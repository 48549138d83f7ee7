"""Tasks in sequence from one data set: pairs of its classes, or permutations of its pixels."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sascli.core.streams import streams
from sascli.data import Data
from sascli.errors import UserError


@dataclass(frozen=True)
class Permuted(Data):
    """Images whose pixels each replica sees in the order of its row of (replicas, n)."""

    order: Tensor

    def permute(self, x: Tensor) -> Tensor:
        """Images (replicas, batch, n), permuted; the first axis may be absent."""
        images = x.expand(len(self.order), *x.shape[-2:])
        return images.gather(-1, self.order.unsqueeze(1).expand_as(images))

    def batches(
        self, seeds: Sequence[int], epoch: int, size: int, most: int | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """As `Data.batches`, permuted."""
        for x, y in super().batches(seeds, epoch, size, most):
            yield self.permute(x), y

    def accuracy(self, logits: Callable[[Tensor], Tensor]) -> Tensor:
        """As `Data.accuracy`, permuted."""
        return super().accuracy(lambda x: logits(self.permute(x)))


def split(data: Data, number: int) -> Data:
    """The classes 2 number and 2 number + 1, labelled 0 and 1. Raises UserError without images."""
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
    """All classes, the pixels in a random order of each replica's seed."""
    n = data.train_x.shape[1]
    orders = [torch.randperm(n, generator=g) for g in streams(seeds, "permutation", number)]
    return Permuted(**vars(data), order=torch.stack(orders).to(data.train_x.device))


def sequence(protocol: str, data: Data, count: int, seeds: Sequence[int]) -> list[Data]:
    """The first `count` tasks of a protocol. Raises UserError if the data have fewer."""
    if protocol == "split":
        return [split(data, number) for number in range(count)]
    return [permuted(data, number, seeds) for number in range(count)]
