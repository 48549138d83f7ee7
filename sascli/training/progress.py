"""Progress: a bar on a terminal, a line every ten seconds elsewhere."""

import sys
import time

from tqdm import tqdm

SECONDS = 10.0
FORMAT = "{l_bar}{bar}| {elapsed} elapsed, {remaining} left {postfix}"


class Progress:
    """Counts work of a known total and prints it with a note."""

    def __init__(self, total: float, label: str = "") -> None:
        self.total, self.label = total, label
        self.done, self._skipped = 0.0, 0.0
        self._start = self._printed = time.monotonic()
        terminal = sys.stderr.isatty()
        self._bar = tqdm(total=total, desc=label, bar_format=FORMAT) if terminal else None

    def skip(self, work: float) -> None:
        """Count work done before this process, excluded from the estimate of the time left."""
        self.done += work
        self._skipped += work
        if self._bar is not None:
            self._bar.initial += work
            self._bar.update(work)

    def update(self, note: str, work: float = 1) -> None:
        """Count work done since the last call."""
        self.done += work
        if self._bar is not None:
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(work)
            return
        now = time.monotonic()
        if now - self._printed >= SECONDS or self.done >= self.total:
            self._printed = now
            pace = (now - self._start) / max(self.done - self._skipped, 1e-9)
            left = pace * (self.total - self.done)
            done = f"{self.label} {self.done / self.total:.0%}".strip()
            print(f"{done}, {note}, {left:.0f} s left", flush=True)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()


class Part:
    """A part of a larger progress, counted in steps of `work` each."""

    def __init__(self, parent: "Progress | Part", name: str, work: float) -> None:
        self.parent, self.name, self.work = parent, name, work
        self.done = 0.0

    def skip(self, steps: float) -> None:
        """Count steps done before this process."""
        self.done += steps
        self.parent.skip(steps * self.work)

    def update(self, note: str, steps: float = 1) -> None:
        """Count steps done since the last call."""
        self.done += steps
        self.parent.update(f"{self.name}: {note}", steps * self.work)
