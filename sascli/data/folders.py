"""Trees of class folders: images listed in a fixed order, decoded in blocks, cached on disk."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from sascli.config.paths import is_folder
from sascli.data.cache import cached
from sascli.data.parts import Labels, Part, Pixels, Source, stratified_order
from sascli.errors import UserError

BLOCK = 2500
"""Images that are decoded, and cached, together."""
PARTS = {"train", "training", "val", "valid", "validation", "dev", "test", "testing"}
"""Folders with only such names are parts of a data set, not classes."""


@dataclass(frozen=True)
class Decoder:
    """Decodes image files of the tree `root`, and caches complete blocks in `cache`."""

    root: Path
    cache: Path | None
    image_size: int | None
    grey: bool

    def read(self, paths: Sequence[str], which: slice) -> Pixels:
        """The images of a slice, (k, channels, height, width), in blocks of `BLOCK`.

        Raises UserError for files that cannot be decoded, and for images of different sizes.
        """
        start, stop, _ = which.indices(len(paths))
        cuts = [start, *range((start // BLOCK + 1) * BLOCK, stop, BLOCK), stop]
        pieces = list[Pixels]()
        for first, last in pairwise(cuts):
            block = paths[first:last]
            decode = partial(self.decode, block)
            complete = len(block) == BLOCK
            pieces.append(cached(self.key(block), decode, self.cache) if complete else decode())
            if pieces[-1].shape[1:] != pieces[0].shape[1:]:
                raise _sizes_differ(paths[first], paths[start])
        return np.concatenate(pieces)

    def key(self, paths: Sequence[str]) -> str:
        """A checksum of the files' names, sizes and times, and of the way they are decoded."""
        from PIL import __version__

        digest = hashlib.sha256(f"{__version__} {self.image_size} {self.grey}".encode())
        for path in paths:
            status, name = os.stat(path), os.path.relpath(path, self.root)
            digest.update(f"\n{name} {status.st_size} {status.st_mtime_ns}".encode())
        return digest.hexdigest()[:32]

    def decode(self, paths: Sequence[str]) -> Pixels:
        """Decode image files in a few threads."""
        first = self.image(paths[0])
        pixels = np.empty((len(paths), *first.shape), dtype=np.uint8)

        def fill(index: int) -> None:
            image = self.image(paths[index])
            if image.shape != first.shape:
                raise _sizes_differ(paths[index], paths[0])
            pixels[index] = image

        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            list(pool.map(fill, range(len(paths))))  # fetching the results raises their errors
        return pixels

    def image(self, path: str) -> Pixels:
        """Decode one image file into (channels, height, width)."""
        from PIL import Image

        try:
            with Image.open(path) as file:
                if file.mode[0] in "IF":  # Pillow would clip these instead of scaling them
                    raise UserError(f"{path} has more than 8 bits per channel: convert it to 8")
                image = file.convert("L" if self.grey else "RGB")
            if self.image_size is not None:
                size = (self.image_size, self.image_size)
                image = image.resize(size, Image.Resampling.BILINEAR)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise UserError(f"{path} cannot be read as an image: fix or remove it") from error
        pixels = np.asarray(image)
        return pixels[None] if self.grey else pixels.transpose(2, 0, 1)


def folder(root: Path, name: str, *, image_size: int | None = None, grey: bool = False) -> Source:
    """A tree of class folders: root/{train,test}/CLASS/*, or root/CLASS/* split 80/20.

    Raises UserError for an invalid size, and for a tree without such folders.
    """
    if image_size is not None and image_size < 1:
        raise UserError(f"model.image_size={image_size} is not a number of pixels: 1 or more")
    has_parts = is_folder(root / "train") and is_folder(root / "test")
    classes, paths, labels = _listing(root / "train" if has_parts else root)
    if has_parts:
        test_classes, test_paths, test_labels = _listing(root / "test")
        if test_classes != classes:
            different = ", ".join(sorted(set(classes) ^ set(test_classes)))
            raise UserError(f"{root}/train and {root}/test have different classes: {different}")
    else:
        if {label.lower() for label in classes} <= PARTS:
            raise UserError(
                f"{root} contains {' and '.join(classes)}: name the parts train and test, or give "
                "the folder of one of them"
            )
        cut = min(round(0.8 * len(labels)), len(labels) - 1)
        paths, test_paths = paths[:cut], paths[cut:]
        labels, test_labels = labels[:cut], labels[cut:]
    # without parts a cache folder in the tree would be another class
    decoder = Decoder(root, root if has_parts else None, image_size, grey)
    train, test = (
        Part(numbers, partial(decoder.read, files))
        for numbers, files in ((labels, paths), (test_labels, test_paths))
    )
    images = {Path(path) for path in (*paths, *test_paths)}
    return Source(name, classes, 255, train, test, _unused(root, images))


def _listing(root: Path) -> tuple[tuple[str, ...], list[str], Labels]:
    """Classes, paths and labels of the images root/CLASS/* in the fixed stratified order.

    Hidden files and folders, such as .git or .ipynb_checkpoints, are left out.
    """
    from torchvision.datasets.folder import IMG_EXTENSIONS, make_dataset

    def is_image(path: str) -> bool:
        return path.lower().endswith(IMG_EXTENSIONS) and not _hidden(Path(path), root)

    if not is_folder(root):
        raise UserError(f"there is no folder {root}: set data.root to a tree of class folders")
    names = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
    classes = [name for name in names if not name.startswith(".")]
    if len(classes) < 2:
        only = f"one class only, {classes[0]}" if classes else "no class folders"
        raise UserError(f"{root} has {only}: it must hold one folder of images per class")
    numbers = {name: number for number, name in enumerate(classes)}
    try:
        samples = make_dataset(str(root), numbers, is_valid_file=is_image)
    except FileNotFoundError as error:  # a class without images
        raise UserError(
            f"{root} must hold one folder of images per class: {error}; images are "
            f"{', '.join(IMG_EXTENSIONS)}"
        ) from error
    labels = np.array([label for _, label in samples], dtype=np.int64)
    order = stratified_order(labels, seed=0)
    return tuple(classes), [samples[i][0] for i in order], labels[order]


def _hidden(path: Path, root: Path) -> bool:
    """Whether a file below `root`, or a folder that contains it, is hidden."""
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _unused(root: Path, images: set[Path]) -> tuple[str, ...]:
    """The warning of files in a tree, hidden ones aside, that are not among its `images`.

    Raises UserError for a folder that cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise UserError(f"{error.filename} cannot be read: {error.strerror}") from error

    walk = os.walk(root, onerror=refuse, followlinks=True)
    files = {Path(folder, name) for folder, _, names in walk for name in names} - images
    kinds = Counter(path.suffix or "no extension" for path in files if not _hidden(path, root))
    if not kinds:
        return ()
    text = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
    reason = "in no class folder, or of a kind that is not read"
    return (f"files of {root} that are not used: {kinds.total()} ({text}), {reason}",)


def _sizes_differ(path: str, other: str) -> UserError:
    return UserError(f"{path} and {other} differ in size: set model.image_size, in pixels")
