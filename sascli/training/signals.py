"""SIGINT and SIGTERM turned into a clean stop at the end of an epoch."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from sascli.errors import DivergedError

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(SystemExit):
    """A signal stopped the work; its `code`, that of the process too, is 128 + the number."""


@contextmanager
def stopping() -> Iterator[list[int]]:
    """A list that gets the first signal; a second one stops at once.

    The end raises Stopped if a signal came, also when the training diverged: a sweep would
    continue with its next point.
    """
    signals: list[int] = []

    def handle(number: int, _: FrameType | None) -> None:
        if signals:
            raise Stopped(128 + number)
        signals.append(number)

    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, handle) for number in SIGNALS if main}
    try:
        yield signals
    except DivergedError as error:
        if signals:
            raise Stopped(128 + signals[0]) from error
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if signals:
        raise Stopped(128 + signals[0])
