"""Data sets: images as tensors on the training device, in one order that never changes."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sascli.core.streams import streams
from sascli.data.accuracy import accuracy
from sascli.data.sources import Pixels, find
from sascli.errors import UserError

Size = int | Literal["all"]


@dataclass(frozen=True)
class Data:
    """Training and test images with their labels, in [0, 1] and ready on the device."""

    name: str  # the source that was really used
    checksum: str  # "sha256:..." of the arrays below, whatever their dtype and device
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]  # channels, height, width; n_in is their product
    train_x: Tensor  # (T, n_in)
    train_y: Tensor  # (T,) int64
    test_x: Tensor  # (V, n_in)
    test_y: Tensor  # (V,) int64

    def batches(
        self, seeds: Sequence[int], epoch: int, size: int, most: int | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """x (replicas, size, n) and y of each batch of an epoch, in each replica's own order.

        The last one may be smaller; `most` is the number of batches at most.
        """
        count = len(self.train_y)
        orders = [torch.randperm(count, generator=g) for g in streams(seeds, "order", epoch)]
        order = torch.stack(orders).to(self.train_x.device)
        images = self.train_x.new_empty(0)  # a batch's place is used again: no page faults
        for batch in order.split(size, dim=1)[:most]:
            images.resize_(batch.numel(), self.train_x.shape[1])
            torch.index_select(self.train_x, 0, batch.flatten(), out=images)
            yield images.unflatten(0, batch.shape), self.train_y[batch]

    def accuracy(self, logits: Callable[[Tensor], Tensor]) -> Tensor:
        """Fraction of the test images whose largest logit is the label, (networks,)."""
        return accuracy(logits, self.test_x, self.test_y)

    @property
    def description(self) -> dict[str, Any]:
        """What the manifest of a run keeps of it."""
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
        root: The folder that holds the files (unused by digits); with `folder`, the tree itself:
            root/train/CLASS/* and root/test/CLASS/*, or root/CLASS/*, split 80/20.
        train_size: T, or "all".
        test_size: V, or "all".
        split: "test", or "validation", which leaves the test set alone: the *last* V training
            images stand in for it ("all": as many as there are test images), and "all" of
            train_size are the others.
        image_size: Folders only: images are resized to image_size x image_size pixels.
        grey: Folders only: one channel instead of three.
        recorded: The `name` of the data that a run was trained on, where several copies of a
            source may be there; None: the first.
        device: Where the tensors live.
        dtype: Of the images.

    Raises:
        UserError: Unknown source, files absent or damaged, sizes that the data do not have.
    """
    whole = find(source, root.expanduser(), image_size=image_size, grey=grey, recorded=recorded)
    train_n, test_n = len(whole.train.labels), len(whole.test.labels)
    if split not in ("test", "validation"):
        raise UserError(f"data.split is test or validation, not {split!r}")
    if split == "test":
        test_part, first = whole.test, 0
        held_out = _checked("test_size", test_size, test_n, f"test images of {whole.name}")
    else:
        test_part = whole.train
        wanted = test_n if test_size == "all" else test_size
        held_out = _checked("test_size", wanted, train_n - 1, f"images to spare of {whole.name}")
        train_n -= held_out
        first = train_n
    kept = "training images" if split == "test" else "training images left by validation"
    size = _checked("train_size", train_size, train_n, f"{kept} of {whole.name}")
    parts = [(whole.train, slice(size)), (test_part, slice(first, first + held_out))]
    pixels = [part.pixels(which) for part, which in parts]
    labels = [part.labels[which] for part, which in parts]
    shape = pixels[0].shape[1:]
    if shape != pixels[1].shape[1:]:
        raise UserError(f"images of {whole.name} differ in size: set model.image_size")

    def scaled(images: Pixels) -> Tensor:
        flat = torch.from_numpy(images.reshape(len(images), -1)).to(device)
        return flat.to(dtype).div_(whole.white)

    return Data(
        name=whole.name,
        checksum=checksum(pixels[0], labels[0], pixels[1], labels[1]),
        classes=whole.classes,
        image_shape=(shape[0], shape[1], shape[2]),
        train_x=scaled(pixels[0]),
        train_y=torch.from_numpy(labels[0]).to(device),
        test_x=scaled(pixels[1]),
        test_y=torch.from_numpy(labels[1]).to(device),
    )


def fitted(x: Tensor, shape: tuple[int, int, int], wanted: tuple[int, int, int]) -> Tensor:
    """Images (n, n_in) of one shape (channels, height, width) as (n, n_in) of another.

    Bilinear in size; the mean of the channels for one, the same in each for several.
    """
    images: Tensor = x.unflatten(1, shape)
    if shape[0] != wanted[0]:
        images = images.mean(1, keepdim=True).expand(-1, wanted[0], -1, -1)
    if shape[1:] != wanted[1:]:
        images = F.interpolate(images, wanted[1:], mode="bilinear", antialias=True)
    return images.flatten(1)


def _checked(setting: str, size: Size, available: int, what: str) -> int:
    """Turn "all" into a number; refuse one below 1 or beyond what there is."""
    number = available if size == "all" else size
    if not 1 <= number <= available:
        raise UserError(f"{setting}={number} must lie between 1 and {available}, the {what}")
    return number


def checksum(*arrays: np.ndarray) -> str:
    """SHA-256 of arrays: shapes and numbers."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(str(array.shape).encode())
        digest.update(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).data)
    return f"sha256:{digest.hexdigest()}"
