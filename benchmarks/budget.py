"""Time of a step at 784-100-100-10, batch 500, by kind of operation: gBP beside BP.

python -m benchmarks.budget [--steps N]
"""

import argparse
from collections.abc import Callable

import pandas as pd
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile, record_function

from benchmarks import timing
from benchmarks.step import Batches, make_rule
from sascli.core import fused
from sascli.rules.base import Rule
from sascli.rules.bp import BP
from sascli.rules.gbp import GBP

WARM_UP = 50
KINDS = {
    "matrix products": ("linear_pointwise", "bmm"),
    "normal draws": ("normal_",),
    "gathering the batch": ("index_select", "aten::index"),
    "optimiser": ("adamw", "AdamW"),
    "moments": ("moments",),
}
OTHER = "elementwise passes, loss, dispatch"


def recorded(name: str, loop: Callable[..., None]) -> Callable[..., None]:
    """A compiled loop that the profiler sees."""

    def run(*tensors: Tensor, **numbers: float) -> None:
        with record_function(name):
            loop(*tensors, **numbers)

    return run


def kind_of(operation: str) -> str:
    """The kind of an operation of torch."""
    return next(
        (kind for kind, parts in KINDS.items() if any(part in operation for part in parts)), OTHER
    )


def budget(rule: Rule, batches: Batches, steps: int) -> "pd.Series[float]":
    """Milliseconds per step in each kind of operation."""

    def step() -> None:
        x, y = batches()
        rule.step(x.unsqueeze(0), y.unsqueeze(0))

    for _ in range(WARM_UP):
        step()
    with profile(activities=[ProfilerActivity.CPU]) as record:
        for _ in range(steps):
            step()
    events = record.key_averages()
    rows = [(kind_of(event.key), event.self_cpu_time_total / steps / 1e3) for event in events]
    return pd.DataFrame(rows, columns=["kind", "ms"]).groupby("kind")["ms"].sum()


def main() -> None:
    """Measure, print, write outputs/bench/budget.csv."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200)
    args = parser.parse_args()
    torch.set_flush_denormal(True)
    batches = Batches()
    for name in ("moments", "adamw"):
        setattr(fused, name, recorded(name, getattr(fused, name)))
    rules = {"bp": make_rule(BP), "gbp": make_rule(GBP)}
    columns = {name: budget(rule, batches, args.steps) for name, rule in rules.items()}
    table = pd.DataFrame(columns).reindex([*KINDS, OTHER]).fillna(0.0)
    table.loc["sum"] = table.sum()
    table["ratio"] = table["gbp"] / table["bp"]
    timing.report("budget", table.rename_axis("kind").reset_index())


if __name__ == "__main__":
    main()
