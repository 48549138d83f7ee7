"""Variants timed in turn within one process; the tables of the benchmarks."""

import argparse
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import pandas as pd
import torch

from sascli import runs

WARM_UP = 5


def parser(doc: str | None, rounds: int) -> argparse.ArgumentParser:
    """The command line of a benchmark: --rounds, and --check for one with a bar."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--check", action="store_true", help="exit 1 if the bar is missed")
    return parser


def process(words: Sequence[str]) -> tuple[float, float]:
    """Wall and CPU seconds of one process of this Python. Exits with its message if it fails."""
    before, start = getrusage(RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
    wall, after = time.perf_counter() - start, getrusage(RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(done.stderr)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


CPU = torch.device("cpu")


def in_turn(
    variants: Mapping[str, Callable[[], object]],
    rounds: int,
    base: str,
    calls: int = 1,
    device: torch.device = CPU,
) -> pd.DataFrame:
    """Milliseconds per call of each variant, and its ratio to `base`: medians over rounds.

    Every round times each variant once, so that all see the same changes of the machine's speed.
    The clock is read when `device` has no work left. With one thread on the CPU it is processor
    time, which other processes change less.
    """
    alone = device.type == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if alone else time.perf_counter

    def sync() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    times: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(rounds + WARM_UP):
        for name, variant in variants.items():
            sync()
            start = clock()
            for _ in range(calls):
                variant()
            sync()
            if number >= WARM_UP:
                times[name].append((clock() - start) / calls * 1e3)
    table = pd.DataFrame(times)
    ratio = table.div(table[base], axis=0)
    return pd.DataFrame(
        {
            "variant": table.columns,
            "ms": table.median().to_numpy(),
            "ms_min": table.min().to_numpy(),
            "ratio": ratio.median().to_numpy(),
            "ratio_low": ratio.quantile(0.25).to_numpy(),
            "ratio_high": ratio.quantile(0.75).to_numpy(),
        }
    )


def machine(device: torch.device = CPU) -> str:
    """Processor, threads, torch and the GPU, if any, of the measurement."""
    gpu = f", {torch.cuda.get_device_name(device)}" if device.type == "cuda" else ""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc").exists() else ():
        if line.startswith("model name"):
            model = line.split(":")[1].strip()
            break
    return f"{model}, {torch.get_num_threads()} threads, torch {torch.__version__}{gpu}"


def report(name: str, table: pd.DataFrame, device: torch.device = CPU) -> Path:
    """Print a table and write it to outputs/bench/NAME.csv, of a GPU to outputs/bench/gpu."""
    print(machine(device))
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    folder = Path("outputs/bench") / ("gpu" if device.type == "cuda" else "")
    path = folder / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    runs.write_table(path, table.assign(machine=machine(device)))
    print(path)
    return path
