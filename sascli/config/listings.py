"""The settings of the commands that list many run directories."""

from dataclasses import dataclass
from typing import Any

from sascli.config.settings import setting


@dataclass
class Runs:
    """The run directories in the outputs."""

    command: Any = setting(None, "only of this command, or of a list of commands; null: all")
    status: Any = setting(None, "only of this status, or of a list of them; null: all")
    match: str | None = setting(None, "only with this text in their path, e.g. mnist; null: all")
    format: str = setting("text", "text, csv or json", choices=("text", "csv", "json"))
    outputs: str = setting("outputs", "where they are; default $SAS_OUTPUTS")


@dataclass
class Collect:
    """The tables of all jobs of a multirun."""

    sweep: str | None = setting(None, "directory of a multirun; null: the newest")
    outputs: str = setting("outputs", "where the multirun is; default $SAS_OUTPUTS")


@dataclass
class Clean:
    """Old versions of run directories."""

    confirm: bool = setting(False, "true: delete them; false: list them only")
    same: bool = setting(True, "only where a newer version has the same settings; false: any")
    match: str | None = setting(None, "only with this text in their path; null: all")
    outputs: str = setting("outputs", "where they are; default $SAS_OUTPUTS")


@dataclass
class Plan:
    """What a command would train."""

    command: str | None = setting(None, "the command, with its settings after it")
    jobs: Any = setting(None, "its settings as typed after it; with --multirun those of each job")
    outputs: str = setting("outputs", "where the command would write; default $SAS_OUTPUTS")
