"""`sas runs`: the run directories, their status, accuracy and age."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from sascli import output
from sascli.commands import COMMANDS
from sascli.config import Runs, as_list, unknown
from sascli.jobs import listing

FORMATS: dict[str, Callable[[pd.DataFrame], str]] = {
    "csv": lambda table: table.to_csv(index=False).rstrip(),
    "json": lambda table: str(table.to_json(orient="records", indent=1)),
}


def print_runs(config: Runs, _job: Path | None = None) -> None:
    """Print the table. Raises UserError for an unknown command or status."""
    table = listing.listing(Path(config.outputs))
    for column, known in (("command", COMMANDS), ("status", listing.STATUSES)):
        if (names := getattr(config, column)) is not None:
            for name in as_list(names):
                if name not in known:
                    raise unknown(str(name), known, column)
            table = table[table[column].isin(as_list(names))]
    if config.match is not None:
        table = table[table["directory"].str.contains(config.match, regex=False)]
    if config.format == "text":
        return print(listing.as_text(table, Path(config.outputs), output.width()))
    print(FORMATS[config.format](table))
