"""When a checkpoint is due: every so many epochs, or as seldom as its cost demands."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

FRACTION, LONGEST = 0.05, 600.0
"""Of the time, what checkpoints may take; and the seconds after which one is due all the same."""
SPEED = 1e8
"""Bytes per second at which the first checkpoint is assumed to be written."""


class Pace:
    """Decides after which epochs a checkpoint is written.

    With `every`, after every so many. Without, when the time since the last checkpoint is twenty
    times what it took to write (`FRACTION`), or ten minutes. `size`: bytes of the first.
    """

    def __init__(self, every: int | None, size: int) -> None:
        self.every = every
        self._cost, self._saved = size / SPEED, time.monotonic()

    def due(self, epoch: int) -> bool:
        """Whether a checkpoint is due after `epoch`."""
        if self.every is not None:
            return epoch % self.every == 0
        return time.monotonic() - self._saved >= min(self._cost / FRACTION, LONGEST)

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Measure how long it takes to write a checkpoint."""
        start = time.monotonic()
        yield
        self._saved = time.monotonic()
        self._cost = self._saved - start
