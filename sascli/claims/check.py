"""Claims and their checks on a number per seed, read from the tables."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sascli import runs
from sascli.errors import UserError

TWICE = "beyond 2 SE"


class MissingError(UserError):
    """The tables lack what a claim needs; the message names it."""


@dataclass(frozen=True)
class Check:
    """A number per seed whose mean must clear its bounds by `errors` standard errors."""

    what: str
    values: pd.Series
    above: float = -np.inf
    below: float = np.inf
    errors: float = 2.0

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return float(self.values.mean())

    @property
    def std(self) -> float:
        """Standard deviation over seeds (ddof 1), NaN for one seed."""
        return float(self.values.std())

    @property
    def error(self) -> float:
        """Standard error over seeds, 0 for one seed."""
        return self.std / float(np.sqrt(len(self.values))) if len(self.values) > 1 else 0.0

    @property
    def room(self) -> float:
        """Distance of the mean from the nearer bound, beyond what it must clear."""
        distance = min(self.mean - self.above, self.below - self.mean)
        return distance - self.errors * self.error

    @property
    def holds(self) -> bool:
        """Whether the mean clears both bounds; where errors < 0 it may also touch them."""
        return bool(self.room > 0 or (self.errors < 0 and self.room == 0))

    @property
    def margin(self) -> float:
        """`room` in standard errors, infinite where there is none: positive if it holds."""
        if self.room == 0:
            return 0.0
        return self.room / self.error if self.error > 0 else float(np.copysign(np.inf, self.room))

    def __str__(self) -> str:
        return f"{self.what}: {number(self.mean, self.std)}{'' if self.holds else ' (fails)'}"


@dataclass(frozen=True)
class Tables:
    """The tables of one `sas reproduce` directory and its reference point."""

    by_name: Mapping[str, pd.DataFrame]
    reference: Mapping[str, int]

    @property
    def point(self) -> dict[str, Any]:
        """Depth and train_size of most figures."""
        return {key: self.reference[key] for key in ("depth", "train_size")}

    @property
    def deep(self) -> dict[str, Any]:
        """Depth and train_size of Fig. 4b."""
        return self.point | {"depth": self.reference["deep"]}

    def need_published_steps(self) -> None:
        """Raises MissingError where the networks had fewer steps than the published ones."""
        published, steps = (self.reference.get(key) for key in ("published_steps", "steps"))
        if published and steps and steps < published:
            raise MissingError(f"trained for fewer steps than published: {steps} of {published}")

    def rows(self, name: str, *, rule: str | None = "gbp", **keys: str | int) -> pd.DataFrame:
        """The rows of a table with the given keys. Raises UserError when there are none."""
        by_rule = {} if rule is None else {"rule": rule}
        return runs.select(self.by_name, name, **by_rule, **keys)

    def per_layer(self, parameter: str, measure: Callable[[pd.DataFrame], float]) -> pd.Series:
        """The least of a histogram's measure over the layers, for each seed."""
        table = self.rows("histograms", parameter=parameter, **self.point)
        return table.groupby(["seed", "layer"]).apply(measure).groupby("seed").min()


Checks = Callable[[Tables], list[Check]]


@dataclass(frozen=True)
class Claim:
    """A statement of the paper, the rule that decides it, and the checks of the rule."""

    number: int
    statement: str
    rule: str
    checks: Checks


class Register(list[Claim]):
    """The claims of a study in the order of their numbers."""

    def enter(self, number: int, statement: str, rule: str) -> Callable[[Checks], Checks]:
        """Enter the decorated function, which makes the checks."""

        def entered(checks: Checks) -> Checks:
            self.append(Claim(number, statement, rule, checks))
            return checks

        return entered


def number(mean: float, std: float) -> str:
    """Mean and standard deviation over seeds as text, the latter unless it is NaN."""
    return f"{mean:.3g}" if np.isnan(std) else f"{mean:.3g} ± {std:.2g}"
