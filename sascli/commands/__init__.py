"""Commands: the table of them, and how a command runs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Any

from sascli import output
from sascli.commands.table import COMMANDS, Command, function, schema_of
from sascli.config.overrides import quoted
from sascli.errors import UserError, out_of_memory
from sascli.studies.registry import STUDIES

__all__ = [
    "COMMANDS", "RENAMED", "REPRODUCE", "STUDIES", "Command", "run", "schema_of", "with_argument",
    "with_study",
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


def with_argument(command: str, words: Sequence[str]) -> list[str]:
    """The words, the leading ones without a setting's name as the command's `argument`."""
    argument, words = COMMANDS[command].argument, list(words)
    if argument is None:
        return words
    values = list(takewhile(lambda word: "=" not in word and not word.startswith("-"), words))
    if not values:
        return words
    if not COMMANDS[command].several:
        return [f"{argument}={quoted(values[0])}", *words[1:]]
    return [f"{argument}=[{','.join(map(quoted, values))}]", *words[len(values) :]]


def run(command: str, config: Any, directory: Path | None = None) -> None:
    """Run a command with checked settings, draw its pictures and print its overview.

    `directory` is that of a multirun's job.
    """
    entry, work = COMMANDS[command], function(COMMANDS[command].work)
    prints = entry.work.startswith(("sascli.commands.", "sascli.jobs."))
    with output.guarded(tolerant=not prints), memory_errors():
        if entry.work.startswith("sascli.measure."):
            from sascli.measure.record import measure

            result = measure(command, work, config, directory)
            print(*sorted(result.glob("*.csv")), sep="\n")
        else:
            result = work(config, directory)
        if entry.pictures or entry.overview:
            from sascli import figures

            possible = figures.possible(entry.pictures, result)
            for path in figures.plot(possible, result, result, config.figures, reference={}):
                print(path)
            if entry.overview:
                summary = function(entry.overview)(figures.read_tables(result))
                if text := summary if isinstance(summary, str) else as_text(summary):
                    print(text)


@contextmanager
def memory_errors() -> Iterator[None]:
    """An error that memory is not sufficient is one of the user's."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        reason = str(error).splitlines()[0] if str(error) else "out of memory"
        text = "memory is not sufficient: lower replicas, width, batch_size, samples or images"
        raise UserError(f"{text} ({reason})") from error


def as_text(table: Any) -> str:
    """A table for the terminal; fractions with four digits."""
    return str(table.round(4).to_string(na_rep=""))
