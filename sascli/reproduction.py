"""The whole reproduction of Figs. 2-4: search, grid, measurements, pictures, claims, page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from sascli import checkpoint, claims, experiment, figures, report, runs, sweeps
from sascli.analysis.entropy import entropy_table
from sascli.analysis.perturbation import perturbation
from sascli.config import (
    Figures,
    Train,
    alternatives,
    check,
    config_hash,
    plain,
    population,
    seed_list,
)
from sascli.data import Data
from sascli.sweeps import Point, point

RULES = ("gbp", "bp")
LAST = 5
"""Epochs at the end of a run whose accuracies are averaged in the search."""


@dataclass(frozen=True)
class Grid:
    """The points of a preset for a data set of `available` training images."""

    config: Figures
    available: int

    @property
    def reference(self) -> int:
        """T of Figs. 2a, 3 and 4a: the model's own."""
        own = self.config.train_size
        return self.available if own == "all" else int(own)

    def sizes(self, factors: Sequence[float]) -> list[int]:
        """Training sizes, scaled down in proportion where the data are too few."""
        largest = max([*self.config.preset.sizes, *self.config.preset.deep_sizes])
        unit = min(self.reference, self.available / largest)
        return sorted({round(unit * factor) for factor in factors})

    def base(self, rule: str, lr: Any = None) -> Train:
        """The settings of a training run by `rule`."""
        names = Train.__dataclass_fields__
        own = {name: getattr(self.config, name) for name in names}
        own |= {"rule": {"name": rule}, "seeds": seed_list(self.config.seeds)}
        if lr is not None:
            own["lr"] = {"default": lr}
        return Train(**own)

    def search(self, rule: str) -> Point:
        """All rates side by side, tested on training images held out, never on the test set."""
        held_out = min(10_000, self.available // 5)
        unit = alternatives(self.config.lr)[0]
        unit = unit["default"] if isinstance(unit, Mapping) else unit
        base = self.base(rule, [float(f"{unit * rate:.3g}") for rate in self.config.preset.rates])
        return point(
            base,
            train_size=min(self.reference, self.available - held_out),
            test_size=held_out,
            seeds=list(range(self.config.preset.search_seeds)),
            data=replace(base.data, split="validation"),
        )

    def points(self, rule: str, lr: Any = None) -> list[Point]:
        """Every depth and T that a figure needs, each once."""
        preset, depth = self.config.preset, self.config.depth
        pairs = {(depth, self.reference)}
        pairs |= {(depth, size) for size in self.sizes(preset.sizes)}
        pairs |= {(other, self.reference) for other in preset.depths}
        pairs |= {(preset.deep, size) for size in self.sizes(preset.deep_sizes)}
        base = self.base(rule, lr)
        return [point(base, depth=d, train_size=size) for d, size in sorted(pairs)]


def reproduce(config: Figures) -> Path:
    """Run what is missing of a preset, draw everything, write claims and page; the directory."""
    data = experiment.load_data(
        replace(config, train_size="all", test_size="all"), experiment.pick_device("cpu")
    )
    grid = Grid(config, len(data.train_y))
    if grid.reference > grid.available:
        raise sweeps.too_many(grid.reference, grid.available)
    for own in grid.points("gbp"):  # before any work: a list of widths has one depth
        check(own.config)
    if config.worker is None:
        directory = claim(config)
    else:
        directory = share(grid, data)
        if runs.busy(directory):
            print(f"another worker measures and draws in {directory}")
            return directory
    with runs.lock(directory):
        begin(directory, grid, data)
        with runs.recorded(directory, "the same command") as told:
            points, told["rates"] = train_all(grid, directory)
            measure(grid, points, directory)
        present(directory)
    return directory


def share(grid: Grid, data: Data) -> Path:
    """Train what no other worker trains; the directory of all of them, every point trained."""
    parent = parent_of(grid.config)
    runs.make(parent)
    with runs.lock(parent, patience=60):  # one of them claims it
        directory = claim(grid.config)
        begin(directory, grid, data)
    train_all(grid, directory)
    return directory


def claim(config: Figures) -> Path:
    """The directory of the same settings, unfinished before finished, or a new version."""
    parent = parent_of(config)
    return runs.of_settings(parent, config_hash(config)) or runs.claim(parent)


def parent_of(config: Figures) -> Path:
    """Where the versions of a model and preset lie."""
    return Path(config.outputs) / "figures" / f"{config.model.name}-{config.preset.name}"


def begin(directory: Path, grid: Grid, data: Data) -> None:
    """The manifest; a directory that is gone on with keeps its start."""
    config, own = grid.config, runs.provenance()
    started = (directory / runs.MANIFEST).exists()
    runs.describe(
        directory,
        **({} if started else own | {"start": runs.now()}),
        kind="figures",
        model=config.model.name,
        preset=config.preset.name,
        config_hash=config_hash(config),
        reference={
            "depth": config.depth,
            "train_size": grid.reference,
            "deep": config.preset.deep,
        },
        seeds=seed_list(config.seeds),
        device=str(experiment.pick_device(config.device)),
        data={"name": data.name, "checksum": data.checksum},
        status="running",
        end=None,
    )
    runs.write_json(directory / runs.CONFIG, plain(config))


def train_all(grid: Grid, directory: Path) -> tuple[list[Point], dict[str, Any]]:
    """The search of learning rates, then every point of the grid; their tables together.

    Returns the points and the rate of each rule.

    gBP keeps the published rate, at which the paper's figures are drawn; BP takes its best.
    """
    parent = directory / "runs"
    searched = [grid.search(rule) for rule in RULES]
    sweeps.train_points(searched, parent)
    search = found(searched, parent)
    runs.write_table(directory / "search.csv", search)
    rate = best(search, "bp")
    points = [*grid.points("gbp"), *grid.points("bp", rate)]
    sweeps.train_points(points, parent)
    sweeps.write_gathered(points, parent, directory)
    return points, {"gbp": grid.config.lr, "bp": rate}


def found(points: Sequence[Point], parent: Path) -> pd.DataFrame:
    """search.csv: accuracy on the held-out images, the mean of the last epochs, by rate."""
    history = sweeps.gather("history", points, parent)
    lr = {own.name: [member.lr["m"] for member in population(own.config)] for own in points}
    told = zip(history["point"], history["replica"], strict=True)
    history["lr"] = [lr[name][replica] for name, replica in told]
    last = history[history["epoch"] > history["epoch"].max() - LAST]
    keys = ["rule", "depth", "train_size", "lr", "seed"]
    mean = last.groupby(keys)["test_accuracy"].mean()
    return pd.DataFrame(mean.rename("validation_accuracy").reset_index())


def best(search: pd.DataFrame, rule: str) -> float:
    """The learning rate of the highest mean accuracy over seeds."""
    own = search[search["rule"] == rule]
    mean = own.groupby("lr")["validation_accuracy"].mean()
    return float(mean.sort_values().index[-1])


def measure(grid: Grid, points: Sequence[Point], directory: Path) -> None:
    """Entropy and perturbation of the trained networks; what is there is kept."""
    config, reference = grid.config, grid.reference
    gbp = [own for own in points if own.key["rule"] == "gbp"]
    shallow = [
        own for own in gbp
        if (own.config.depth, own.config.train_size) == (config.depth, reference)
    ]  # fmt: skip
    for name, chosen, table in (
        ("entropy", gbp, entropy_of),
        ("perturbation", shallow, perturbation_of),
    ):
        for own in chosen:
            path = directory / "runs" / own.name / f"{name}.csv"
            if not path.exists():
                print(f"{name} of {own.name}", flush=True)
                runs.write_table(path, table(grid, own, path.parent))
        runs.write_table(
            directory / f"{name}.csv", sweeps.gather(name, chosen, directory / "runs")
        )


def entropy_of(grid: Grid, own: Point, run: Path) -> pd.DataFrame:
    """entropy.csv of one run by both estimators."""
    device = experiment.pick_device(grid.config.device)
    network = checkpoint.load_network(run, device=device)
    return entropy_table(network, own.config.seeds or [], ("paper", "mixed"))


def perturbation_of(grid: Grid, own: Point, run: Path) -> pd.DataFrame:
    """perturbation.csv of one run, all kinds and all layers."""
    device, preset = experiment.pick_device(grid.config.device), grid.config.preset
    network = checkpoint.load_network(run, device=device)
    data = experiment.load_data(own.config, device)
    tables = [
        perturbation(
            network,
            own.config.seeds or [],
            data.test_x,
            data.test_y,
            layer=layer,
            fractions=preset.fractions,
            samples=preset.samples,
        )
        for layer in range(1, own.config.depth)
    ]
    return pd.concat(tables, ignore_index=True)


def present(directory: Path) -> None:
    """Pictures, claims and the page, from the tables alone."""
    pictures = figures.plot(figures.PAPER, directory, directory / "pictures")
    table = claims.evaluate(figures.read_tables(directory), figures.reference_of(directory))
    runs.write_table(directory / "claims.csv", table)
    with runs.replacing(directory / "claims.md", "w") as file:
        file.write(claims.as_markdown(table))
    page = report.write(directory, pictures, table)
    for path in [*pictures, page]:
        print(path)
    print(claims.as_text(table))
