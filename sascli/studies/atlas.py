"""The atlas: the claims of "Learning credit assignment" at settings around the published one.

The study trains the credit study's own runs, then every setting of `preset.vary` by gBP and, at
its best rate, by BP. A setting with the same numbers as a run of the credit study is that run.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import chain
from pathlib import Path

import pandas as pd

from sascli import figures, runs
from sascli.claims import atlas
from sascli.config import (
    ReproduceAtlas,
    Train,
    alternatives,
    population,
    scaled,
)
from sascli.config.composition import with_words
from sascli.config.population import first
from sascli.data import Data
from sascli.errors import UserError
from sascli.measure import record
from sascli.studies.credit import PUBLISHED_STEPS, Credit, perturbations
from sascli.studies.pieces import once
from sascli.studies.search import best, on_held_out, validation
from sascli.training import run as training_run
from sascli.training import sweep
from sascli.training.sweep import LAYER_COLUMNS, Point

BRACKETS = str.maketrans("", "", "[]")
"""Removed from names of directories, in which they would be patterns."""
GBP_ONLY = ("lr", "decay.pi", "decay.xi", "init.pi", "init.xi_max")
"""Settings of gBP alone, which BP, always at its best rate, does not have."""


@dataclass(frozen=True)
class Setting:
    """A setting that differs from the published one in `words`, as of `sas train`."""

    factor: str
    words: tuple[str, ...]
    gbp: Train
    bp: Train
    available: int  # training images
    problem: str = ""  # why it cannot be trained

    @property
    def name(self) -> str:
        """Its words as on the command line."""
        return " ".join(self.words)

    @property
    def rates(self) -> list[float]:
        """The rates of which the best is taken, none where the setting has one."""
        values = [first(value) for value in alternatives(self.gbp.lr)]
        return values if len(values) > 1 else []

    def settings(self, rule: str) -> Train:
        """The settings of a rule."""
        return replace({"gbp": self.gbp, "bp": self.bp}[rule], rule={"name": rule})


class Atlas(Credit):
    """The credit study, and its claims at every setting of the preset."""

    name = "atlas"
    config: ReproduceAtlas

    def __init__(self, config: ReproduceAtlas) -> None:
        """Raises UserError for an invalid setting, before any work."""
        super().__init__(config)
        self.loaded: dict[str, Data | UserError] = {config.model.source: self.data}
        self.made: dict[str, Point] = {}
        self.settings = [
            self.setting(factor, name.split())
            for factor, names in config.preset.vary.items()
            for name in names
        ]

    @cached_property
    def base(self) -> Train:
        """The settings of the published network, with the seeds of a setting."""
        base = replace(self.grid.base("gbp"), train_size=self.grid.reference)
        return replace(base, seeds=(base.seeds or [])[: self.config.preset.setting_seeds])

    def setting(self, factor: str, words: Sequence[str]) -> Setting:
        """A setting with T as a number; with a problem where its images are absent or too few."""
        gbp = with_words(self.base, words)
        listed = len(alternatives(gbp.lr)) > 1
        shared = [word for word in words if listed or not of_gbp_alone(word)]
        bp = with_words(self.base, shared) if len(shared) < len(words) else gbp
        images = self.images(gbp)
        if isinstance(images, UserError):
            return Setting(factor, tuple(words), gbp, bp, 0, str(images))
        available = len(images.train_y)
        size = available if gbp.train_size == "all" else gbp.train_size
        problem = str(sweep.too_many(size, available)) if size > available else ""
        gbp, bp = (replace(config, train_size=size) for config in (gbp, bp))
        return Setting(factor, tuple(words), gbp, bp, available, problem)

    def images(self, config: Train) -> Data | UserError:
        """All images of a setting's data set, or the error for images that are absent."""
        source = str((config.model, config.data))
        if source not in self.loaded:
            every = replace(config, train_size="all", test_size="all")
            try:
                self.loaded[source] = training_run.load_data(every, self.data.train_x.device)
            except UserError as error:
                self.loaded[source] = error
        return self.loaded[source]

    def planned(self) -> list[Point]:
        """The credit study's, and every search and setting, at any rate where one is searched."""
        credit = super().planned()
        known, points = by_identity(credit), list(credit)
        for setting in self.settings:
            if not setting.problem:
                points += self.searches(setting)
                for rule in ("gbp", "bp"):
                    config = setting.settings(rule)
                    if setting.rates:
                        config = replace(config, lr={"default": setting.rates[0]})
                    points.append(self.at_rate(known, setting, config))
        return list({point.name: point for point in points}.values())

    def train(self, directory: Path) -> Mapping[str, object]:
        """The credit study, then all searches, then all settings; those that diverge are left."""
        rates = super().train(directory)
        for setting in self.settings:
            if setting.problem:
                print(f"skipped: {setting.name}: {setting.problem}", flush=True)
        parent = directory / "runs"
        for points in (self.searches, partial(self.points, directory)):
            every = chain.from_iterable(points(s) for s in self.settings if not s.problem)
            unique = {point.name: point for point in every}
            sweep.train_points(list(unique.values()), parent, tolerant=True)
        return rates

    def searches(self, setting: Setting, rule: str | None = None) -> list[Point]:
        """The search of a setting's rates, by a rule or by those that need one.

        Listed rates, which may diverge, have a point each; others train side by side.
        """
        if rule is None:
            rules = ("gbp", "bp") if setting.rates else ("bp",)
            return [point for name in rules for point in self.searches(setting, name)]
        preset, base = self.config.preset, setting.settings(rule)
        base = on_held_out(base, base.train_size, setting.available, preset.setting_search_seeds)
        listed = [[rate] for rate in setting.rates] or [scaled(base.lr, preset.rates)]
        known = by_identity(self.grid.searches())
        points = []
        for rates in listed:
            config = replace(base, lr={"default": rates})
            suffix = f"search{rates[0]}" if setting.rates else "search"
            points.append(self.point(known, setting, config, suffix))
        return points

    def points(
        self, directory: Path, setting: Setting, rules: Sequence[str] = ("gbp", "bp")
    ) -> list[Point]:
        """The runs of a setting, at the best rate where it was searched and did not diverge."""
        points, parent = [], directory / "runs"
        for rule in rules:
            config = setting.settings(rule)
            if rule == "bp" or setting.rates:
                searches = finished(self.searches(setting, rule), parent)
                if not searches:
                    continue
                rate = best(validation(searches, parent), "lr")
                config = replace(config, lr={"default": rate})
            points.append(self.at_rate(self.known(directory), setting, config))
        return points

    def at_rate(self, known: Mapping[str, Point], setting: Setting, config: Train) -> Point:
        """The run of a setting at the one rate of `config`."""
        return self.point(known, setting, config, f"lr{population(config)[0].lr['m']}")

    def point(
        self, known: Mapping[str, Point], setting: Setting, config: Train, suffix: str
    ) -> Point:
        """The known point of the same numbers, else that of the first setting with them."""
        words = [word for word in setting.words if not word.startswith("lr=[")]
        name = "-".join([config.rule.name, ",".join(words).translate(BRACKETS), suffix])
        new = Point(name, replace(config, name=name, resume=False))
        key = identity(config)
        return known.get(key) or self.made.setdefault(key, new)

    def known(self, directory: Path) -> Mapping[str, Point]:
        """The points of the credit study, by the identity of their settings."""
        search = runs.read_table(directory / "search.csv")
        return by_identity(
            [*self.grid.gbp(), *self.grid.bp(partial(self.grid.best, search, "bp"))]
        )

    def measure(self, directory: Path) -> None:
        """As the credit study; perturbations of every setting, then the tables of the atlas."""
        super().measure(directory)
        preset = self.config.preset
        few = replace(preset, fractions=[0.0, 1.0], samples=preset.setting_samples)
        for setting in self.settings:
            for run in self.trained(directory, self.of_gbp(directory, setting)):
                once(run.directory, "perturbation", perturbations(run, few))
        table = pd.concat(self.judged(directory), ignore_index=True)
        layers, search = (
            pd.concat(part, ignore_index=True)
            for part in (self.layers(directory), self.searched(directory))
        )
        record.write(directory, {"atlas": table, "atlas_layers": layers, "atlas_search": search})
        lines = atlas.in_words(table)
        with runs.replacing(directory / "atlas.md", "w") as file:
            file.write("".join(f"- {line}\n" for line in lines))
        print(*lines, sep="\n")

    def of_gbp(self, directory: Path, setting: Setting) -> list[Point]:
        """gBP's run of a setting if it is trained."""
        points = [] if setting.problem else self.points(directory, setting, ["gbp"])
        return finished(points, directory / "runs")

    def judged(self, directory: Path) -> Iterator[pd.DataFrame]:
        """The rows of atlas.csv by setting: the credit study's, each setting's, those together."""
        parent, reference = directory / "runs", figures.reference_of(directory)
        tables = figures.read_tables(directory)
        yield atlas.judged(atlas.PUBLISHED, atlas.PUBLISHED, tables, reference)
        for setting in self.settings:
            gbp = self.of_gbp(directory, setting)
            if not gbp:
                why = setting.problem or "gBP diverged"
                yield atlas.skipped(setting.factor, setting.name, why)
                continue
            points = finished(self.points(directory, setting), parent)
            tables = sweep.gathered(points, parent)
            tables["perturbation"] = sweep.gather("perturbation", gbp, parent)
            place = self.reference_of(setting.gbp)
            yield atlas.judged(setting.factor, setting.name, tables, place)
        for name, factors in self.config.preset.together.items():
            parts = [self.of_gbp(directory, s) for s in self.settings if s.factor in factors]
            points = list(chain.from_iterable(parts))
            if not points:
                yield atlas.skipped(name, "all", "none of its settings is trained")
                continue
            tables = sweep.gathered(points, parent)
            of_sizes = {key: tables[key] for key in ("datasize", "datasize_layers")}
            over_sizes = reference | {"train_size": 0}  # claims about a single T are asked there
            yield atlas.judged(name, "all", of_sizes, over_sizes)

    def reference_of(self, config: Train) -> dict[str, int]:
        """The point at which a setting's claims are asked.

        The published number of steps grows in proportion to the setting's, so that claims that
        need it are asked where the published network has it, whatever is varied.
        """
        size, other = int(config.train_size), config.depth != self.config.depth
        deep = config.depth if other else self.config.preset.deep
        reference = {"depth": config.depth, "train_size": size, "deep": deep}
        reference["steps"] = training_run.steps(config, size)
        published = PUBLISHED_STEPS.get(config.model.name)
        if published is not None:
            if config.model.name == self.config.model.name:
                published = published * reference["steps"] // int(str(self.reference["steps"]))
            reference["published_steps"] = published
        return reference

    def layers(self, directory: Path) -> Iterator[pd.DataFrame]:
        """The rows of atlas_layers.csv by setting."""
        for setting in self.settings:
            if points := self.of_gbp(directory, setting):
                table = sweep.gather("layers", points, directory / "runs")[LAYER_COLUMNS]
                yield with_setting(table, setting)

    def searched(self, directory: Path) -> Iterator[pd.DataFrame]:
        """The rows of atlas_search.csv by setting."""
        parent = directory / "runs"
        for setting in self.settings:
            if not setting.problem and (points := finished(self.searches(setting), parent)):
                yield with_setting(validation(points, parent), setting)


def of_gbp_alone(word: str) -> bool:
    """Whether a word `setting=value` changes gBP alone."""
    return word.partition("=")[0] in GBP_ONLY


def identity(config: Train) -> str:
    """What two training runs of the same numbers share; seeds of the same network may differ."""
    member = population(config)
    rates = [(replica.lr, replica.decay) for replica in member if replica.seed == member[0].seed]
    settings = replace(
        config, name=None, seeds=None, resume=False, checkpoint_every=1, lr=0.0, decay=0.0
    )
    return repr((settings, rates))


def by_identity(points: Sequence[Point]) -> Mapping[str, Point]:
    """Points by the identity of their settings."""
    return {identity(point.config): point for point in points}


def finished(points: Sequence[Point], parent: Path) -> list[Point]:
    """The points that did not diverge."""
    return [point for point in points if not sweep.diverged(parent / point.name)]


def with_setting(table: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    """A table with the setting in its first columns."""
    head = pd.DataFrame({"factor": setting.factor, "setting": setting.name}, table.index)
    return head.join(table)
