"""Where a step's time goes at 784-100-100-10, batch 500: gBP beside BP, by kind of operation.

python -m benchmarks.budget [--steps N]
"""

import argparse

import pandas as pd
import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks import timing
from benchmarks.step import Batches, rule
from sascli.rules.base import Rule
from sascli.rules.bp import BP
from sascli.rules.gbp import GBP

WARM_UP = 50
KINDS = {
    "matrix products": ("linear_pointwise", "bmm"),
    "normal draws": ("normal_",),
    "gathering the batch": ("index_select", "aten::index"),
    "optimiser": ("adamw", "AdamW"),
}
REST = "elementwise passes, loss, dispatch"


def kind_of(operation: str) -> str:
    """The row that an operation of torch counts to."""
    return next(
        (kind for kind, parts in KINDS.items() if any(part in operation for part in parts)), REST
    )


def budget(made: Rule, batches: Batches, steps: int) -> "pd.Series[float]":
    """Milliseconds per step spent in each kind of operation itself."""

    def step() -> None:
        x, y = batches()
        made.step(x.unsqueeze(0), y.unsqueeze(0))

    for _ in range(WARM_UP):
        step()
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        for _ in range(steps):
            step()
    events = seen.key_averages()
    rows = [(kind_of(event.key), event.self_cpu_time_total / steps / 1e3) for event in events]
    return pd.DataFrame(rows, columns=["kind", "ms"]).groupby("kind")["ms"].sum()


def main() -> None:
    """Measure, print, write outputs/bench/budget.csv."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200)
    words = parser.parse_args()
    torch.set_flush_denormal(True)
    batches = Batches()
    spent = {name: budget(rule(kind), batches, words.steps) for name, kind in
             (("bp", BP), ("gbp", GBP))}  # fmt: skip
    table = pd.DataFrame(spent).reindex([*KINDS, REST]).fillna(0.0)
    table.loc["sum"] = table.sum()
    table["ratio"] = table["gbp"] / table["bp"]
    timing.report("budget", table.rename_axis("kind").reset_index())


if __name__ == "__main__":
    main()
