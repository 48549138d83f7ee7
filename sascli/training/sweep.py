"""Sweeps: points that train one after another, and the tables gathered from them."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from sascli import runs
from sascli.config import (
    SweepDatasize,
    Train,
    as_list,
    replica_count,
    seed_list,
    training_of,
)
from sascli.data import Data
from sascli.errors import DivergedError, UserError
from sascli.training import run as training_run
from sascli.training.devices import spread
from sascli.training.directories import RESUME, begin, resumed, same_settings
from sascli.training.progress import Part, Progress
from sascli.training.workers import share

WAIT = 2.0
"""Seconds to wait while other processes train all remaining points."""
GATHERED = ("history", "layers", "histograms", "ensemble")
LAYER_COLUMNS = ["rule", "depth", "train_size", "seed", "layer", "sparsity", "xi_mean"]
LAYER_COLUMNS += ["variance_mean", "entropy", "vip_fraction", "uip_fraction"]


@dataclass(frozen=True)
class Point:
    """One configuration of a sweep; its seeds train side by side in one run directory.

    `group` names the point in tables, by default `name`; several points may share it. One that
    is not `saved` is for an estimate alone: its networks leave no run directory.
    """

    name: str
    config: Train
    group: str | None = None
    saved: bool = True

    @property
    def key(self) -> dict[str, Any]:
        """The columns that identify the point in gathered tables."""
        config, point = self.config, self.group or self.name
        sizes = {"depth": config.depth, "train_size": config.train_size}
        return {"rule": config.rule.name, **sizes, "point": point}

    @property
    def work(self) -> float:
        """Roughly proportional to the duration: images seen in training and tests."""
        config = self.config
        images = config.train_size * (1.5 if config.rule.name == "bp" else 3) + 10_000
        return float(config.epochs * replica_count(config) * images * config.depth)


def point(config: Train, **changes: Any) -> Point:
    """A point of a sweep: `config` with changes, named by rule, depth, T and rate."""
    config = replace(config, **changes)
    lr = config.lr.get("default") if isinstance(config.lr, Mapping) else config.lr
    rate = "search" if isinstance(lr, list) else f"lr{lr}"
    name = f"{config.rule.name}-L{config.depth}-T{config.train_size}-{rate}"
    return Point(name, replace(config, name=name, resume=False))


def train_points(
    points: Sequence[Point],
    parent: Path,
    done: Callable[[Point, Path], None] | None = None,
    *,
    tolerant: bool = False,
) -> None:
    """Train every unfinished point in parent/<name>.

    Points that other processes train are left to them and waited for at the end. `done` is called
    with each point and its directory when it is finished. A `tolerant` sweep continues when a
    point diverges, and does not train that point again.
    """
    remaining = list(points)
    with Progress(sum(point.work for point in points), "sweep") as progress:
        while remaining:
            point = next((p for p in remaining if not runs.busy(parent / p.name)), None)
            if point is None:
                time.sleep(WAIT)
                continue
            directory = parent / point.name
            runs.make(directory)
            part = Part(progress, point.name, point.work / point.config.epochs)
            with suppress(runs.BusyError):  # another process was faster
                train_point(point, directory, part, tolerant)
                remaining.remove(point)
                if done is not None:
                    done(point, directory)


def train_point(point: Point, directory: Path, part: Part, tolerant: bool) -> None:
    """Train a point; a `tolerant` sweep reports divergence, and skips what diverged before."""
    if tolerant and diverged(directory):
        part.skip(point.config.epochs)
        return
    try:
        training_run.run(point.config, directory, part)
    except DivergedError as error:
        if not tolerant:
            raise
        print(f"{point.config.name}: {error}", flush=True)


def diverged(directory: Path) -> bool:
    """Whether the training of a run diverged."""
    return runs.begun(directory) and runs.manifest_of(directory)["diverged"] is not None


def gather(table: str, points: Iterable[Point], parent: Path) -> pd.DataFrame:
    """One table of all points, with their key columns first. Raises UserError without points."""
    frames = []
    for point in points:
        frame = runs.read_table(parent / point.name / f"{table}.csv")
        frames.append(pd.DataFrame(point.key, frame.index).join(frame))
    if not frames:
        raise UserError("the sweep has no points")
    return pd.concat(frames, ignore_index=True)


def datasize(history: pd.DataFrame, ensemble: pd.DataFrame) -> pd.DataFrame:
    """datasize.csv: final mean-field test error, and error of sampled networks, by seed."""
    keys = ["rule", "depth", "train_size", "seed"]
    last = runs.last_epochs(history).set_index(keys)
    error = last["test_accuracy"].rsub(1).rename("test_error")
    sampled = ensemble.groupby(keys)["test_error"].agg(["mean", "std"])
    return pd.concat([error, sampled.add_prefix("sampled_error_")], axis=1).reset_index()


def gathered(points: Sequence[Point], parent: Path) -> dict[str, pd.DataFrame]:
    """The tables of all points together, with datasize and datasize_layers."""
    tables = {name: gather(name, points, parent) for name in GATHERED}
    tables["datasize"] = datasize(tables["history"], tables["ensemble"])
    tables["datasize_layers"] = tables["layers"][LAYER_COLUMNS]
    return tables


def write_gathered(points: Sequence[Point], parent: Path, directory: Path) -> None:
    """Write the tables of all points together, datasize.csv and datasize_layers.csv."""
    for name, table in gathered(points, parent).items():
        runs.write_table(directory / f"{name}.csv", table)


def too_many(size: int, available: int) -> UserError:
    """The error for more training images than there are."""
    return UserError(f"train_size={size}, but there are {available} training images")


def sweep_datasize(config: SweepDatasize, directory: Path | None = None) -> Path:
    """Train every depth with every T in `directory`, or a versioned one; return it.

    `resume=true` continues the newest of these settings; workers of the same settings share one.
    """
    points = points_of(config)
    sizes, depths = ([getattr(p.config, key) for p in points] for key in ("train_size", "depth"))
    parent, images = parent_of(config), partial(all_images, config)

    def start(directory: Path) -> None:
        entries = {
            "kind": "sweep-datasize",
            "model": config.model.name,
            "rule": config.rule.name,
            "seeds": seed_list(config.seeds),
            "reference": {"depth": min(depths), "train_size": max(sizes), "deep": max(depths)},
            "data": images().description,
        }
        begin(directory, config, entries)

    def finish(directory: Path) -> None:
        finished = list[Point]()

        def update_tables(point: Point, run: Path) -> None:
            finished.append(point)
            write_gathered(finished, run.parent, directory)

        with runs.lock(directory):
            start(directory)
            with runs.recorded(directory, RESUME):
                train_points(points, directory / "runs", update_tables)

    if config.worker is not None:
        spread(config.worker, config.device)
        same = same_settings(config, images)
        directory = share(
            parent, same, start, lambda path: train_points(points, path / "runs"), finish
        )
    else:
        directory = directory or resumed(parent, config, images) or runs.claim(parent)
        finish(directory)
    print(f"{directory}/datasize.csv")
    return directory


def parent_of(config: SweepDatasize) -> Path:
    """The folder of all versions of a sweep."""
    name = config.name or f"{config.model.name}-{config.rule.name}"
    return Path(config.outputs) / "sweep-datasize" / name


def points_of(config: SweepDatasize) -> list[Point]:
    """Every depth with every T. Raises UserError for a T above what is available."""
    base = replace(training_of(config), seeds=seed_list(config.seeds))
    sizes, depths = train_sizes(config), list(dict.fromkeys(as_list(config.depth)))
    return [point(base, depth=depth, train_size=size) for depth in depths for size in sizes]


def all_images(config: SweepDatasize) -> Data:
    """The test images of a sweep, and all training images."""
    base = replace(training_of(config), train_size="all")
    return training_run.load_data(base, torch.device("cpu"))


def train_sizes(config: SweepDatasize) -> list[int]:
    """The sizes T of a sweep, each once. Raises UserError for one above what is available."""
    available = len(all_images(config).train_y)
    sizes = [available if size == "all" else size for size in as_list(config.train_size)]
    if max(sizes) > available:
        raise too_many(max(sizes), available)
    return list(dict.fromkeys(sizes))
