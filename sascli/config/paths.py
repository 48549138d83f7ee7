"""Whether paths exist: a path that cannot be looked up is an error of the user."""

from collections.abc import Callable
from pathlib import Path

from sascli.errors import UserError


def exists(path: Path) -> bool:
    """Whether a path exists. Raises UserError for a name too long or a private folder."""
    return _looked_up(path, Path.exists)


def is_folder(path: Path) -> bool:
    """Whether a path is a folder. Raises UserError as `exists`."""
    return _looked_up(path, Path.is_dir)


def _looked_up(path: Path, test: Callable[[Path], bool]) -> bool:
    """The result of a test of a path, which Python 3.11 lets fail with OSError."""
    try:
        return test(path)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
