"""The figures by name; a figure's module is imported when it is drawn."""

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import pandas as pd

from sascli.config import unknown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHARED = "draw"
"""The folder of what figures share."""


class Drawing(Protocol):
    """The module of a figure.

    It may name further tables in OPTIONAL, and say ON_IMAGES = False where no images of the
    directory's data set went into the figure.
    """

    TABLES: tuple[str, ...]
    CAPTION: str

    def draw(self, tables: Mapping[str, pd.DataFrame], reference: Mapping[str, int]) -> "Figure":
        """Draw the figure at the reference point; its label is the caption, filled in."""


class Registry(Mapping[str, Drawing]):
    """Figures by name; matplotlib is imported with the first."""

    def __init__(self) -> None:
        self._folders = {
            path.stem: path.parent.name
            for path in sorted(Path(__file__).parent.glob("*/[a-z]*.py"))
            if path.parent.name != SHARED
        }

    def __getitem__(self, name: str) -> Drawing:
        if name not in self._folders:
            raise unknown(name, self._folders, "figure")
        module = f"{__package__}.{self._folders[name]}.{name}"
        return cast(Drawing, importlib.import_module(module))

    def __iter__(self) -> Iterator[str]:
        return iter(self._folders)

    def __len__(self) -> int:
        return len(self._folders)


FIGURES = Registry()
