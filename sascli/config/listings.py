"""The settings of what looks at many run directories."""

from dataclasses import dataclass
from typing import Any

from sascli.config.settings import setting


@dataclass
class Runs:
    """The run directories that there are."""

    command: Any = setting(None, "only of this command, or of these; null: all")
    status: Any = setting(None, "only of this status, or of these; null: all")
    match: str | None = setting(None, "only with this in their path, for example mnist; null: all")
    format: str = setting("text", "text, csv or json", choices=("text", "csv", "json"))
    outputs: str = setting("outputs", "where they are; default $SAS_OUTPUTS")


@dataclass
class Collect:
    """The tables of a multirun's jobs together."""

    sweep: str | None = setting(None, "directory of a multirun; null: the newest")
    outputs: str = setting("outputs", "where it is looked for; default $SAS_OUTPUTS")
