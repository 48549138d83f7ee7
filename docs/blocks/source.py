"""What a part is made from, and how tables and spreads are written."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sascli import figures, runs
from sascli.figures.draw.rows import rows as rows_of

RULES = {"gbp": "gBP", "bp": "BP"}
"""What rules are called."""
Blocks = Mapping[str, Callable[..., str]]
"""Functions that make parts, by their names."""


@dataclass(frozen=True)
class Source:
    """docs/data/NAME, and the folder of the document that shows it."""

    docs: Path
    name: str
    folder: Path

    @property
    def directory(self) -> Path:
        """Where the tables lie."""
        return self.docs / "data" / self.name

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What made the tables."""
        return runs.manifest_of(self.directory)

    @property
    def reference(self) -> dict[str, int]:
        """The point that the figures are drawn at."""
        return figures.reference_of(self.directory)

    @property
    def point(self) -> dict[str, int]:
        """Depth and training size of that point."""
        return {key: self.reference[key] for key in ("depth", "train_size")}

    def rows(self, table: str, **keys: str | int) -> pd.DataFrame:
        """The rows of one table that have the given keys."""
        return rows_of(figures.read_tables(self.directory, [table]), table, **keys)

    def origin(self, *tables: str) -> str:
        """The line that says where the numbers above it come from."""
        files = ", ".join(f"`docs/data/{self.name}/{table}.csv`" for table in tables)
        return f"\n\nFrom {files}, made by `{self.manifest['command']}`."


def markdown(records: Iterable[Mapping[str, object]]) -> str:
    """A Markdown table of records that have the same keys."""
    listed = list(records)
    heads: list[object] = list(listed[0])
    lines: list[list[object]] = [heads, ["-"] * len(heads)]
    lines += [list(record.values()) for record in listed]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def spread(values: "pd.Series[float]", scale: float = 1, digits: int = 2) -> str:
    """Mean and standard deviation (ddof 1) of one number per seed; empty where there is none."""
    if values.empty:
        return ""
    mean, std = scale * values.mean(), scale * values.std()
    return f"{mean:.{digits}f}" if np.isnan(std) else f"{mean:.{digits}f} ± {std:.{digits}f}"
