"""The patches of images that a convolution multiplies, with the channels last."""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor


class Kernel(NamedTuple):
    """A square kernel; images are padded by zeros of half of its size at each side."""

    size: int
    stride: int

    def outputs(self, side: int) -> int:
        """Positions of the kernel along a side."""
        return (side + 2 * (self.size // 2) - self.size) // self.stride + 1


def patches(a: Tensor, kernel: Kernel) -> Tensor:
    """The patch at each position: images (replicas, batch, height, width, channels) as rows.

    The result is (replicas, batch * positions, size * size * channels): the kernel's rows, its
    columns, the channels. Images that all replicas share are copied once.
    """
    if len(a) > 1 and a.stride(0) == 0:
        return patches(a[:1], kernel).expand(len(a), -1, -1)
    pad = kernel.size // 2
    a = F.pad(a, (0, 0, pad, pad, pad, pad))
    for axis in (2, 3):
        a = a.unfold(axis, kernel.size, kernel.stride)
    return a.permute(0, 1, 2, 3, 5, 6, 4).flatten(4).flatten(1, 3)


def add_patches(rows: Tensor, kernel: Kernel, shape: tuple[int, ...]) -> Tensor:
    """The transpose of `patches`: images of this shape in which every patch is added."""
    replicas, batch, *sides, channels = shape
    pad, (height, width) = kernel.size // 2, map(kernel.outputs, sides)
    parts = rows.view(replicas, batch, height, width, kernel.size, kernel.size, channels)
    images = rows.new_zeros(replicas, batch, *(side + 2 * pad for side in sides), channels)
    for i in range(kernel.size):
        for j in range(kernel.size):
            down = slice(i, i + kernel.stride * (height - 1) + 1, kernel.stride)
            right = slice(j, j + kernel.stride * (width - 1) + 1, kernel.stride)
            images[:, :, down, right] += parts[:, :, :, :, i, j]
    return images[:, :, pad : pad + sides[0], pad : pad + sides[1]]
