"""Sources of images: the digits, MNIST, CIFAR-10 and trees of class folders."""

import contextlib
import io
import logging
import socket
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from sascli.config.paths import exists, is_folder
from sascli.data.cache import cached
from sascli.data.folders import folder
from sascli.data.parts import Pixels, Source, array_part, stratified_order
from sascli.errors import UserError

MNIST_BYTES = {
    "train-images-idx3-ubyte": 16 + 60_000 * 784,
    "train-labels-idx1-ubyte": 8 + 60_000,
    "t10k-images-idx3-ubyte": 16 + 10_000 * 784,
    "t10k-labels-idx1-ubyte": 8 + 10_000,
}
TREES = ("cifar10-full", "cifar10-jpeg")
"""Folders below data.root with CIFAR-10 as class folders, in the order in which they are tried."""
log = logging.getLogger(__name__)
Checksum = TypeVar("Checksum")


def find(
    name: str, root: Path, *, image_size: int | None, grey: bool, recorded: str | None = None
) -> Source:
    """The source called digits, mnist, cifar10 or folder.

    `recorded` is the name of the source that a run was trained on. CIFAR-10 may be there in
    several copies; then that copy is opened and no other. Raises UserError for another name, and
    for settings of folders with other sources.
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


def digits(root: Path) -> Source:
    """The 1797 digits of 8 x 8 pixels of scikit-learn: 1297 training and 500 test images."""
    package = find_spec("sklearn")  # importing it takes a second
    assert package is not None and package.origin is not None
    path = Path(package.origin).parent / "datasets/data/digits.csv.gz"
    table = np.loadtxt(path, dtype=np.uint8, delimiter=",")  # 64 pixels and the label
    table = table[stratified_order(table[:, -1].astype(np.int64), seed=0)]
    pixels, labels = table[:, :-1].reshape(-1, 1, 8, 8), table[:, -1].astype(np.int64)
    train, test = (array_part(pixels[s], labels[s]) for s in (slice(1297), slice(1297, None)))
    return Source("digits", tuple("0123456789"), 16, train, test)


def mnist(root: Path) -> Source:
    """MNIST from root/MNIST/raw, downloaded if it is absent; its arrays are cached."""
    raw = "MNIST/raw"

    def read() -> Pixels:
        """The pixels of each image and its label, (70000, 785)."""
        from torchvision.datasets import MNIST  # takes two seconds

        sets = _read(MNIST, root, raw, MNIST_BYTES, lambda path, size: path.stat().st_size == size)
        train, test = (np.column_stack([s.data.flatten(1), s.targets.byte()]) for s in sets)
        for part, name in (train, "train-labels-idx1-ubyte"), (test, "t10k-labels-idx1-ubyte"):
            if part[:, -1].max() > 9:
                raise _damaged(root / raw / name)
        return np.concatenate([train, test])

    paths = [root / raw / name for name in MNIST_BYTES]
    if not all(map(exists, paths)):
        read()
    with _fetching("MNIST", root, raw, missing=False):
        digest = sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()
    table = cached(f"mnist-{digest[:32]}", read, root / "MNIST")
    train, test = (
        array_part(part[:, :-1].reshape(-1, 1, 28, 28), part[:, -1].astype(np.int64))
        for part in (table[:60_000], table[60_000:])
    )
    return Source("mnist", tuple("0123456789"), 255, train, test)


def cifar10(root: Path, recorded: str | None = None) -> Source:
    """CIFAR-10: the original batches, or else a tree of class folders, or else downloaded.

    The names of the classes are in alphabetical order in the batches too, so labels agree.
    `recorded` is the name of the copy to open. Raises UserError where that copy is absent.
    """
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import check_integrity

    batches = "cifar-10-batches-py"
    for tree in (root / name for name in TREES):
        name = f"cifar10 (class folders {tree.name})"
        if recorded == name and not is_folder(tree):
            raise UserError(
                f"the run was trained on {name}, but there is no folder {tree}: set data.root or "
                "$SAS_DATA to the folder that contains it"
            )
        if recorded == name or (
            not recorded and is_folder(tree) and not is_folder(root / batches)
        ):
            return folder(tree, name)
    files = dict([*CIFAR10.train_list, *CIFAR10.test_list])
    sets = _read(CIFAR10, root, batches, files, check_integrity)
    train, test = (
        array_part(s.data.transpose(0, 3, 1, 2), np.array(s.targets, dtype=np.int64)) for s in sets
    )
    return Source("cifar10", tuple(sets[0].classes), 255, train, test)


def _read(
    dataset: Any, root: Path, subfolder: str, files: Mapping[str, Checksum],
    valid: Callable[[Path, Checksum], bool],
) -> list[Any]:  # fmt: skip
    """torchvision's training and test set, read from a subfolder of root or downloaded to it.

    Raises UserError for a file of `files` that is there but not `valid`, as `_fetching`, and if
    the download fails.
    """
    paths = {root / subfolder / name: checksum for name, checksum in files.items()}
    for path, checksum in paths.items():
        if exists(path) and not valid(path, checksum):
            raise _damaged(path)
    missing = not all(map(exists, paths))
    with _fetching(dataset.__name__, root, subfolder, missing=missing):
        return [dataset(root, train=train, download=True) for train in (True, False)]


def _damaged(path: Path) -> UserError:
    return UserError(
        f"{path} is damaged (wrong size, checksum or content): remove it and try again"
    )


@contextlib.contextmanager
def _fetching(name: str, root: Path, subfolder: str, *, missing: bool) -> Iterator[None]:
    """Let torchvision read or download files silently. Raises UserError if it fails."""
    if missing:
        log.info("%s is not in %s: downloading it", name, root / subfolder)
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(20)  # a firewall that swallows packets would block for minutes
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
                f"{name} is not in {root / subfolder} and could not be downloaded (no network?): "
                f"set data.root or $SAS_DATA to the subfolder that contains {subfolder}"
            ) from error
        raise UserError(
            f"the files of {name} in {root / subfolder} are damaged: remove them"
        ) from error
    finally:
        socket.setdefaulttimeout(timeout)
