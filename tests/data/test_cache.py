"""Cached arrays: made once, made again if damaged, and written to the first writable folder."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import paint
from test_data import small

from sascli.data import folders
from sascli.data.cache import FOLDER, cached
from sascli.data.folders import Decoder
from sascli.data.parts import Pixels
from sascli.errors import UserError

ARRAY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


class Maker:
    """Makes the array and counts how often."""

    count = 0

    def __call__(self) -> np.ndarray:
        """One more."""
        self.count += 1
        return ARRAY


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder, an empty one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "sas"


def test_array_is_made_once(home: Path, tmp_path: Path) -> None:
    make = Maker()
    for _ in range(3):
        np.testing.assert_array_equal(cached("a", make, tmp_path), ARRAY)
    assert make.count == 1 and (tmp_path / FOLDER / "a.npy").is_file() and not home.exists()
    cached("b", make, tmp_path)
    assert make.count == 2


@pytest.mark.parametrize("damage", ["empty", "no array", "cut off", "one bit"])
def test_damaged_array_is_made_again(home: Path, tmp_path: Path, damage: str) -> None:
    make, path = Maker(), tmp_path / FOLDER / "a.npy"
    cached("a", make, tmp_path)
    content = path.read_bytes()
    place = content.index(ARRAY.tobytes()) + 7
    flipped = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
    contents = {"empty": b"", "no array": b"no array", "cut off": content[:-5]}
    path.write_bytes(contents.get(damage, flipped))
    for _ in range(2):
        np.testing.assert_array_equal(cached("a", make, tmp_path), ARRAY)
    assert make.count == 2


def test_read_only_data_are_cached_in_the_users_folder(home: Path, tmp_path: Path) -> None:
    make, data = Maker(), tmp_path / "data"
    data.write_text("a file: nobody can make a folder in it")  # root may write anywhere else
    for beside in (data, data, None):
        np.testing.assert_array_equal(cached("a", make, beside), ARRAY)
    assert make.count == 1 and (home / "a.npy").is_file()


def test_no_cache_without_a_writable_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    make = Maker()
    for _ in range(2):
        np.testing.assert_array_equal(cached("a", make, tmp_path / "file"), ARRAY)
    assert make.count == 2


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """Train and test folders of two classes, 7 and 2 pictures in all."""
    for part, count in (("train", 4), ("test", 1)):
        for index in range(count):
            paint(tmp_path / "parts" / part / "a" / f"{index}.png", 10 + index)
            if index or part == "test":
                paint(tmp_path / "parts" / part / "b" / f"{index}.png", 110 + index)
    return tmp_path / "parts"


def test_blocks_of_a_tree_are_decoded_once(
    home: Path, parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = small("folder", parts)
    decoded = list[int]()
    decode = Decoder.decode

    def counted(self: Decoder, paths: Sequence[str]) -> Pixels:
        decoded.append(len(paths))
        return decode(self, paths)

    monkeypatch.setattr(folders, "BLOCK", 3)
    monkeypatch.setattr(Decoder, "decode", counted)

    def again(*pieces: int, size: int | str = "all", **settings: object) -> None:
        decoded.clear()
        data = small("folder", parts, train_size=size, **settings)
        assert decoded == list(pieces)
        if size == "all" and not settings:
            assert data.checksum == expected.checksum

    again(3, 3, 1, 2)  # two blocks and a rest of the training images, the test images
    again(1, 2)
    again(1, 2, size=4)  # the second block is incomplete
    again(3, 3, 1, 2, grey=True)
    paint(parts / "train" / "b" / "3.png", 200)  # one of a block's images is another now
    changed = small("folder", parts)
    assert changed.checksum != expected.checksum
    assert len(list((parts / FOLDER).iterdir())) in (4, 5)  # unless it is of the rest


def test_validation_takes_the_same_images_across_blocks(
    home: Path, parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"split": "validation", "train_size": 3, "test_size": 4}
    expected = small("folder", parts, **settings)
    monkeypatch.setattr(folders, "BLOCK", 2)
    for _ in range(2):
        assert small("folder", parts, **settings).checksum == expected.checksum


def test_sizes_that_differ_between_blocks_are_named(
    home: Path, parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "BLOCK", 1)
    paint(parts / "train" / "a" / "0.png", 10, size=(5, 5))
    with pytest.raises(UserError, match="differ in size: set model.image_size"):
        small("folder", parts)


def test_tree_without_parts_gets_no_cache_folder(
    home: Path, parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "BLOCK", 2)
    first = small("folder", parts / "train")
    assert small("folder", parts / "train").checksum == first.checksum
    assert not (parts / "train" / FOLDER).exists() and list(home.glob("*.npy"))
