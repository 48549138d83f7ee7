"""Data sets: images as tensors on the training device, in one order that never changes."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sascli.core.streams import streams
from sascli.data.accuracy import accuracy
from sascli.data.parts import Part, Pixels, Source
from sascli.data.sources import find
from sascli.errors import UserError

Size = int | Literal["all"]


@dataclass(frozen=True)
class Data:
    """Training and test images with their labels, in [0, 1] and ready on the device."""

    name: str  # of the source
    checksum: str  # "sha256:..." of the arrays below, whatever their dtype and device
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]  # channels, height, width; n_in is their product
    train_x: Tensor  # (T, n_in)
    train_y: Tensor  # (T,) int64
    test_x: Tensor  # (V, n_in)
    test_y: Tensor  # (V,) int64
    warnings: tuple[str, ...] = field(default=(), kw_only=True)  # of the source

    def batches(
        self, seeds: Sequence[int], epoch: int, size: int, most: int | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """x (replicas, size, n) and y of each batch of an epoch, in every replica's own order.

        The last batch may be smaller; there are at most `most` batches.
        """
        count = len(self.train_y)
        orders = [torch.randperm(count, generator=g) for g in streams(seeds, "order", epoch)]
        order = torch.stack(orders).to(self.train_x.device)
        images = self.train_x.new_empty(0)  # one buffer for all batches: no page faults
        for batch in order.split(size, dim=1)[:most]:
            images.resize_(batch.numel(), self.train_x.shape[1])
            torch.index_select(self.train_x, 0, batch.flatten(), out=images)
            yield images.unflatten(0, batch.shape), self.train_y[batch]

    def accuracy(self, logits: Callable[[Tensor], Tensor]) -> Tensor:
        """Fraction of the test images whose largest logit is the label, (networks,)."""
        return accuracy(logits, self.test_x, self.test_y)

    @property
    def description(self) -> dict[str, Any]:
        """The entries that describe the data in a run's manifest."""
        names = ("name", "checksum", "classes", "image_shape")
        return {name: getattr(self, name) for name in names}


def load(
    source: str,
    *,
    root: Path,
    train_size: Size,
    test_size: Size,
    split: str = "test",
    image_size: int | None = None,
    grey: bool = False,
    recorded: str | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Data:
    """Load the first `train_size` training and the first `test_size` test images of a source.

    Args:
        source: digits, mnist, cifar10 or folder.
        root: The folder of the files (unused by digits); with `folder`, the tree itself:
            root/train/CLASS/* and root/test/CLASS/*, or root/CLASS/*, split 80/20.
        train_size, test_size: T and V, or "all".
        split: "test", or "validation", which does not use the test set: the *last* V training
            images replace it ("all": as many as there are test images), and a train_size of
            "all" is the number of the others.
        image_size: Folders only: images are resized to image_size x image_size pixels.
        grey: Folders only: one channel instead of three.
        recorded: The `name` of the data that a run was trained on, if several copies of a
            source may exist; None: the first.

    Raises:
        UserError: Unknown source, files absent or damaged, sizes that the data do not have.
    """
    images = find(source, root.expanduser(), image_size=image_size, grey=grey, recorded=recorded)
    parts = _split(images, train_size, test_size, split)
    train, test = (part.pixels(which) for part, which in parts)
    train_y, test_y = (part.labels[which] for part, which in parts)
    channels, height, width = train.shape[1:]
    if train.shape[1:] != test.shape[1:]:
        raise UserError(f"images of {images.name} differ in size: set model.image_size")

    def scaled(pixels: Pixels) -> Tensor:
        flat = torch.from_numpy(pixels.reshape(len(pixels), -1)).to(device)
        return flat.to(dtype).div_(images.white)

    return Data(
        name=images.name,
        checksum=checksum(train, train_y, test, test_y),
        classes=images.classes,
        image_shape=(channels, height, width),
        train_x=scaled(train),
        train_y=torch.from_numpy(train_y).to(device),
        test_x=scaled(test),
        test_y=torch.from_numpy(test_y).to(device),
        warnings=images.warnings,
    )


def _split(
    source: Source, train_size: Size, test_size: Size, split: str
) -> tuple[tuple[Part, slice], tuple[Part, slice]]:
    """The training and the test images as slices of a source's parts, arguments as of `load`."""
    available, test_available = len(source.train.labels), len(source.test.labels)
    if split == "test":
        size = _number("test_size", test_size, test_available, f"test images of {source.name}")
        test, name = (source.test, slice(size)), "training images"
    elif split == "validation":
        size = test_available if test_size == "all" else test_size
        _number("test_size", size, available - 1, f"images to spare of {source.name}")
        test, name = (source.train, slice(-size, None)), "training images left by validation"
        available -= size
    else:
        raise UserError(f"data.split is test or validation, not {split!r}")
    size = _number("train_size", train_size, available, f"{name} of {source.name}")
    return (source.train, slice(size)), test


def _number(setting: str, size: Size, available: int, description: str) -> int:
    """A size as a number. Raises UserError for one below 1 or above the available images."""
    number = available if size == "all" else size
    if not 1 <= number <= available:
        raise UserError(f"{setting}={number} must be between 1 and {available}, the {description}")
    return number


def fitted(x: Tensor, shape: tuple[int, int, int], target: tuple[int, int, int]) -> Tensor:
    """Images (n, n_in) of one shape (channels, height, width) as (n, n_in) of another.

    Sizes change by bilinear interpolation. One channel is the mean of several, several are
    copies of one.
    """
    images: Tensor = x.unflatten(1, shape)
    if shape[0] != target[0]:
        images = images.mean(1, keepdim=True).expand(-1, target[0], -1, -1)
    if shape[1:] != target[1:]:
        images = F.interpolate(images, target[1:], mode="bilinear", antialias=True)
    return images.flatten(1)


def checksum(*arrays: np.ndarray) -> str:
    """SHA-256 of the shapes and numbers of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(str(array.shape).encode())
        digest.update(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).data)
    return f"sha256:{digest.hexdigest()}"
