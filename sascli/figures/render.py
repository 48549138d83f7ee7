"""Figures drawn from the tables of a directory, and saved."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sascli import runs
from sascli.errors import UserError
from sascli.figures.registry import FIGURES
from sascli.figures.tables import read_tables, reference_of, with_maker


def possible(names: Iterable[str], directory: Path) -> list[str]:
    """The figures whose tables a directory has."""
    return [name for name in names if all(has(directory, table) for table in FIGURES[name].TABLES)]


def plot(
    names: Iterable[str],
    directory: Path,
    out: Path,
    suffixes: Sequence[str] = (".pdf", ".png"),
    reference: Mapping[str, int] | None = None,
) -> list[Path]:
    """Draw figures from the tables of `directory` into out/NAME.pdf and out/NAME.png.

    `reference` is the point that they are drawn at, by default that of the directory. Never
    trains. Raises UserError for a figure that does not exist, a missing table or a table without
    the rows wanted; the last two with the command that makes them.
    """
    from sascli.figures.draw import style

    manifest = runs.manifest_of(directory)
    at = reference_of(directory) if reference is None else reference
    paths: list[Path] = []
    for name in names:
        module = FIGURES[name]
        optional = [table for table in getattr(module, "OPTIONAL", ()) if has(directory, table)]
        tables = read_tables(directory, [*module.TABLES, *optional])
        try:
            drawing = module.draw(tables, at)
        except UserError as error:
            raise with_maker(error, manifest) from error
        if getattr(module, "ON_IMAGES", True):
            drawing.set_label(f"{drawing.get_label()} {_data(manifest)}".strip())
        runs.make(out)
        paths += style.save(drawing, out / name, suffixes)
    return paths


def has(directory: Path, table: str) -> bool:
    """Whether a directory has a table."""
    return (directory / f"{table}.csv").exists()


def _data(manifest: Mapping[str, Any]) -> str:
    """The sentence of a caption that names the data set really used."""
    name = manifest.get("data", {}).get("name")
    return f"Data: {name}." if name else ""
