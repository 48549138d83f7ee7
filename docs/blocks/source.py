"""The tables of a generated part, and the format of Markdown tables, spreads and checks."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sascli import figures, runs
from sascli.claims.check import Check
from sascli.figures.draw.rows import point
from sascli.figures.draw.rows import rows as rows_of

RULES = {"gbp": "gBP", "bp": "BP"}
"""The names of the rules."""
OVER_SEEDS = "±: standard deviation over seeds."
PASSES, OPPOSITE, UNDECIDED = "yes", "opposite", "undecided"
OUTCOMES = (
    f"{PASSES}: the check passes; {OPPOSITE}: the mean is on the wrong side of the bound by more "
    f"than 2 SE; {UNDECIDED}: neither."
)
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
        """The folder of the tables."""
        return self.docs / "data" / self.name

    @property
    def exists(self) -> bool:
        """Whether the folder, or a table of its name, is there."""
        return self.directory.is_dir() or self.directory.with_suffix(".csv").is_file()

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The manifest of the directory that the tables were copied from."""
        return runs.manifest_of(self.directory)

    @property
    def reference(self) -> dict[str, int]:
        """The point at which the figures are drawn."""
        return figures.reference_of(self.directory)

    @property
    def point(self) -> dict[str, int]:
        """Depth and training size of that point."""
        return point(self.reference)

    @property
    def file(self) -> pd.DataFrame:
        """The table docs/data/NAME.csv, of a part that has only one."""
        return runs.read_table(self.directory.with_suffix(".csv"))

    def rows(self, table: str, **keys: str | int) -> pd.DataFrame:
        """The rows of one table that have these keys."""
        return rows_of(figures.read_tables(self.directory, [table]), table, **keys)

    def part(self, records: Iterable[Mapping[str, object]], note: str, *tables: str) -> str:
        """A Markdown table, a note and the line that names the tables of its numbers."""
        files = ", ".join(f"`docs/data/{self.name}/{table}.csv`" for table in tables)
        files = files or f"the tables of `docs/data/{self.name}`"
        origin = f"From {files}, made by `{self.manifest['command']}`."
        return "\n\n".join(text for text in (markdown(records), note, origin) if text)


def outcome(check: Check) -> str:
    """Whether a check passes, or its opposite does."""
    if check.holds:
        return PASSES
    distance = min(check.mean - check.above, check.below - check.mean)
    return OPPOSITE if distance < -2 * check.error else UNDECIDED


def markdown(records: Iterable[Mapping[str, object]]) -> str:
    """A Markdown table of records that have the same keys."""
    records = list(records)
    heads: list[object] = list(records[0])
    lines: list[list[object]] = [heads, ["-"] * len(heads)]
    lines += [list(record.values()) for record in records]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def formatted(table: pd.DataFrame, columns: Mapping[str, str]) -> str:
    """A Markdown table of the rows: under each head a format string over their columns."""
    rows = [dict(zip(map(str, table), row, strict=True)) for row in table.itertuples(index=False)]
    return markdown({head: text.format(**row) for head, text in columns.items()} for row in rows)


def spread(values: "pd.Series[float]", scale: float = 1, digits: int = 2) -> str:
    """Mean and standard deviation (ddof 1) of one number per seed; empty where there is none."""
    if values.empty:
        return ""
    mean, std = scale * values.mean(), scale * values.std()
    return f"{mean:.{digits}f}" if np.isnan(std) else f"{mean:.{digits}f} ± {std:.{digits}f}"


def fraction(number: int, total: int) -> str:
    """A number of a total, "2 of 3", or alone where it is the total."""
    return f"{number} of {total}" if number < total else f"{number}"
