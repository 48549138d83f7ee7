"""Directories of studies: the newest, the study of one, its figures and claims."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from sascli import claims, figures, runs
from sascli.config import unknown
from sascli.errors import UserError
from sascli.studies.registry import STUDIES


def name_of(manifest: Mapping[str, object]) -> str:
    """The study whose tables a manifest describes; `credit` for another command's directory."""
    return runs.study_name(manifest) or "credit"


def figures_of(directory: Path) -> list[str]:
    """The figures of a directory's study, less those for which its version had no tables."""
    study = STUDIES[name_of(runs.manifest_of(directory))]
    possible = figures.possible(study.later, directory)
    return [name for name in study.figures if name not in study.later or name in possible]


def directory_of(path: str | None, outputs: Path, study: str | None) -> Path:
    """The directory of a study at a path, by default the newest under `outputs`.

    With a `study`, the newest of that one. Raises UserError when there is none, and for a path to
    the directory of another study or command.
    """
    if study is not None and study not in STUDIES:
        raise unknown(study, STUDIES, "study")
    if path:
        of = runs.study_name(runs.manifest_of(Path(path)))
        if study not in (None, of):
            what = f"of the study {of}" if of else "of no study"
            raise UserError(f"{path} is a directory {what}, not of {study}: leave study out")
        return Path(path)
    parent = outputs / "reproduce"
    newest = runs.find(parent, lambda directory, manifest: True, f"{study or '*'}/*/*")
    if newest is None:
        place = parent / study if study else parent
        raise UserError(
            f"there is nothing in {place}: `sas reproduce {study or 'STUDY'}` makes it"
        )
    return newest


def judge(directory: Path, other: Path | None = None) -> pd.DataFrame:
    """The claims of a directory's study, measured; `other` is one of another data set."""

    def measured(path: Path) -> claims.Directory:
        return figures.read_tables(path), figures.reference_of(path)

    study = name_of(runs.manifest_of(directory))
    second = None if other is None else measured(other)
    return claims.evaluate(*measured(directory), second, register=study)
