"""Commands: the table of them, and how a command runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sascli.commands.table import COMMANDS, Command, function, schema_of
from sascli.studies.registry import STUDIES

__all__ = [
    "COMMANDS", "RENAMED", "REPRODUCE", "STUDIES", "Command", "run", "schema_of", "with_study",
]  # fmt: skip

REPRODUCE = "reproduce"
"""The command whose next word names a study."""

RENAMED = {
    "figures": "reproduce credit",
    "figures-temporal": "reproduce temporal",
    "figures-copi": "reproduce copi",
    "figures-use": "reproduce use",
}
"""Commands of earlier versions with their names now."""


def with_study(words: Sequence[str]) -> list[str]:
    """The words, the first two joined where they name a study: `reproduce credit`."""
    is_study = words[:1] == [REPRODUCE] and words[1:2] and words[1] in STUDIES
    return [" ".join(words[:2]), *words[2:]] if is_study else list(words)


def run(command: str, config: Any, directory: Path | None = None) -> None:
    """Run a command with checked settings, draw its pictures and print its overview.

    `directory` is that of a multirun's job.
    """
    entry, work = COMMANDS[command], function(COMMANDS[command].work)
    if entry.work.startswith("sascli.measure."):
        from sascli.measure.record import measure

        result = measure(command, work, config, directory)
        print(*sorted(result.glob("*.csv")), sep="\n")
    else:
        result = work(config, directory)
    if entry.pictures or entry.overview:
        from sascli import figures

        possible = figures.possible(entry.pictures, result)
        print(*figures.plot(possible, result, result, reference={}), sep="\n")
        if entry.overview:
            table = function(entry.overview)(figures.read_tables(result))
            print(table.round(4).to_string(na_rep=""))
