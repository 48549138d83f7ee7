"""Tasks that generate trials instead of loading images."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from sascli.config import Train
from sascli.core.precision import dtype_of
from sascli.core.streams import stream, streams
from sascli.data import Data, checksum
from sascli.data.accuracy import accuracy
from sascli.data.multisensory import (
    BOUNDARY,
    FREQUENCIES,
    INPUTS,
    MODALITIES,
    Timing,
    noisy,
    training_trials,
    trials,
)
from sascli.errors import UserError

REPEATS = 4
"""Test trials of every condition, each with its own input noise."""


@dataclass(frozen=True)
class Task(Data):
    """Training trials, to which every epoch adds fresh noise, and test trials with noise.

    train_y are targets (trials, steps, 2), NaN where the loss is masked; test_y is 0 where the
    frequency is high, else 1. Test trials are as long as training trials; the choice is read out
    at step `decided`.
    """

    timing: Timing

    @property
    def decided(self) -> int:
        """The last step of the decision."""
        return self.timing.ends[2] - 1

    def batches(
        self, seeds: Sequence[int], epoch: int, size: int, most: int | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """As of images, with fresh noise of the inputs."""
        drawn = streams(seeds, "input", epoch, device=self.train_x.device)
        for x, y in super().batches(seeds, epoch, size, most):
            yield noisy(x, self.timing, drawn), y

    def accuracy(self, logits: Callable[[Tensor], Tensor]) -> Tensor:
        """Fraction of correct choices at the last step of the decision, (networks,)."""
        return accuracy(lambda x: logits(x)[..., self.decided, :], self.test_x, self.test_y)


def multisensory(config: Train, device: torch.device) -> Task:
    """The multisensory integration task with the model's time step.

    Raises UserError for settings of images, and for an invalid time step.
    """
    if config.data.split != "test" or config.test_size != "all":
        raise UserError("model=multisensory generates its trials: remove data.split and test_size")
    timing = Timing(dt=config.model.dt, tau=config.model.tau)
    dtype = dtype_of(config.precision)
    train = training_trials(timing, dtype)
    if config.train_size not in ("all", len(train.y)):
        raise UserError(f"model=multisensory has {len(train.y)} trials: remove train_size")
    test = trials([*product(MODALITIES, FREQUENCIES)] * REPEATS, timing, catch=1, dtype=dtype)
    clean = test.inputs[:-1].flatten(1).unsqueeze(0)  # the catch trial only sets the length
    test_x = noisy(clean, timing, stream(0, "test trials"))[0]
    test_y = (test.frequency[:-1] < BOUNDARY).long()
    train_x = train.inputs.flatten(1)
    return Task(
        name="multisensory",
        checksum=checksum(train_x.numpy(), train.y.numpy(), test_x.numpy(), test_y.numpy()),
        classes=("high", "low"),
        image_shape=(1, train.y.shape[1], INPUTS),
        train_x=train_x.to(device),
        train_y=train.y.to(device),
        test_x=test_x.to(device),
        test_y=test_y.to(device),
        timing=timing,
    )
