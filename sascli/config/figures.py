"""The settings of pictures: their width, file formats and size of letters."""

from dataclasses import dataclass
from typing import Any

from sascli.config.settings import as_list, setting

FORMATS = ("pdf", "png", "svg")


@dataclass
class Figures:
    """Pictures as a journal wants them."""

    width: float = setting(3.4, "inches; one column of a journal is 3.4, two are 7", ge=2, le=12)
    format: Any = setting(["pdf", "png"], "pdf, png or svg, or a list of them", choices=FORMATS)
    font_size: float = setting(7.7, "points; lines and symbols grow with it", ge=4, le=20)

    @property
    def suffixes(self) -> list[str]:
        """The endings of the files, each once."""
        return [f".{name}" for name in dict.fromkeys(as_list(self.format))]
