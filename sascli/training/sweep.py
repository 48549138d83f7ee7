"""Many points: who trains together, what is done already, the outer progress bar."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from sascli import runs
from sascli.config import (
    SweepDatasize,
    Train,
    as_list,
    config_hash,
    plain,
    population,
    seed_list,
    training_of,
)
from sascli.errors import DivergedError, UserError
from sascli.training import run as training_run
from sascli.training.progress import Part, Progress
from sascli.training.workers import share

WAIT = 2.0
"""Seconds between two looks at points that other processes train."""
GATHERED = ("history", "layers", "histograms", "ensemble")


@dataclass(frozen=True)
class Point:
    """One configuration of a sweep; its seeds train side by side in one run directory.

    `group` is the name that tables have for the points of several directories, by default `name`.
    """

    name: str
    config: Train
    group: str | None = None

    @property
    def key(self) -> dict[str, Any]:
        """The columns that tell this point's rows from another's."""
        config = self.config
        return {
            "rule": config.rule.name,
            "depth": config.depth,
            "train_size": config.train_size,
            "point": self.group or self.name,
        }

    @property
    def work(self) -> float:
        """Roughly proportional to the time that it takes: images seen in training and tests."""
        c = self.config
        images = c.train_size * (3 if c.rule.name != "bp" else 1.5) + 10_000
        return float(c.epochs * len(population(c)) * images * c.depth)


def point(config: Train, **changes: Any) -> Point:
    """A point of a sweep: `config` with some settings changed, named after what tells it."""
    own = replace(config, **changes)
    lr = own.lr.get("default") if isinstance(own.lr, Mapping) else own.lr
    rate = "search" if isinstance(lr, list) else f"lr{lr}"
    name = f"{own.rule.name}-L{own.depth}-T{own.train_size}-{rate}"
    return Point(name, replace(own, name=name, resume=False))


def train_points(
    points: Sequence[Point],
    parent: Path,
    done: Callable[[Point, Path], None] | None = None,
    *,
    tolerant: bool = False,
) -> list[Path]:
    """Train every point in parent/<name>, those that are finished excepted.

    Points that other processes train are left to them, and waited for at the end. `done` is
    called with each point and its directory as it finishes. A tolerant sweep goes on where a
    point diverges, and does not try it again.
    """
    left = list(points)
    with Progress(sum(p.work for p in points), "sweep") as progress:
        while left:
            own = next((own for own in left if not runs.busy(parent / own.name)), None)
            if own is None:
                time.sleep(WAIT)
                continue
            directory = parent / own.name
            runs.make(directory)
            part = progress.part(own.name, own.config.epochs, own.work)
            with suppress(runs.BusyError):  # another process was faster
                if tolerant:
                    run_or_diverge(own.config, directory, part)
                else:
                    training_run.run(own.config, directory, part)
                left.remove(own)
                if done is not None:
                    done(own, directory)
    return [parent / own.name for own in points]


def diverged(directory: Path) -> bool:
    """Whether the training of a run diverged."""
    return runs.begun(directory) and runs.manifest_of(directory)["diverged"] is not None


def run_or_diverge(config: Train, directory: Path, part: Part) -> None:
    """Train, and say it where that diverges, now or before."""
    if diverged(directory):
        part.skip(config.epochs)
        return
    try:
        training_run.run(config, directory, part)
    except DivergedError as error:
        print(f"{config.name}: {error}", flush=True)


def gather(table: str, points: Iterable[Point], parent: Path) -> pd.DataFrame:
    """One table of all points, led by their key columns."""
    frames = []
    for own in points:
        frame = runs.read_table(parent / own.name / f"{table}.csv")
        for place, (key, value) in enumerate(own.key.items()):
            frame.insert(place, key, value)
        frames.append(frame)
    if not frames:
        raise UserError("the sweep has no points")
    return pd.concat(frames, ignore_index=True)


def datasize(history: pd.DataFrame, ensemble: pd.DataFrame) -> pd.DataFrame:
    """datasize.csv: final mean-field test error, and error over sampled networks, by seed."""
    keys = ["rule", "depth", "train_size", "seed"]
    last = runs.last_epochs(history).set_index(keys)
    error = last["test_accuracy"].rsub(1).rename("test_error")
    sampled = (
        ensemble.groupby(keys)["test_error"].agg(["mean", "std"]).add_prefix("sampled_error_")
    )
    return pd.concat([error, sampled], axis=1).reset_index()


def datasize_layers(layers: pd.DataFrame) -> pd.DataFrame:
    """datasize_layers.csv: per-layer statistics by depth, T and seed."""
    columns = ["rule", "depth", "train_size", "seed", "layer", "sparsity", "xi_mean"]
    return layers[[*columns, "variance_mean", "entropy", "vip_fraction", "uip_fraction"]]


def write_gathered(points: Sequence[Point], parent: Path, directory: Path) -> None:
    """The tables of all points together, and what is derived from them."""
    tables = {name: gather(name, points, parent) for name in GATHERED}
    tables["datasize"] = datasize(tables["history"], tables["ensemble"])
    tables["datasize_layers"] = datasize_layers(tables["layers"])
    for name, table in tables.items():
        runs.write_table(directory / f"{name}.csv", table)


def too_many(size: int, available: int) -> UserError:
    """The message for more training images than there are."""
    return UserError(f"train_size={size}, but there are {available} training images")


def sweep_datasize(config: SweepDatasize, directory: Path | None = None) -> Path:
    """Every depth with every T, in one versioned directory that `resume=true` continues.

    With a `directory`, that one is used, and continued if it was begun; workers have one of
    their own.
    """
    base = replace(training_of(config), seeds=seed_list(config.seeds))
    available = len(
        training_run.load_data(replace(base, train_size="all"), torch.device("cpu")).train_y
    )
    sizes = {available if size == "all" else size: None for size in as_list(config.train_size)}
    if max(sizes) > available:
        raise too_many(max(sizes), available)
    depths = dict.fromkeys(as_list(config.depth))  # each once, in the order given
    points = [point(base, depth=depth, train_size=size) for depth in depths for size in sizes]
    name = config.name or f"{config.model.name}-{config.rule.name}"
    parent, wanted = Path(config.outputs) / "sweep-datasize" / name, config_hash(config)

    def begin(directory: Path) -> None:
        runs.write_json(directory / runs.CONFIG, plain(config))
        runs.describe(
            directory,
            **runs.provenance(),
            kind="sweep-datasize",
            model=config.model.name,
            rule=config.rule.name,
            seeds=base.seeds,
            config_hash=wanted,
            reference={"depth": min(depths), "train_size": max(sizes), "deep": max(depths)},
            start=runs.now(),
            **runs.running(),
        )

    def finish(directory: Path) -> None:
        with runs.lock(directory):
            if not runs.begun(directory):
                begin(directory)
            runs.describe(directory, **runs.running())
            with runs.recorded(directory, "the same command and resume=true"):
                train_points(points, directory / "runs", Gatherer(directory))

    if config.worker is not None:
        directory = share(
            parent, wanted, begin, lambda own: train_points(points, own / "runs"), finish
        )
    else:
        found = runs.of_settings(parent, wanted) if config.resume else None
        directory = directory or found or runs.claim(parent)
        finish(directory)
    print(f"{directory}/datasize.csv")
    return directory


class Gatherer:
    """Writes the tables of all points so far, as each is finished."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.points = directory, list[Point]()

    def __call__(self, own: Point, run: Path) -> None:
        """One more point."""
        self.points.append(own)
        write_gathered(self.points, run.parent, self.directory)
