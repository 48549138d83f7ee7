"""SIGINT and SIGTERM turned into a clean stop at the end of an epoch."""

import signal
import threading
from types import FrameType


class Stopped(SystemExit):
    """A signal stopped the work; its `code`, that of the process too, is 128 + the number."""


class Stopping:
    """Stores the first signal in `signal`; a second one stops at once.

    Its end raises Stopped if a signal came, so that none is lost.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, object] = {}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise Stopped(128 + number)
        self.signal = number

    def __enter__(self) -> "Stopping":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in self.SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        if kind is None and self.signal is not None:
            raise Stopped(128 + self.signal)
