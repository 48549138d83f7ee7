"""Tables -> pictures: one module per figure, loaded when it is drawn."""

import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import pandas as pd

from sascli import runs
from sascli.config import unknown
from sascli.errors import UserError
from sascli.studies.registry import STUDIES, name_of, study_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Drawing(Protocol):
    """What a module of this package offers; it may name further tables in OPTIONAL."""

    TABLES: tuple[str, ...]
    CAPTION: str

    def draw(self, tables: Mapping[str, pd.DataFrame], reference: Mapping[str, int]) -> "Figure":
        """Draw the figure at the reference point; its label is the caption, filled in."""


class Registry(Mapping[str, Drawing]):
    """Figures by name; a figure's module, and matplotlib with it, is imported when asked for."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(names)

    def __getitem__(self, name: str) -> Drawing:
        if name not in self._names:
            raise unknown(name, self._names, "figure")
        return cast(Drawing, importlib.import_module(f"{__name__}.{name}"))

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


FIGURES = Registry([*(name for study in STUDIES.values() for name in study.figures), "overview"])


def read_tables(directory: Path, names: Iterable[str] | None = None) -> dict[str, pd.DataFrame]:
    """The named tables of a directory, by default every table in it.

    Raises UserError when one is missing or damaged, with the command that makes it.
    """
    if names is None:
        names = sorted(path.stem for path in directory.glob("*.csv"))
    try:
        return {name: runs.read_table(directory / f"{name}.csv") for name in names}
    except UserError as error:
        raise _with_maker(error, runs.manifest_of(directory)) from error


def has(directory: Path, table: str) -> bool:
    """Whether a directory has a table."""
    return (directory / f"{table}.csv").exists()


def all_of(directory: Path) -> list[str]:
    """The figures of a directory's study, less those that its version had no tables for."""
    study = study_of(runs.manifest_of(directory))
    return [
        name
        for name in study.figures
        if name not in study.later or all(has(directory, own) for own in FIGURES[name].TABLES)
    ]


def possible(names: Iterable[str], directory: Path) -> list[str]:
    """The figures whose tables a directory has."""
    return [
        name
        for name in names
        if all((directory / f"{table}.csv").exists() for table in FIGURES[name].TABLES)
    ]


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
    from sascli.figures import style

    manifest = runs.manifest_of(directory)
    at = reference_of(directory) if reference is None else reference
    paths: list[Path] = []
    for name in names:
        module = FIGURES[name]
        optional = [own for own in getattr(module, "OPTIONAL", ()) if has(directory, own)]
        tables = read_tables(directory, [*module.TABLES, *optional])
        try:
            drawing = module.draw(tables, at)
        except UserError as error:
            raise _with_maker(error, manifest) from error
        if name not in study_of(manifest).imageless:
            drawing.set_label(f"{drawing.get_label()} {_data(manifest)}".strip())
        runs.make(out)
        paths += style.save(drawing, out / name, suffixes)
    return paths


def directory_of(named: str | None, outputs: Path, study: str | None) -> Path:
    """The directory of a study at a path, by default the newest under `outputs`.

    With a `study`, the newest of that one. Raises UserError when there is none.
    """
    if study is not None and study not in STUDIES:
        raise unknown(study, STUDIES, "study")
    if named:
        runs.manifest_of(Path(named))
        return Path(named)
    parent = outputs / "reproduce"
    newest = runs.find(parent, lambda manifest: True, f"{study or '*'}/*/*")
    if newest is None:
        place = parent / study if study else parent
        raise UserError(
            f"there is nothing in {place}: `sas reproduce {study or 'STUDY'}` makes it"
        )
    return newest


def reference_of(directory: Path) -> dict[str, int]:
    """The point of a directory that the figures are drawn at.

    Raises UserError for a directory that has none: a single run's, say.
    """
    manifest = runs.manifest_of(directory)
    if "reference" not in manifest:
        raise UserError(
            f"{directory} is of `sas {manifest['kind']}`: figures and claims need one of "
            "`sas reproduce` or `sas sweep-datasize`"
        )
    return dict(manifest["reference"])


def maker(manifest: Mapping[str, Any]) -> str:
    """The command that makes the tables which a manifest describes."""
    if manifest.get("kind") == "sweep-datasize":
        return f"sas reproduce credit model={manifest['model']}"
    if study := name_of(manifest):
        settings = f"model={manifest['model']} preset={manifest['preset']}"
        return f"sas reproduce {study} {settings}"
    return str(manifest["command"])


def _with_maker(error: UserError, manifest: Mapping[str, Any]) -> UserError:
    return UserError(f"{error}; `{maker(manifest)}` makes it")


def _data(manifest: Mapping[str, Any]) -> str:
    """The sentence of a caption that names the data set really used."""
    name = manifest.get("data", {}).get("name")
    return f"Data: {name}." if name else ""
