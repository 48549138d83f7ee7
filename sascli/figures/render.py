"""Figures by name, drawn from the tables of a directory and saved.

Their modules, with matplotlib and seaborn, are imported on first use.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from sascli import runs
from sascli.config import unknown
from sascli.errors import UserError
from sascli.figures.tables import read_tables, reference_of, with_maker

if TYPE_CHECKING:
    from sascli.figures.draw.picture import Picture


@cache
def pictures() -> "dict[str, Picture]":
    """Every picture of the studies' folders."""
    for path in sorted(Path(__file__).parent.glob("*/[a-z]*.py")):
        import_module(f"{__package__}.{path.parent.name}.{path.stem}")
    from sascli.figures.draw.picture import PICTURES

    return PICTURES


def picture(name: str) -> "Picture":
    """The picture of this name. Raises UserError for an unknown one."""
    if name not in pictures():
        raise unknown(name, pictures(), "figure")
    return pictures()[name]


def possible(names: Iterable[str], directory: Path) -> list[str]:
    """The figures whose tables a directory has."""
    return [name for name in names if all(has(directory, table) for table in picture(name).tables)]


def plot(
    names: Iterable[str],
    directory: Path,
    out: Path,
    suffixes: Sequence[str] = (".pdf", ".png"),
    reference: Mapping[str, int] | None = None,
) -> list[Path]:
    """Draw figures from the tables of `directory` into out/NAME.pdf and out/NAME.png.

    `reference` is the point at which they are drawn, by default that of the directory. Never
    trains. Raises UserError for an unknown figure, a missing table or a table without the rows
    that are needed; the last two with the command that makes them.
    """
    from sascli.figures.draw import style

    manifest = runs.manifest_of(directory)
    point = reference_of(directory) if reference is None else reference
    data = manifest.get("data", {}).get("name")
    paths: list[Path] = []
    for name in names:
        drawing = picture(name)
        optional = [table for table in drawing.optional if has(directory, table)]
        tables = read_tables(directory, [*drawing.tables, *optional])
        try:
            figure = drawing.draw(tables, point)
        except UserError as error:
            raise with_maker(error, manifest) from error
        if data and drawing.on_images:
            figure.set_label(f"{figure.get_label()} Data: {data}.")
        runs.make(out)
        paths += style.save(figure, out / name, suffixes)
    return paths


def has(directory: Path, table: str) -> bool:
    """Whether a directory has a table."""
    return (directory / f"{table}.csv").exists()
