"""`sas claims`: the paper's claims, measured on the tables of one `sas reproduce` directory."""

from pathlib import Path

from sascli import claims, output, runs
from sascli.config import Claims
from sascli.errors import UserError
from sascli.studies.directories import directory_of, judge

FORMATS = {
    "text": lambda table: claims.as_text(table, output.width()),
    "csv": lambda table: table.to_csv(index=False),
    "markdown": claims.as_markdown,
}


def print_claims(config: Claims, _job: Path | None = None) -> None:
    """Print the table. Raises UserError for a directory that does not exist."""
    directory = directory_of(config.from_, Path(config.outputs), config.study)
    other = Path(config.other) if config.other else None
    if other:
        studies = {runs.study_name(runs.manifest_of(path)) for path in (directory, other)}
        if studies != {"credit"}:
            raise UserError("other is for two directories of `sas reproduce credit`")
    print(FORMATS[config.format](judge(directory, other)))
