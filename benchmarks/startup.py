"""Start-up: the process `sas train epochs=1` beside `python -c "import torch"`, in turn.

python -m benchmarks.startup [--rounds N] [--check]

Minima over the rounds: other work on the machine only lengthens a process. The bar is one of CPU
time, which on an idle machine is the wall time. MNIST is read from
$SAS_DATA, else ./data, and from its cache after the first round.
"""

import sys
from tempfile import TemporaryDirectory

from benchmarks import timing
from sascli import runs

BAR = 2.2
"""The bar of `sas train epochs=1` on the digits, relative to the import of torch."""
TORCH, DIGITS = 'python -c "import torch"', "sas train epochs=1"
TRAIN = ["-m", "sascli", "train", "epochs=1"]
VARIANTS = {
    TORCH: ["-c", "import torch"],
    DIGITS: TRAIN,
    "sas train model=mnist epochs=1 batches=1": [*TRAIN, "model=mnist", "batches=1"],
}


def run_once(words: list[str]) -> dict[str, float]:
    """Wall and CPU seconds of one process."""
    with TemporaryDirectory() as outputs:
        wall, cpu = timing.process([*words, f"outputs={outputs}"])
    return {"wall_s": wall, "cpu_s": cpu}


def main() -> None:
    """Measure, print, write outputs/bench/startup.csv."""
    args = timing.parser(__doc__, rounds=7).parse_args()
    times = [
        {"variant": name, **run_once(words)}
        for _ in range(args.rounds)
        for name, words in VARIANTS.items()
    ]
    table = runs.rows(times).groupby("variant", sort=False).min()
    for kind in ("wall", "cpu"):
        table[f"{kind}_ratio"] = table[f"{kind}_s"] / table.loc[TORCH, f"{kind}_s"]
    timing.report("startup", table.reset_index())
    if args.check:
        digits = table.loc[DIGITS]
        print(
            f"start-up: {DIGITS} takes {digits['wall_s']:.1f} s; its CPU time is "
            f"{digits['cpu_ratio']:.2f} times that of the import of torch, bar {BAR}"
        )
        sys.exit(bool(digits["cpu_ratio"] > BAR))


if __name__ == "__main__":
    main()
