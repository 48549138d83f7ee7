"""The tables of a directory, and the figures that are drawn from them and saved.

The modules of the figures, with matplotlib and seaborn, are imported on first use.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from sascli import runs
from sascli.config import Figures, unknown
from sascli.errors import UserError

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
    settings: Figures | None = None,
    reference: Mapping[str, int] | None = None,
) -> list[Path]:
    """Draw figures from the tables of `directory` into files NAME in `out`.

    `settings` are their width, formats and letters. They are drawn at the directory's reference
    point, or at `reference` where it has none. Never trains. Raises UserError for an unknown
    figure, a missing table or a table without the rows that are needed; the last two with the
    command that makes them.
    """
    from sascli.figures.draw import style

    settings = settings or style.DEFAULT
    manifest = runs.manifest_of(directory)
    point = reference_of(directory) if reference is None else manifest.get("reference", reference)
    data = manifest.get("data", {}).get("name")
    paths: list[Path] = []
    for name in names:
        drawing = picture(name)
        optional = [table for table in drawing.optional if has(directory, table)]
        tables = read_tables(directory, [*drawing.tables, *optional])
        try:
            figure = drawing.draw(tables, point, settings)
        except UserError as error:
            raise with_maker(error, manifest) from error
        if data and drawing.on_images:
            figure.set_label(f"{figure.get_label()} Data: {data}.")
        runs.make(out)
        paths += style.save(figure, out / name, settings)
    return paths


def has(directory: Path, table: str) -> bool:
    """Whether a directory has a table."""
    return (directory / f"{table}.csv").exists()


def read_tables(directory: Path, names: Iterable[str] | None = None) -> dict[str, pd.DataFrame]:
    """The named tables of a directory, by default every table in it.

    Raises UserError when one is missing or damaged, with the command that makes it.
    """
    if names is None:
        names = sorted(path.stem for path in directory.glob("*.csv"))
    try:
        return {name: runs.read_table(directory / f"{name}.csv") for name in names}
    except UserError as error:
        raise with_maker(error, runs.manifest_of(directory)) from error


def reference_of(directory: Path) -> dict[str, int]:
    """The point at which the figures of a directory are drawn.

    Raises UserError for a directory that has none, for example that of a single run.
    """
    manifest = runs.manifest_of(directory)
    if "reference" not in manifest:
        raise UserError(
            f"{directory} was made by `sas {manifest['kind']}`: figures and claims need one of "
            "`sas reproduce` or `sas sweep-datasize`"
        )
    return dict(manifest["reference"])


def with_maker(error: UserError, manifest: Mapping[str, Any]) -> UserError:
    """The error with the command that makes the missing tables of a directory."""
    command = str(manifest["command"])
    if manifest.get("kind") == "sweep-datasize":
        command = f"sas reproduce credit model={manifest['model']}"
    elif study := runs.study_name(manifest):
        command = f"sas reproduce {study} model={manifest['model']} preset={manifest['preset']}"
    return UserError(f"{error}; `{command}` makes it")
