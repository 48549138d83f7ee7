"""Test accuracy of every replica, in chunks of images that bound the memory."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from sascli.core.streams import UNIT

Logits = Callable[[Tensor], Tensor]
Score = Callable[[Logits], Tensor]
"""The accuracy of every network of a population, `Data.accuracy` for one."""

CHUNK = UNIT
"""Images at a time: their activations and noise stay in cache."""
ON_GPU = 2**15
"""Images times networks that a GPU computes together, at least `CHUNK` images."""


@torch.no_grad()
def accuracy(logits: Logits, x: Tensor, y: Tensor) -> Tensor:
    """Fraction of images (V, n) for which the largest logit is the label; (replicas,)."""
    correct, rest = torch.zeros((), device=y.device, dtype=torch.long), y
    for outputs in in_chunks(logits, x):
        labels, rest = rest[: outputs.shape[-2]], rest[outputs.shape[-2] :]
        correct = correct + (outputs.argmax(-1) == labels).sum(-1)
    return correct.double() / len(y)


def in_chunks(logits: Logits, x: Tensor) -> Iterator[Tensor]:
    """Outputs of all images x (V, n) in their order, by chunks; a GPU's first one is small."""
    start, size = 0, CHUNK
    while start < len(x):
        outputs = logits(x[start : start + size])
        yield outputs
        start += size
        if x.device.type == "cuda":
            size = CHUNK * max(1, ON_GPU // (CHUNK * len(outputs)))
