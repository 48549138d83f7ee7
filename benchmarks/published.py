"""The published setting as a user runs it: the process `sas train model=mnist`.

python -m benchmarks.published [--runs N] [--device cpu] [--quick | --check]

784-100-100-10, T = 10,000, 100 epochs, all 10,000 test images after every epoch, from the start of
Python to the last table on disk; MNIST is read from $SAS_DATA, else ./data. An independent NumPy
implementation took 171 s on two cores.
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks import timing
from sascli import runs

PUBLISHED = 171.0
BAR = 10.0
"""Seconds of the process (--check), 17 times as fast as the NumPy reference."""
ACCURACY = 0.94
"""The bar of the accuracy; the NumPy reference ends at 0.951 to 0.955."""
QUICK = ["epochs=2", "train_size=1000", "test_size=1000"]


def run_once(settings: list[str]) -> dict[str, float]:
    """Seconds, those of the processor, and final accuracy of one process `sas train`."""
    with TemporaryDirectory() as outputs:
        command = ["-m", "sascli", "train", "model=mnist", *settings, f"outputs={outputs}"]
        seconds, cpu = timing.process(command)
        (path,) = Path(outputs).glob("train/*/*/history.csv")
        accuracy = float(runs.read_table(path)["test_accuracy"].iloc[-1])
    times = {"seconds": seconds, "cpu_seconds": cpu, "times": PUBLISHED / seconds}
    return times | {"test_accuracy": accuracy}


def main() -> None:
    """Measure, print, write outputs/bench/published.csv."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--quick", action="store_true", help="2 epochs, 1000 images: a smoke run")
    mode.add_argument("--check", action="store_true", help="exit 1 if a bar is missed")
    args = parser.parse_args()
    settings = [f"device={args.device}", *(QUICK if args.quick else [])]
    table = runs.rows([{"run": run, **run_once(settings)} for run in range(1, args.runs + 1)])
    device = torch.device(args.device)
    timing.report("quick/published" if args.quick else "published", table, device)
    if args.check:
        seconds, accuracy = table["seconds"].median(), table["test_accuracy"].min()
        print(
            f"published setting: {seconds:.1f} s, {PUBLISHED / seconds:.1f} times as fast as the "
            f"NumPy reference, bar {BAR} s; test accuracy {accuracy:.3f}, bar {ACCURACY}"
        )
        sys.exit(not (seconds <= BAR and accuracy >= ACCURACY))


if __name__ == "__main__":
    main()
