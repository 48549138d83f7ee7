"""Standard output that is closed, full or of few characters: no traceback, no training lost."""

import codecs
import os
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from shutil import get_terminal_size
from typing import Any, TextIO

from sascli.errors import UserError

PLAIN = {"π": "pi", "Ξ": "Xi", "μ": "mu", "σ": "sigma", "Σ": "sum", "√": "sqrt", "≤": "<="}
PLAIN |= {"≥": ">=", "±": "+-", "“": '"', "”": '"', "·": "*", "ε": "eps"}
"""What a terminal that lacks a character shows instead."""
LOST: list[str] = []
"""Why the log of this process is incomplete; empty if it is not."""


class Output:
    """A stream whose failure is an error of the user or, if it is `tolerant`, ends the log."""

    def __init__(self, stream: TextIO, tolerant: bool) -> None:
        self.stream, self.tolerant, self.failed = stream, tolerant, False
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="sas")

    def write(self, text: str) -> int:
        """Write, or drop the text after a failure."""
        with self._handling():
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, as `write`."""
        with self._handling():
            self.stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    @contextmanager
    def _handling(self) -> Iterator[None]:
        """Raises BrokenPipeError, or UserError for another failure, unless tolerant."""
        try:
            yield
        except OSError as error:
            if not self.failed:
                self.failed = True
                with suppress(OSError):  # of a stream without a file
                    os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())
            if self.tolerant:
                LOST.append(f"standard output failed ({error.strerror}): the log ends there")
            elif isinstance(error, BrokenPipeError):
                raise
            else:
                raise UserError(f"cannot write to standard output: {error.strerror}") from error


@contextmanager
def guarded(tolerant: bool = False) -> Iterator[None]:
    """Guard standard output and, always tolerantly, standard error."""
    before = sys.stdout, sys.stderr
    if sys.stdout is None:  # closed before the start
        LOST.append("standard output was closed: there is no log")
    with ExitStack() as stack:
        streams = [stream or stack.enter_context(open(os.devnull, "w")) for stream in before]
        raw = [stream.stream if isinstance(stream, Output) else stream for stream in streams]
        sys.stdout, sys.stderr = Output(raw[0], tolerant), Output(raw[1], True)
        try:
            yield
            sys.stdout.flush()
        finally:
            sys.stdout, sys.stderr = before


def width() -> int | None:
    """The columns of the terminal; None where standard output is none."""
    return get_terminal_size().columns if sys.stdout.isatty() else None


def lost() -> list[str]:
    """Why the log of this process is incomplete so far, as warnings for a manifest."""
    if isinstance(sys.stdout, Output):
        sys.stdout.flush()
    return list(dict.fromkeys(LOST))


def _plain(error: UnicodeError) -> tuple[str, int]:
    """What replaces characters that cannot be encoded."""
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end]
    simple = [unicodedata.normalize("NFKD", c).encode("ascii", "ignore").decode() for c in text]
    return "".join(PLAIN.get(c, s or "?") for c, s in zip(text, simple, strict=True)), error.end


codecs.register_error("sas", _plain)
