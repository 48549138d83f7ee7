"""The run directories as a table."""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from sascli import runs
from sascli.errors import UserError
from sascli.jobs import slurm
from sascli.jobs.status import read

COLUMNS = ["directory", "command", "model", "seeds", "status", "accuracy", "start", "age"]
STATUSES = (
    "finished", "running", "waiting", "failed", "interrupted", "preempted", "killed", "damaged",
    "other format",
)  # fmt: skip
UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def listing(outputs: Path) -> pd.DataFrame:
    """A row for each run directory below `outputs`, newest first.

    accuracy is the fraction of test images after the last epoch, the mean over replicas; age is
    in seconds since the start. The points of a sweep or a study have no rows.
    """
    rows = [row for path in directories(outputs) if (row := describe(path, {}))]
    killed = [row for row in rows if row["status"] == "killed"]
    try:  # perhaps running on another machine
        queued = slurm.queue() if killed else {}
        for row in killed:
            row |= describe(Path(row["directory"]), queued) or {}
    except UserError as error:
        print(f"warning: {error}; its jobs are listed as killed", file=sys.stderr)
    rows.sort(key=lambda row: str(row["start"] or ""), reverse=True)
    return pd.DataFrame(rows, columns=COLUMNS)


def directories(outputs: Path) -> Iterator[Path]:
    """Directories with a manifest, without those inside them."""
    for folder, below, files in os.walk(outputs):  # skips directories deleted during the walk
        if runs.MANIFEST in files:
            below.clear()
            yield Path(folder)
        below.sort()


def describe(directory: Path, queued: Mapping[str, str]) -> dict[str, Any] | None:
    """The row of a directory; None if it has just been deleted."""
    job, manifest = read(directory, queued)
    if job.status == "missing":
        return None
    if job.status == "damaged":
        other = "format version" in str(job.error)
        status = "other format" if other else "damaged"
        return dict.fromkeys(COLUMNS) | {"directory": str(directory), "status": status}
    kind, start = manifest.get("kind"), manifest.get("start")
    return {
        "directory": str(directory),
        "command": f"reproduce {study}" if (study := runs.study_name(manifest)) else kind,
        "model": manifest.get("model"),
        "seeds": " ".join(map(str, manifest.get("seeds", []))),
        "status": job.status,
        "accuracy": accuracy(directory) if kind == "train" else None,
        "start": start,
        "age": age(str(start)),
    }


def age(start: str) -> int | None:
    """Seconds since a time in ISO 8601; None for another text."""
    with suppress(ValueError):
        return round(time.time() - datetime.fromisoformat(start).timestamp())
    return None


def accuracy(directory: Path) -> float | None:
    """Mean test accuracy after the last epoch; None without a readable history.csv."""
    with suppress(UserError, KeyError):
        history = runs.read_table(directory / "history.csv")
        return round(float(runs.last_epochs(history)["test_accuracy"].mean()), 6)
    return None


def as_text(table: pd.DataFrame) -> str:
    """The table for a terminal."""
    if table.empty:
        return "no run directories"
    text = table.drop(columns="start").astype(object).fillna("")
    text["accuracy"] = [value if value == "" else f"{value:.4f}" for value in text["accuracy"]]
    text["age"] = [value if value == "" else in_words(value) for value in text["age"]]
    return text.to_string(index=False, justify="left")


def in_words(seconds: float) -> str:
    """A time in its largest unit."""
    unit, size = next(((u, s) for u, s in UNITS if seconds >= s), UNITS[-1])
    return f"{seconds // size:.0f} {unit}"
