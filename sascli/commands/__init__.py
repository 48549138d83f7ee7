"""Commands: the table of them, and how one is run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sascli.commands.table import COMMANDS, Command, function

__all__ = ["COMMANDS", "RENAMED", "REPRODUCE", "Command", "run", "studies", "with_study"]

REPRODUCE = "reproduce"
"""The command whose next word names a study."""

RENAMED = {
    "figures": "reproduce credit",
    "figures-temporal": "reproduce temporal",
    "figures-copi": "reproduce copi",
    "figures-use": "reproduce use",
}
"""What commands of earlier versions are called now."""


def studies() -> list[str]:
    """The studies that `sas reproduce` knows."""
    return [name.split()[1] for name in COMMANDS if " " in name]


def with_study(words: Sequence[str]) -> list[str]:
    """The words, the first two as one where they name a study: `reproduce credit`."""
    is_study = words[:1] == [REPRODUCE] and words[1:2] and words[1] in studies()
    return [" ".join(words[:2]), *words[2:]] if is_study else list(words)


def run(command: str, config: Any, directory: Path | None = None) -> None:
    """Run a command with checked settings, in the directory of a multirun's job if it is one.

    Then draw its pictures and print its overview.
    """
    entry, work = COMMANDS[command], function(COMMANDS[command].work)
    if entry.measures:
        from sascli.measure.record import measure

        result = measure(command, work, config, directory)
        print(*sorted(result.glob("*.csv")), sep="\n")
    else:
        result = work(config, directory)
    if entry.pictures or entry.overview:
        from sascli import figures, runs

        reference = runs.manifest_of(result).get("reference", {})
        drawn = figures.plot(
            figures.possible(entry.pictures, result), result, result, reference=reference
        )
        print(*drawn, sep="\n")
        if entry.overview:
            table = function(entry.overview)(figures.read_tables(result))
            print(table.round(4).to_string(na_rep=""))
