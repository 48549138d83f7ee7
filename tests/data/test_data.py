"""Data sets: order, sizes, checksums, and messages about absent or damaged files."""

import pickle
import shutil
import struct
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import CIFAR_CLASSES, DATA, have, paint
from PIL import Image

from sascli.data import Data, load, sources
from sascli.data.parts import stratified_order
from sascli.errors import UserError


def small(source: str, root: Path = DATA, **settings: Any) -> Data:
    """Load a source, by default all of it."""
    return load(source, root=root, **{"train_size": "all", "test_size": "all", **settings})


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Ten pictures in each of two class folders, all in one part."""
    for index in range(10):
        paint(tmp_path / "tree" / "cat" / f"{index}.png", 10 + index)
        paint(tmp_path / "tree" / "dog" / f"{index}.png", 110 + index)
    return tmp_path / "tree"


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """Train and test folders of grey pictures with two classes."""
    for name, count in ("train", 5), ("test", 2):
        for index in range(count):
            paint(tmp_path / "parts" / name / "a" / f"{index}.png", 0, mode="L")
            paint(tmp_path / "parts" / name / "b" / f"{index}.png", 51, mode="L")
    return tmp_path / "parts"


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a network."""

    def refuse(*args: object, **settings: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.urlopen", refuse)


@pytest.mark.parametrize("counts", [[40] * 10, [50, 30, 20], [97, 3], [1, 1, 1]])
def test_stratified_order_keeps_every_prefix_balanced(counts: list[int]) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    order = stratified_order(labels, seed=3)
    assert sorted(order) == list(range(len(labels)))
    seen = np.cumsum(labels[order][:, None] == np.arange(len(counts)), axis=0)
    share = np.array(counts) / len(labels)
    assert np.abs(seen - np.arange(1, len(labels) + 1)[:, None] * share).max() <= 1


def test_stratified_order_follows_the_seed() -> None:
    labels = np.repeat(np.arange(5), 20)
    assert (stratified_order(labels, 0) == stratified_order(labels, 0)).all()
    assert (stratified_order(labels, 0) != stratified_order(labels, 1)).any()


def test_digits() -> None:
    data = small("digits")
    assert (data.name, data.image_shape, len(data.classes)) == ("digits", (1, 8, 8), 10)
    assert data.train_x.shape == (1297, 64) and data.test_x.shape == (500, 64)
    assert data.train_x.min() == 0 and data.train_x.max() == 1
    assert data.train_y.dtype == torch.int64
    assert torch.unique(torch.cat([data.train_x, data.test_x]), dim=0).shape[0] == 1797


def test_digits_equal_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    bunch, data = load_digits(), small("digits", dtype=torch.float64)
    ours = torch.column_stack(
        [torch.cat([data.train_x * 16, data.test_x * 16]), torch.cat([data.train_y, data.test_y])]
    )
    theirs = np.column_stack([bunch.data, bunch.target])
    assert sorted(map(tuple, ours.tolist())) == sorted(map(tuple, theirs.tolist()))


def test_first_images_do_not_depend_on_the_size() -> None:
    few, many = small("digits", train_size=100, test_size=50), small("digits", train_size=1000)
    assert torch.equal(few.train_x, many.train_x[:100])
    assert torch.equal(few.test_y, many.test_y[:50])
    assert few.checksum != many.checksum


def test_checksum_does_not_depend_on_the_dtype() -> None:
    single, double = small("digits"), small("digits", dtype=torch.float64)
    assert double.train_x.dtype == torch.float64
    assert single.checksum == double.checksum
    # Frozen: another value means that every published number was trained on other data.
    assert single.checksum.startswith("sha256:a034b37a8320135c")


def test_validation_takes_the_last_training_images() -> None:
    complete = small("digits")
    data = small("digits", split="validation", train_size=1000, test_size=297)
    assert torch.equal(data.test_x, complete.train_x[1000:])
    assert torch.equal(data.train_x, complete.train_x[:1000])
    rest = small("digits", split="validation")
    assert (len(rest.train_y), len(rest.test_y)) == (797, 500)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"train_size": 1298}, "train_size=1298 .* 1297, the training images of digits"),
        ({"train_size": 0}, "train_size=0 "),
        ({"test_size": 501}, "test_size=501 .* 500"),
        ({"test_size": -1}, "test_size=-1"),
        ({"split": "validation", "train_size": 1000, "test_size": 298}, "train_size=1000 .* 999"),
        ({"split": "validation", "test_size": 1297}, "test_size=1297 .* 1296"),
        ({"split": "train"}, "test or validation, not 'train'"),
        ({"grey": True}, "model.grey"),
        ({"image_size": 5}, "model.image_size"),
    ],
)
def test_invalid_settings_raise(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        small("digits", **settings)


def test_unknown_source_raises() -> None:
    with pytest.raises(UserError, match="digits, mnist, cifar10 or folder"):
        small("minst")


@pytest.mark.mnist
def test_mnist_equals_its_files() -> None:
    raw = have(DATA / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").parent
    data = small("mnist", train_size=7, test_size=5, dtype=torch.float64)
    for part, x, y in ("train", data.train_x, data.train_y), ("t10k", data.test_x, data.test_y):
        images = (raw / f"{part}-images-idx3-ubyte").read_bytes()
        labels = (raw / f"{part}-labels-idx1-ubyte").read_bytes()
        assert struct.unpack(">4i", images[:16])[2:] == (28, 28)
        pixels = struct.unpack(f"{x.numel()}B", images[16 : 16 + x.numel()])
        assert (x.flatten() * 255).round().int().tolist() == list(pixels)
        assert y.tolist() == list(labels[8 : 8 + len(y)])
    assert data.image_shape == (1, 28, 28) and data.name == "mnist"


@pytest.mark.mnist
def test_mnist_sizes_and_range() -> None:
    have(DATA / "MNIST" / "raw" / "t10k-labels-idx1-ubyte")
    data = small("mnist", split="validation", train_size=10)
    assert data.train_x.max() == 1
    assert len(data.test_y) == 10_000
    with pytest.raises(UserError, match="60000, the training images of mnist"):
        small("mnist", train_size=60_001)


def fake_mnist(root: Path) -> Path:
    """Lay out files of MNIST's sizes, all zero behind their headers."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, size in sources.MNIST_BYTES.items():
        images = "images" in name
        count = (size - 16) // 784 if images else size - 8
        header = (
            struct.pack(">4i", 2051, count, 28, 28) if images else struct.pack(">2i", 2049, count)
        )
        with (raw / name).open("wb") as file:
            file.write(header)
            file.truncate(size)
    return raw


def test_truncated_mnist_file_is_named(tmp_path: Path) -> None:
    raw = fake_mnist(tmp_path)
    assert small("mnist", tmp_path, train_size=3).train_y.tolist() == [0, 0, 0]
    with (raw / "t10k-images-idx3-ubyte").open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(UserError, match="t10k-images-idx3-ubyte is damaged"):
        small("mnist", tmp_path)


def test_garbled_mnist_files_are_named(tmp_path: Path) -> None:
    raw = fake_mnist(tmp_path)
    with (raw / "train-labels-idx1-ubyte").open("r+b") as file:
        file.seek(20)
        file.write(b"\xff")
    with pytest.raises(UserError, match="train-labels-idx1-ubyte is damaged"):
        small("mnist", tmp_path)
    with (raw / "train-images-idx3-ubyte").open("r+b") as file:
        file.write(b"\xff" * 16)
    with pytest.raises(UserError, match="files of MNIST in .*raw are damaged"):
        small("mnist", tmp_path)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("source", "place"), [("mnist", "MNIST/raw"), ("cifar10", "cifar-10-batches-py")]
)
def test_absent_files_without_internet(
    source: str, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(
        UserError, match=rf"{place} .*no network.* data.root or \$SAS_DATA .*{place}"
    ):
        small(source, tmp_path)
    assert capsys.readouterr() == ("", "")


def fake_cifar(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write two small pickled batches in the layout of CIFAR-10 that pass its checks."""
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import calculate_md5

    batches = root / "cifar-10-batches-py"
    batches.mkdir()
    pixels = np.arange(4 * 3072, dtype=np.int64).reshape(4, 3072).astype(np.uint8)
    for name, content in {
        "data_batch_1": {"data": pixels, "labels": [3, 1, 0, 2]},
        "test_batch": {"data": pixels[:2], "labels": [9, 8]},
        "batches.meta": {"label_names": [f"class {index}" for index in range(10)]},
    }.items():
        (batches / name).write_bytes(pickle.dumps(content))
    md5 = {path.name: calculate_md5(path) for path in batches.iterdir()}
    monkeypatch.setattr(CIFAR10, "train_list", [["data_batch_1", md5["data_batch_1"]]])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", md5["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": md5["batches.meta"]})
    return batches


def test_cifar10_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = fake_cifar(tmp_path, monkeypatch)
    (tmp_path / "cifar10-jpeg").mkdir()  # the batches come first
    data = small("cifar10", tmp_path)
    assert (data.name, data.image_shape, data.classes[9]) == ("cifar10", (3, 32, 32), "class 9")
    assert data.train_y.tolist() == [3, 1, 0, 2] and data.test_y.tolist() == [9, 8]
    # The batches hold channel after channel, and so do we.
    assert (data.train_x[0] * 255).round().int().tolist() == [v % 256 for v in range(3072)]
    (batches / "data_batch_1").write_bytes(b"not what it was")
    with pytest.raises(UserError, match="data_batch_1 is damaged"):
        small("cifar10", tmp_path)


def test_cifar10_class_folders(tmp_path: Path) -> None:
    have(DATA / "cifar10-jpeg" / "test")
    for part, count in ("train", 3), ("test", 2):
        for folder in (DATA / "cifar10-jpeg" / part).iterdir():
            (tmp_path / "cifar10-jpeg" / part / folder.name).mkdir(parents=True)
            for path in sorted(folder.iterdir())[:count]:
                shutil.copy(path, tmp_path / "cifar10-jpeg" / part / folder.name)
    data = small("cifar10", tmp_path)
    assert data.name == "cifar10 (class folders cifar10-jpeg)"
    assert (data.image_shape, data.train_x.shape) == ((3, 32, 32), (30, 3072))
    assert data.train_y.bincount().tolist() == [3] * 10
    assert data.train_y[:10].bincount().tolist() == [1] * 10
    assert data.classes[0] == "airplane"


def cifar_tree(root: Path, name: str, value: int) -> Path:
    """Write one tree of CIFAR-10's classes, its pictures as red as the value."""
    for part, label in product(("train", "test"), CIFAR_CLASSES):
        paint(root / name / part / label / "0.png", value, size=(32, 32))
    return root / name


def test_cifar10_prefers_the_batches_then_the_full_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ("cifar10-jpeg", 51), ("cifar10-full", 255):
        cifar_tree(tmp_path, name, value)
        data = small("cifar10", tmp_path)
        assert data.name == f"cifar10 (class folders {name})"
        assert data.train_x[:, 0].unique().tolist() == pytest.approx([value / 255])
    assert data.classes[3] == "cat" and (data.train_y.sort().values == torch.arange(10)).all()
    fake_cifar(tmp_path, monkeypatch)
    assert small("cifar10", tmp_path).name == "cifar10"


def test_cifar10_opens_the_copy_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = cifar_tree(tmp_path, "cifar10-jpeg", 51)
    recorded = small("cifar10", tmp_path)
    fake_cifar(tmp_path, monkeypatch)
    batches = small("cifar10", tmp_path)
    cifar_tree(tmp_path, "cifar10-full", 255)
    for before in recorded, batches:
        assert small("cifar10", tmp_path, recorded=before.name).checksum == before.checksum
    shutil.rmtree(tree)
    with pytest.raises(UserError, match="run was trained on cifar10 .*cifar10-jpeg.* no folder"):
        small("cifar10", tmp_path, recorded=recorded.name)


def test_folder_is_split_in_balance(tree: Path) -> None:
    data = small("folder", tree)
    assert (data.name, data.classes) == (f"folder {tree}", ("cat", "dog"))
    assert data.image_shape == (3, 4, 6)
    assert data.train_y.bincount().tolist() == [8, 8]
    assert data.test_y.bincount().tolist() == [2, 2]
    # Every picture is in one part only, channels lie one after the other, labels stay with it.
    red = torch.cat([data.train_x, data.test_x])[:, 0] * 255
    assert sorted(red.round().int().tolist()) == [*range(10, 20), *range(110, 120)]
    assert torch.equal(data.train_y, (data.train_x[:, 0] * 255 > 50).long())
    assert (data.train_x[:, 24:48] == 0).all() and (data.train_x[:, 48:] == 1).all()
    assert small("folder", tree).checksum == data.checksum


def test_folder_with_parts_in_grey_resized(parts: Path) -> None:
    data = small("folder", parts, grey=True, image_size=3)
    assert data.image_shape == (1, 3, 3)
    assert (data.train_x.shape, data.test_x.shape) == ((10, 9), (4, 9))
    expected = 51 / 255 * data.train_y[:, None].float().expand(-1, 9)
    torch.testing.assert_close(data.train_x, expected)


def test_only_requested_images_are_decoded(tree: Path) -> None:
    first = small("folder", tree, train_size=1, test_size=1)
    used = (torch.cat([first.train_x, first.test_x])[:, 0] * 255).round().int().tolist()
    for path in tree.rglob("*.png"):
        if int(path.stem) + (10 if path.parent.name == "cat" else 110) not in used:
            path.write_bytes(b"damaged")
    assert small("folder", tree, train_size=1, test_size=1).checksum == first.checksum
    with pytest.raises(UserError, match="cannot be read"):
        small("folder", tree, train_size=2, test_size=1)


def test_sizes_that_differ_need_a_setting(tree: Path) -> None:
    paint(tree / "cat" / "0.png", 10, size=(5, 5))
    with pytest.raises(UserError, match="differ in size: set model.image_size"):
        small("folder", tree)
    assert small("folder", tree, image_size=4).image_shape == (3, 4, 4)


def test_parts_of_different_size_need_a_setting(parts: Path) -> None:
    for path in (parts / "test").rglob("*.png"):
        paint(path, 0, mode="L", size=(9, 9))
    with pytest.raises(UserError, match="differ in size: set model.image_size"):
        small("folder", parts)


def test_damaged_image_is_named(tree: Path) -> None:
    complete = (tree / "dog" / "3.png").read_bytes()
    for content in complete[: len(complete) // 2], b"text", b"":
        (tree / "dog" / "3.png").write_bytes(content)
        with pytest.raises(UserError, match=r"dog/3\.png cannot be read as an image"):
            small("folder", tree)


def test_deep_image_is_named(tree: Path) -> None:
    Image.fromarray(np.full((4, 6), 40_000, dtype=np.uint16)).save(tree / "cat" / "4.png")
    with pytest.raises(UserError, match=r"cat/4\.png has more than 8 bits"):
        small("folder", tree)


def test_folder_errors(tree: Path) -> None:
    with pytest.raises(UserError, match="there is no folder .*absent"):
        small("folder", tree / "absent")
    with pytest.raises(UserError, match="model.image_size=0"):
        small("folder", tree, image_size=0)


def test_empty_class_is_named(tree: Path) -> None:
    (tree / "owl").mkdir()
    with pytest.raises(UserError, match="one folder of images per class.*owl"):
        small("folder", tree)


@pytest.mark.parametrize("names", [("train", "val"), ("Test", "training")])
def test_parts_of_a_data_set_are_not_classes(names: tuple[str, str], tmp_path: Path) -> None:
    for name in names:
        for label in ("cat", "dog"):
            (tmp_path / name / label).mkdir(parents=True)
            Image.new("L", (2, 2)).save(tmp_path / name / label / "0.png")
    with pytest.raises(
        UserError, match="name the parts train and test, or give the folder of one"
    ):
        load("folder", root=tmp_path, train_size="all", test_size="all")


def test_one_class_is_too_few(tree: Path) -> None:
    shutil.rmtree(tree / "dog")
    with pytest.raises(UserError, match="one class only, cat"):
        small("folder", tree)
    shutil.rmtree(tree / "cat")
    with pytest.raises(UserError, match="one folder of images per class"):
        small("folder", tree)


def test_parts_must_have_the_same_classes(parts: Path) -> None:
    (parts / "test" / "b").rename(parts / "test" / "c")
    with pytest.raises(UserError, match="different classes: b, c"):
        small("folder", parts)
