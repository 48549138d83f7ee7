"""Test accuracy of every replica, in chunks of images that bound the memory."""

from collections.abc import Callable

import torch
from torch import Tensor

Logits = Callable[[Tensor], Tensor]
Score = Callable[[Logits], Tensor]
"""The accuracy of every network of a population, `Data.accuracy` for one."""

CHUNK = 1000
"""Images at a time: their activations and noise stay in cache."""


@torch.no_grad()
def accuracy(logits: Logits, x: Tensor, y: Tensor) -> Tensor:
    """Fraction of images (V, n) for which the largest logit is the label; (replicas,)."""
    correct = sum(
        (logits(images).argmax(-1) == labels).sum(-1)
        for images, labels in zip(x.split(CHUNK), y.split(CHUNK), strict=True)
    )
    return torch.as_tensor(correct).double() / len(y)
