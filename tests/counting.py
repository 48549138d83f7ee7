"""Counts the faults that tests inject, and those after which everything was as it should be."""

import csv
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

Fault = Callable[..., AbstractContextManager[None]]
INJECTED, SURVIVED = Counter[str](), Counter[str]()


@contextmanager
def fault(kind: str, times: int = 1) -> Iterator[None]:
    """Around the injection of faults and all that is asserted after it."""
    INJECTED[kind] += times
    yield
    SURVIVED[kind] += times


def write(path: Path) -> None:
    """A row for each kind of fault: how many, and after how many of them nothing was lost."""
    with path.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["fault", "injected", "survived"])
        table.writerows([kind, INJECTED[kind], SURVIVED[kind]] for kind in sorted(INJECTED))
