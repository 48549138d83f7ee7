"""Progress: a bar on a terminal, a line now and then elsewhere."""

import sys
import time

from tqdm import tqdm

SECONDS = 10.0
FORMAT = "{l_bar}{bar}| {elapsed} gone, {remaining} left {postfix}"


class Progress:
    """Counts work of known amount; `update` also says how things stand."""

    def __init__(self, total: float, label: str = "") -> None:
        self.total, self.label = total, label
        self.done, self._skipped = 0.0, 0.0
        self._start = self._said = time.monotonic()
        terminal = sys.stderr.isatty()
        self._bar = tqdm(total=total, desc=label, bar_format=FORMAT) if terminal else None

    def skip(self, work: float) -> None:
        """Work that was done before this run; the time left is not reckoned from it."""
        self.done += work
        self._skipped += work
        if self._bar is not None:
            self._bar.initial += work
            self._bar.update(work)

    def update(self, note: str, work: float = 1) -> None:
        """Go on by some work."""
        self.done += work
        if self._bar is not None:
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(work)
            return
        moment = time.monotonic()
        if moment - self._said >= SECONDS or self.done >= self.total:
            self._said = moment
            pace = (moment - self._start) / max(self.done - self._skipped, 1e-9)
            left = pace * (self.total - self.done)
            share = f"{self.label} {self.done / self.total:.0%}".strip()
            print(f"{share}, {note}, {left:.0f} s left", flush=True)

    def part(self, name: str, steps: int, work: float) -> "Part":
        """A part of the whole, counted in its own steps."""
        return Part(self, name, work / max(steps, 1))

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()


class Part:
    """Steps of one part of a larger progress."""

    def __init__(self, whole: "Progress | Part", name: str, work: float) -> None:
        self.whole, self.name, self.work = whole, name, work
        self.done = 0.0

    def skip(self, steps: float) -> None:
        """Steps done before."""
        self.done += steps
        self.whole.skip(steps * self.work)

    def update(self, note: str, steps: float = 1) -> None:
        """Go on by some steps."""
        self.done += steps
        self.whole.update(f"{self.name}: {note}", steps * self.work)

    def __enter__(self) -> "Part":
        return self

    def __exit__(self, *_: object) -> None:
        """The whole goes on."""
