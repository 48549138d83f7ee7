"""`sas claims`: the paper's claims, measured on the tables of one `sas reproduce` directory."""

from pathlib import Path

import pandas as pd

from sascli import claims, figures, runs
from sascli.config import Claims
from sascli.errors import UserError
from sascli.studies.registry import directory_of, study_of

FORMATS = {
    "text": claims.as_text,
    "csv": lambda table: table.to_csv(index=False),
    "markdown": claims.as_markdown,
}


def print_claims(config: Claims, _job: Path | None = None) -> None:
    """Print the table. Raises UserError for a directory that does not exist."""
    directory = directory_of(config.from_, Path(config.outputs), config.study)
    manifest = runs.manifest_of(directory)
    study = study_of(manifest)
    other = None
    if config.other:
        second = Path(config.other)
        if not runs.study_name(manifest) == runs.study_name(runs.manifest_of(second)) == "credit":
            raise UserError("other is for two directories of `sas reproduce credit`")
        other = measured(second)
    table = claims.evaluate(*measured(directory), other, register=study.claims)
    print(FORMATS[config.format](table))


def measured(directory: Path) -> tuple[dict[str, pd.DataFrame], dict[str, int]]:
    """The tables of a directory and its reference point."""
    return figures.read_tables(directory), figures.reference_of(directory)
