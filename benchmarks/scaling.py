"""How cost grows: one axis at a time around the published setting, 784-100-100-10 at batch 500.

python -m benchmarks.scaling [--device cpu] [--out FOLDER] [--quick]

Time per step by the median of several turns, gBP and BP in turn within one process; exponents by
least squares of log time against log value; memory per replica as benchmarks/setting.py says.
Tables go to outputs/bench, pictures to docs/figures/performance.
"""

import argparse
import math
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.ticker import LogLocator, NullLocator
from torch import Tensor

from benchmarks import timing
from benchmarks.setting import RULES, Setting, Steps, images, memory_per_replica
from benchmarks.step import BATCH
from sascli.figures.draw import style

AXES = {
    "width": (100, 200, 500, 1000, 2000),
    "depth": (4, 6, 8, 12, 20),
    "train_size": (1000, 3000, 10_000, 30_000, 60_000),
    "replicas": (1, 2, 4, 8, 16, 32, 64),
}
ON_GPU = (128, 256)
"""Replicas beside those, on a GPU."""
QUICK = {"width": (100, 200), "depth": (4, 6), "train_size": (1000, 2000), "replicas": (1, 2)}
LABELS = {"width": "neurons of a hidden layer", "depth": "layers of neurons $L$"}
LABELS |= {"train_size": "training images $T$", "replicas": "replicas side by side"}
TIMES = dict.fromkeys(AXES, ("ms_per_network", "ms per network and step"))
TIMES["train_size"] = ("epoch_s", "s per epoch")
"""The column that is drawn and fitted; along T a step does the same, so the epoch's."""
TURN = 0.1  # seconds that one variant's turn takes, or a single step


def measure(axis: str, value: int, x: Tensor, y: Tensor, rounds: int) -> pd.DataFrame:
    """One row per rule at one point."""
    setting = replace(Setting(), **{axis: value})
    x, y = x[: setting.train_size], y[: setting.train_size]
    variants = {name: Steps(name, setting, x, y) for name in RULES}
    variants["gbp"]()
    start = time.perf_counter()
    variants["gbp"]()
    calls = math.ceil(min(TURN / (time.perf_counter() - start), 20))
    table = timing.in_turn(variants, rounds, "bp", calls).rename(columns={"variant": "rule"})
    variants.clear()  # makes room on a GPU
    table["ms_per_network"] = table["ms"] / setting.replicas
    table["epoch_s"] = table["ms"] * setting.train_size / BATCH / 1e3
    memory = [memory_per_replica(name, setting, x, y) for name in table["rule"]]
    table["mb_per_replica"] = np.array(memory) / 1e6
    table.insert(0, "value", value)
    table.insert(0, "axis", axis)
    return table.assign(**asdict(setting), device=x.device.type)


def exponents(table: pd.DataFrame) -> pd.DataFrame:
    """d log(time) / d log(value) by least squares, over each axis and its last three values."""
    records = []
    for (axis, rule), rows in table.groupby(["axis", "rule"], sort=False):
        quantity, _ = TIMES[str(axis)]
        for own in (rows, rows[-3:]):
            slope, _ = np.polyfit(np.log(own["value"]), np.log(own[quantity]), 1)
            ends = {"from": own["value"].min(), "to": own["value"].max()}
            records.append({"axis": axis, "rule": rule, "of": quantity, **ends, "exponent": slope})
    return pd.DataFrame(records).drop_duplicates()


@style.styled
def picture(table: pd.DataFrame, fits: pd.DataFrame, axis: str, out: Path) -> list[Path]:
    """Time and memory of a replica along one axis."""
    fig = style.figure()
    upper, lower = style.panels(fig, 3.6, 2, sharex=True)
    quantity, unit = TIMES[axis]
    whole = fits[fits["axis"] == axis].drop_duplicates("rule").set_index("rule")
    for name, rows in table[table["axis"] == axis].groupby("rule", sort=False):
        look = style.RULES[str(name)]
        label = {"label": f"{look['label']}, exponent {whole['exponent'][name]:.2f}"}
        upper.plot(rows["value"], rows[quantity], **look | label)
        lower.plot(rows["value"], rows["mb_per_replica"], **look)
    for ax, label in ((upper, unit), (lower, "MB per replica")):
        ax.set_ylabel(label)
        ax.set_xscale("log")
        ax.set_yscale("log")
        low, high = ax.get_ylim()
        room = max(1.0, (10 * low / high) ** 0.5)  # a decade at least: what is flat looks flat
        ax.set_ylim(low / room, high * room)
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_locator(NullLocator())
    values = sorted(set(table.loc[table["axis"] == axis, "value"]))
    lower.set_xticks(values, [str(value) for value in values])
    lower.xaxis.set_minor_locator(NullLocator())
    lower.set_xlabel(LABELS[axis])
    style.legend(fig, upper)
    ends = whole.iloc[0]
    fig.set_label(
        f"Training at batch {BATCH} around 784-100-100-10 on {timing.machine()}; exponents from "
        f"{ends['from']} to {ends['to']}."
    )
    return style.save(fig, out / axis, [".png"])


def main() -> None:
    """Measure, print, write tables and pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, help="folder of the pictures")
    parser.add_argument("--quick", action="store_true", help="two points an axis: a smoke run")
    words = parser.parse_args()
    torch.set_flush_denormal(True)
    axes = dict(QUICK if words.quick else AXES)
    device = torch.device(words.device)
    if device.type == "cuda" and not words.quick:
        axes["replicas"] += ON_GPU
    x, y = images(max(*axes["train_size"], Setting().train_size), device)
    tables = []
    for axis, values in axes.items():
        for value in values:
            tables.append(measure(axis, value, x, y, rounds=2 if words.quick else 15))
            print(axis, value, flush=True)
    table = pd.concat(tables, ignore_index=True)
    fits = exponents(table)
    folder = "quick/" if words.quick else ""
    timing.report(f"{folder}scaling", table)
    timing.report(f"{folder}scaling_exponents", fits)
    out = words.out or Path("outputs/bench/quick" if words.quick else "docs/figures/performance")
    out.mkdir(parents=True, exist_ok=True)
    for axis in axes:
        print(*picture(table, fits, axis, out))


if __name__ == "__main__":
    main()
