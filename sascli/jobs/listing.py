"""The run directories as a table."""

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from sascli import runs
from sascli.config.describe import leaves
from sascli.config.settings import shown
from sascli.errors import UserError
from sascli.jobs import slurm
from sascli.jobs.status import read

SETTINGS = ["rule", "lr", "depth", "train_size", "epochs"]
COLUMNS = ["directory", "command", "model", *SETTINGS, "seeds", "status", "accuracy"]
COLUMNS += ["start", "age"]
SHORT = {"directory": "run", "depth": "L", "train_size": "T", "accuracy": "acc."}
"""Names of columns on a terminal."""
MOST, RUN = {"seeds": 9, "lr": 9, "L": 5, "T": 7}, 20
"""Characters of these columns at most, and of a run at least, on a terminal."""
STATUSES = (
    "finished", "outdated", "running", "waiting", "failed", "interrupted", "preempted", "killed",
    "damaged", "other format",
)  # fmt: skip
UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def listing(outputs: Path) -> pd.DataFrame:
    """A row for each run directory below `outputs`, newest first.

    accuracy is the fraction of test images after the last epoch, the mean over replicas; age is
    in seconds since the start. A measurement is `outdated` if its run has changed since. The
    points of a sweep or a study have no rows.
    """
    rows = [row for path in directories(outputs) if (row := describe(path, {}))]
    killed = [row for row in rows if row["status"] == "killed"]
    try:  # perhaps running on another machine
        queued = slurm.queue() if killed else {}
        for row in killed:
            row |= describe(Path(row["directory"]), queued) or {}
    except UserError as error:
        print(f"warning: {error}; its jobs are listed as killed", file=sys.stderr)
    rows.sort(key=lambda row: runs.moment(row["start"]), reverse=True)
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
    outdated = job.status == "finished" and runs.is_outdated(directory, manifest)
    return {
        "directory": str(directory),
        "command": f"reproduce {study}" if (study := runs.study_name(manifest)) else kind,
        "model": manifest.get("model"),
        **settings(directory),
        "rule": manifest.get("rule"),
        "seeds": ranges(manifest.get("seeds", [])),
        "status": "outdated" if outdated else job.status,
        "accuracy": accuracy(directory) if kind == "train" else None,
        "start": start,
        "age": age(str(start)),
    }


def settings(directory: Path) -> dict[str, str]:
    """Those of a run's settings that distinguish it, as they are typed."""
    with suppress(UserError):
        tree = runs.read_json(directory / runs.CONFIG)
        tree["lr"] = rate(tree.get("lr"))
        return {key: shown(tree[key]) for key in SETTINGS[1:] if tree.get(key) is not None}
    return {}


def rate(lr: Any) -> Any:
    """A learning rate, of a map its default and those that differ: 0.1 pi=0.02."""
    if not isinstance(lr, Mapping):
        return lr
    special = {key: value for key, value in leaves(lr) if value is not None and key != "default"}
    default = [shown(lr["default"])] if "default" in lr else []
    return " ".join([*default, *(f"{k}={shown(v)}" for k, v in special.items())])


def ranges(seeds: Sequence[int]) -> str:
    """Seeds with spaces between them; three consecutive ones or more as first-last."""
    groups = list[list[int]]()
    for seed in seeds:
        if groups and seed == groups[-1][-1] + 1:
            groups[-1].append(seed)
        else:
            groups.append([seed])
    return " ".join(
        f"{group[0]}-{group[-1]}" if len(group) > 2 else " ".join(map(str, group))
        for group in groups
    )


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


def as_text(table: pd.DataFrame, outputs: Path, width: int | None = None) -> str:
    """The table for a terminal of `width` columns; runs of `sas train` as `run=` takes them."""
    if table.empty:
        return "no run directories"
    text = table.drop(columns=["command", "model", "start"]).astype(object).fillna("")
    folders = [f"{outputs / 'train'}{os.sep}", f"{outputs}{os.sep}"]
    text["directory"] = [short(path, folders) for path in text["directory"]]
    text["accuracy"] = [value if value == "" else f"{value:.3f}" for value in text["accuracy"]]
    text["age"] = [value if value == "" else in_words(value) for value in text["age"]]
    text = text.rename(columns=SHORT).astype(str)
    if width is not None:
        for name, most in MOST.items():
            text[name] = [cut(value, most) for value in text[name]]
        columns = [[str(name), *text[name]] for name in text.columns[1:]]
        left = width - sum(max(map(len, column)) + 1 for column in columns)
        text["run"] = [cut(value, max(left, RUN)) for value in text["run"]]
    text["run"] = text["run"].str.ljust(text["run"].map(len).max())
    return text.to_string(index=False, justify="left")


def short(path: str, folders: Sequence[str]) -> str:
    """A path without the first of the folders that it begins with."""
    return next((path.removeprefix(f) for f in folders if path.startswith(f)), path)


def cut(text: str, most: int) -> str:
    """A text of at most so many characters, dots in place of its middle."""
    half = (most - 2) // 2
    return text if len(text) <= most else f"{text[:half]}..{text[len(text) - most + half + 2 :]}"


def in_words(seconds: float) -> str:
    """A time in its largest unit."""
    unit, size = next(((u, s) for u, s in UNITS if seconds >= s), UNITS[-1])
    return f"{seconds // size:.0f} {unit}"
