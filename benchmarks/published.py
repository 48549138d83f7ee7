"""The published setting as a user runs it: the whole process of `sas train model=mnist`.

python -m benchmarks.published [--runs N] [--device cpu] [--quick | --check]

784-100-100-10, T = 10,000, 100 epochs, all 10,000 test images after each of them, from the start
of Python to the last table on disk; MNIST is looked for in $SAS_DATA, else in ./data. An
independent NumPy implementation took 171 s on two cores.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import timing
from sascli import runs

PUBLISHED = 171.0
BAR, DREAM = 8, 12
"""How many times as fast as the published code a run has to be (--check), and might be."""
ACCURACY = 0.94
"""A run that is worse does not count; the NumPy reference ends at 0.951 to 0.955."""
QUICK = ["epochs=2", "train_size=1000", "test_size=1000"]


def once(words: list[str]) -> dict[str, float]:
    """Wall seconds of a process `sas train`, and the accuracy that it ends with."""
    with TemporaryDirectory() as outputs:
        command = [sys.executable, "-m", "sascli", "train", "model=mnist", *words]
        start = time.perf_counter()
        done = subprocess.run([*command, f"outputs={outputs}"], capture_output=True, text=True)
        seconds = time.perf_counter() - start
        if done.returncode:
            sys.exit(done.stderr)
        (path,) = Path(outputs).glob("train/*/*/history.csv")
        accuracy = float(runs.read_table(path)["test_accuracy"].iloc[-1])
    return {"seconds": seconds, "times": PUBLISHED / seconds, "test_accuracy": accuracy}


def main() -> None:
    """Measure, print, write outputs/bench/published.csv; with --check, exit 1 below the bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--quick", action="store_true", help="2 epochs, 1000 images: a smoke run")
    either.add_argument("--check", action="store_true")
    words = parser.parse_args()
    settings = [f"device={words.device}", *(QUICK if words.quick else [])]
    table = runs.rows([{"run": run, **once(settings)} for run in range(1, words.runs + 1)])
    timing.report("quick/published" if words.quick else "published", table)
    if words.check:
        times, accuracy = table["times"].median(), table["test_accuracy"].min()
        print(
            f"published setting: {PUBLISHED / times:.1f} s, {times:.1f} times as fast as the "
            f"NumPy reference, bar {BAR} ({PUBLISHED / BAR:.1f} s), dream {DREAM}; "
            f"test accuracy {accuracy:.3f}, bar {ACCURACY}"
        )
        sys.exit(not (times >= BAR and accuracy >= ACCURACY))


if __name__ == "__main__":
    main()
