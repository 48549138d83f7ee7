"""Growth of cost: one axis at a time around the published setting, 784-100-100-10, batch 500.

python -m benchmarks.scaling [--device cpu] [--out FOLDER] [--quick]

Time per step: median over rounds, gBP and BP in turn within one process. Exponents: least squares
of log time against log value. Memory per replica: `benchmarks.setting.memory_per_replica`. Tables
and pictures go to outputs/bench; --out docs/figures/performance replaces the committed pictures.
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
from sascli.config import Figures
from sascli.figures.draw import style

AXES = {
    "width": (100, 200, 500, 1000, 2000),
    "depth": (4, 6, 8, 12, 20),
    "train_size": (1000, 3000, 10_000, 30_000, 60_000),
    "replicas": (1, 2, 4, 8, 16, 32, 64),
}
ON_GPU = (128, 256)
"""Further numbers of replicas on a GPU."""
QUICK = {"width": (100, 200), "depth": (4, 6), "train_size": (1000, 2000), "replicas": (1, 2)}
LABELS = {"width": "neurons of a hidden layer", "depth": "layers of neurons $L$"}
LABELS |= {"train_size": "training images $T$", "replicas": "replicas side by side"}
TIMES = dict.fromkeys(AXES, ("ms_per_network", "ms per network and step"))
TIMES["train_size"] = ("epoch_s", "s per epoch")
"""The column drawn and fitted, and its unit: along T the time of an epoch, else of a step."""
TURN = 0.1  # seconds of a variant's turn, if a step is shorter


def measure(axis: str, value: int, x: Tensor, y: Tensor, rounds: int) -> pd.DataFrame:
    """A row for each rule at one point."""
    setting = replace(Setting(), **{axis: value})
    x, y = x[: setting.train_size], y[: setting.train_size]
    variants = {name: Steps(name, setting, x, y) for name in RULES}
    variants["gbp"]()
    start = time.perf_counter()
    variants["gbp"]()
    calls = math.ceil(min(TURN / (time.perf_counter() - start), 20))
    table = timing.in_turn(variants, rounds, "bp", calls, x.device)
    table = table.rename(columns={"variant": "rule"})
    variants.clear()  # frees memory of a GPU
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
        for part in (rows, rows[-3:]):
            slope, _ = np.polyfit(np.log(part["value"]), np.log(part[quantity]), 1)
            ends = {"from": part["value"].min(), "to": part["value"].max()}
            records.append({"axis": axis, "rule": rule, "of": quantity, **ends, "exponent": slope})
    return pd.DataFrame(records).drop_duplicates()


@style.styled()
def picture(
    table: pd.DataFrame,
    fits: pd.DataFrame,
    axis: str,
    out: Path,
    device: torch.device = timing.CPU,
) -> list[Path]:
    """Time and memory of a replica along one axis."""
    fig = style.figure()
    upper, lower = style.panels(fig, 3.6, 2, sharex=True)
    quantity, unit = TIMES[axis]
    full = fits[fits["axis"] == axis].drop_duplicates("rule").set_index("rule")
    for name, rows in table[table["axis"] == axis].groupby("rule", sort=False):
        look = style.RULES[str(name)]
        label = {"label": f"{look['label']}, exponent {full['exponent'][name]:.2f}"}
        upper.plot(rows["value"], rows[quantity], **look | label)
        lower.plot(rows["value"], rows["mb_per_replica"], **look)
    for ax, label in ((upper, unit), (lower, "MB per replica")):
        ax.set_ylabel(label)
        ax.set_xscale("log")
        ax.set_yscale("log")
        low, high = ax.get_ylim()
        margin = max(1.0, (10 * low / high) ** 0.5)  # at least a decade: a flat curve looks flat
        ax.set_ylim(low / margin, high * margin)
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_locator(NullLocator())
    values = sorted(set(table.loc[table["axis"] == axis, "value"]))
    lower.set_xticks(values, [str(value) for value in values])
    lower.xaxis.set_minor_locator(NullLocator())
    lower.set_xlabel(LABELS[axis])
    style.legend(fig, upper)
    ends = full.iloc[0]
    fig.set_label(
        f"Training at batch {BATCH} around 784-100-100-10 on {timing.machine(device)}; exponents "
        f"from {ends['from']} to {ends['to']}."
    )
    return style.save(fig, out / axis, Figures(format="png"))


def main() -> None:
    """Measure, print, write tables and pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, help="folder of the pictures; default outputs/bench")
    parser.add_argument("--quick", action="store_true", help="two points per axis: a smoke run")
    args = parser.parse_args()
    torch.set_flush_denormal(True)
    axes = dict(QUICK if args.quick else AXES)
    device = torch.device(args.device)
    if device.type == "cuda" and args.out is not None:
        parser.error("--out replaces the pictures of the CPU: leave it out with --device cuda")
    if device.type == "cuda" and not args.quick:
        axes["replicas"] += ON_GPU
    x, y = images(max(*axes["train_size"], Setting().train_size), device)
    tables = []
    for axis, values in axes.items():
        for value in values:
            tables.append(measure(axis, value, x, y, rounds=2 if args.quick else 15))
            print(axis, value, flush=True)
    table = pd.concat(tables, ignore_index=True)
    fits = exponents(table)
    folder = "quick/" if args.quick else ""
    timing.report(f"{folder}scaling", table, device)
    path = timing.report(f"{folder}scaling_exponents", fits, device)
    out = args.out or path.parent
    out.mkdir(parents=True, exist_ok=True)
    for axis in axes:
        print(*picture(table, fits, axis, out, device))


if __name__ == "__main__":
    main()
