"""Sources of images: the digits, MNIST, CIFAR-10 and trees of class folders, as found on disk."""

import contextlib
import hashlib
import io
import logging
import os
import socket
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sascli.data.cache import cached
from sascli.errors import UserError

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]

MNIST_BYTES = {
    "train-images-idx3-ubyte": 16 + 60_000 * 784,
    "train-labels-idx1-ubyte": 8 + 60_000,
    "t10k-images-idx3-ubyte": 16 + 10_000 * 784,
    "t10k-labels-idx1-ubyte": 8 + 10_000,
}
BLOCK = 2500
"""Images of a tree of class folders that are decoded, and kept, together."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Part:
    """The training or the test part of a source: labels at hand, pixels read on demand."""

    labels: Labels  # (n,)
    pixels: Callable[[slice], Pixels]  # which ones -> (k, channels, height, width)


@dataclass(frozen=True)
class Source:
    """Everything a data set has, in its fixed order."""

    name: str
    classes: tuple[str, ...]
    white: int  # the pixel value that becomes 1
    train: Part
    test: Part


def find(
    name: str, root: Path, *, image_size: int | None, grey: bool, recorded: str | None = None
) -> Source:
    """Open the source called digits, mnist, cifar10 or folder.

    `recorded` is the name of the source that a run was trained on. CIFAR-10 may be there in
    several copies; then that copy is opened and no other.
    """
    arrays: dict[str, Callable[[Path], Source]] = {
        "digits": digits,
        "mnist": mnist,
        "cifar10": partial(cifar10, recorded=recorded),
    }
    if name == "folder":
        return folder(root, f"folder {root}", image_size=image_size, grey=grey)
    if name not in arrays:
        raise UserError(f"there is no data set {name!r}: choose {', '.join(arrays)} or folder")
    if image_size is not None or grey:
        raise UserError(f"model.image_size and model.grey are for folders of images, not {name}")
    return arrays[name](root)


def stratified_order(labels: Labels, seed: int) -> Labels:
    """Return a permutation of the indices in which every prefix has the classes' proportions.

    The j-th member of a class of n, shuffled, stands at (j + 1/2) / n of the way; classes that
    meet there take turns at random.
    """
    # RandomState's stream is frozen for good; the newer Generator's may change with NumPy.
    random = np.random.RandomState(seed)
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    return np.lexsort((random.permutation(len(labels)), place)).astype(np.int64)


def digits(root: Path) -> Source:
    """Read the 1797 digits of 8 x 8 pixels that scikit-learn carries: 1297 train, 500 test."""
    from sklearn.datasets import load_digits  # takes a second, and only this source needs it

    bunch = load_digits()
    order = stratified_order(bunch.target.astype(np.int64), seed=0)
    pixels = bunch.images.astype(np.uint8)[order, None]
    labels = bunch.target.astype(np.int64)[order]
    train = _array_part(pixels[:1297], labels[:1297])
    test = _array_part(pixels[1297:], labels[1297:])
    return Source("digits", tuple("0123456789"), 16, train, test)


def mnist(root: Path) -> Source:
    """Read MNIST from root/MNIST/raw, fetched first where there is a network."""
    from torchvision import datasets  # takes two seconds, and the digits do without

    raw = root / "MNIST" / "raw"
    for name, size in MNIST_BYTES.items():
        if (raw / name).exists() and (raw / name).stat().st_size != size:
            raise _damaged(raw / name)
    missing = not all((raw / name).exists() for name in MNIST_BYTES)
    with _fetching("MNIST", root, "MNIST/raw", missing=missing):
        sets = [datasets.MNIST(root, train=train, download=True) for train in (True, False)]
    train, test = (_array_part(s.data.numpy()[:, None], s.targets.numpy()) for s in sets)
    for part, name in (train, "train-labels-idx1-ubyte"), (test, "t10k-labels-idx1-ubyte"):
        if part.labels.max() > 9:
            raise _damaged(raw / name)
    return Source("mnist", tuple("0123456789"), 255, train, test)


TREES = ("cifar10-full", "cifar10-jpeg")
"""Folders below data.root with CIFAR-10 as class folders, in the order in which they are tried."""


def cifar10(root: Path, recorded: str | None = None) -> Source:
    """Read CIFAR-10: the original batches, else a tree of class folders, else fetched.

    The names of the classes are in alphabetical order in the batches too, so labels agree.
    `recorded` is the name of the copy to be opened. Raises UserError where that one is absent.
    """
    from torchvision import datasets
    from torchvision.datasets.utils import check_integrity

    batches = root / "cifar-10-batches-py"
    for tree in (root / name for name in TREES):
        name = f"cifar10 (class folders {tree.name})"
        if recorded == name and not tree.is_dir():
            raise UserError(
                f"the run was trained on {name}, but there is no folder {tree}: set data.root or "
                "$SAS_DATA to the folder that holds it"
            )
        if recorded == name or (not recorded and tree.is_dir() and not batches.is_dir()):
            return folder(tree, name)
    listed = [*datasets.CIFAR10.train_list, *datasets.CIFAR10.test_list]
    for name, md5 in listed:
        if (batches / name).exists() and not check_integrity(batches / name, md5):
            raise _damaged(batches / name)
    missing = not all((batches / name).exists() for name, _ in listed)
    with _fetching("CIFAR-10", root, batches.name, missing=missing):
        sets = [datasets.CIFAR10(root, train=train, download=True) for train in (True, False)]
    labels = [np.array(s.targets, dtype=np.int64) for s in sets]
    train, test = (
        _array_part(s.data.transpose(0, 3, 1, 2), y) for s, y in zip(sets, labels, strict=True)
    )
    return Source("cifar10", tuple(sets[0].classes), 255, train, test)


PARTS = {"train", "training", "val", "valid", "validation", "dev", "test", "testing"}
"""Folders of these names alone are parts of a data set, no classes."""


def folder(root: Path, name: str, *, image_size: int | None = None, grey: bool = False) -> Source:
    """Read a tree of class folders: root/{train,test}/CLASS/*, or root/CLASS/* split 80/20."""
    if image_size is not None and image_size < 1:
        raise UserError(f"model.image_size={image_size} is not a number of pixels: 1 or more")
    parts = (root / "train").is_dir() and (root / "test").is_dir()
    if parts:
        classes, paths, labels = _listing(root / "train")
        test_classes, test_paths, test_labels = _listing(root / "test")
        if test_classes != classes:
            odd = ", ".join(sorted(set(classes) ^ set(test_classes)))
            raise UserError(f"{root}/train and {root}/test have different classes: {odd}")
    else:
        classes, paths, labels = _listing(root)
        if {name.lower() for name in classes} <= PARTS:
            raise UserError(
                f"{root} holds {' and '.join(classes)}: name the parts train and test, or give "
                "the folder of one of them"
            )
        cut = min(round(0.8 * len(labels)), len(labels) - 1)
        paths, test_paths = paths[:cut], paths[cut:]
        labels, test_labels = labels[:cut], labels[cut:]

    beside = root if parts else None  # a folder more would be a class more

    def part(paths: list[str], labels: Labels) -> Part:
        return Part(labels, lambda which: _blocks(paths, which, image_size, grey, root, beside))

    return Source(name, classes, 255, part(paths, labels), part(test_paths, test_labels))


def _array_part(pixels: Pixels, labels: Labels) -> Part:
    return Part(labels, lambda which: np.ascontiguousarray(pixels[which]))


def _damaged(path: Path) -> UserError:
    return UserError(
        f"{path} is damaged (wrong size, checksum or content): remove it and try again"
    )


@contextlib.contextmanager
def _fetching(what: str, root: Path, below: str, *, missing: bool) -> Iterator[None]:
    """Let torchvision read or fetch files silently; its failures become one sentence."""
    if missing:
        log.info("%s is not in %s: downloading it", what, root / below)
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(20)  # a firewall that swallows packets would hold us for minutes
    quiet = io.StringIO()
    try:
        with (
            contextlib.redirect_stdout(quiet),
            contextlib.redirect_stderr(quiet),
            warnings.catch_warnings(action="ignore"),
        ):
            yield
    except Exception as error:  # torchvision raises whatever its parsers and sockets raise
        if missing:
            raise UserError(
                f"{what} is not in {root / below} and could not be downloaded (no network?): "
                f"set data.root or $SAS_DATA to the folder that holds {below}"
            ) from error
        raise UserError(
            f"the files of {what} in {root / below} are damaged: remove them"
        ) from error
    finally:
        socket.setdefaulttimeout(timeout)


def _listing(root: Path) -> tuple[tuple[str, ...], list[str], Labels]:
    """List the images below root/CLASS in the fixed stratified order: classes, paths, labels."""
    from torchvision.datasets import ImageFolder

    if not root.is_dir():
        raise UserError(f"there is no folder {root}: set data.root to a tree of class folders")
    try:
        found = ImageFolder(str(root))
    except FileNotFoundError as error:  # a class without images, or no class at all
        raise UserError(f"{root} must hold one folder of images per class: {error}") from error
    if len(found.classes) < 2:
        raise UserError(f"{root} holds one class only, {found.classes[0]}: two are the least")
    labels = np.array(found.targets, dtype=np.int64)
    order = stratified_order(labels, seed=0)
    return tuple(found.classes), [found.samples[i][0] for i in order], labels[order]


def _blocks(
    paths: list[str],
    which: slice,
    image_size: int | None,
    grey: bool,
    root: Path,
    beside: Path | None,
) -> Pixels:
    """Images of a slice; every block that is in it as a whole is decoded once and then read."""
    start, stop, _ = which.indices(len(paths))
    cuts = [start, *range((start // BLOCK + 1) * BLOCK, stop, BLOCK), stop]
    pieces = list[Pixels]()
    for first, last in pairwise(cuts):
        chosen = paths[first:last]
        decode = partial(_decoded, chosen, image_size, grey)
        if len(chosen) == BLOCK:
            pieces.append(cached(_key(chosen, image_size, grey, root), decode, beside))
        else:
            pieces.append(decode())
        if pieces[-1].shape[1:] != pieces[0].shape[1:]:
            raise _sizes_differ(paths[first], paths[start])
    return np.concatenate(pieces)


def _key(paths: list[str], image_size: int | None, grey: bool, root: Path) -> str:
    """A checksum of names, sizes and times of files, and of the way they are decoded."""
    from PIL import __version__

    digest = hashlib.sha256(f"{__version__} {image_size} {grey}".encode())
    for path in paths:
        about = os.stat(path)
        name = os.path.relpath(path, root)
        digest.update(f"\n{name} {about.st_size} {about.st_mtime_ns}".encode())
    return digest.hexdigest()[:32]


def _sizes_differ(one: str, other: str) -> UserError:
    return UserError(f"{one} and {other} differ in size: set model.image_size, in pixels")


def _decoded(paths: list[str], image_size: int | None, grey: bool) -> Pixels:
    """Decode image files into (k, channels, height, width), in a few threads."""
    first = _image(paths[0], image_size, grey)
    pixels = np.empty((len(paths), *first.shape), dtype=np.uint8)

    def put(index: int) -> None:
        image = _image(paths[index], image_size, grey)
        if image.shape != first.shape:
            raise _sizes_differ(paths[index], paths[0])
        pixels[index] = image

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for _ in pool.map(put, range(len(paths))):
            pass  # asking for the results is what raises their errors
    return pixels


def _image(path: str, image_size: int | None, grey: bool) -> Pixels:
    """Decode one image file into (channels, height, width)."""
    from PIL import Image

    try:
        with Image.open(path) as file:
            if file.mode[0] in "IF":  # Pillow would clip these to white instead of scaling them
                raise UserError(f"{path} has more than 8 bits per channel: convert it to 8")
            image = file.convert("L" if grey else "RGB")
        if image_size is not None:
            image = image.resize((image_size, image_size), Image.Resampling.BILINEAR)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path} cannot be read as an image: mend or remove it") from error
    pixels = np.asarray(image)
    return pixels[None] if grey else pixels.transpose(2, 0, 1)
