"""SLURM as seen from inside a job."""

import os
import time

GRACE = 900.0  # seconds that a preempted job waits to be killed


def this_job() -> str | None:
    """The SLURM job of this process, as `squeue --array` names it."""
    array, index = (os.environ.get(f"SLURM_ARRAY_{name}_ID") for name in ("JOB", "TASK"))
    return f"{array}_{index}" if array and index else os.environ.get("SLURM_JOB_ID")


def preempts(error: BaseException) -> bool:
    """Whether an error is the preemption of this SLURM job: any signal but that of Ctrl-C."""
    by_hand = isinstance(error, KeyboardInterrupt) or getattr(error, "code", None) == 130
    return this_job() is not None and not by_hand and not isinstance(error, Exception)


def wait_for_end() -> None:
    """Wait to be killed: SLURM does not requeue a job that exits in its grace time."""
    time.sleep(GRACE)
