"""SLURM as a job in it sees it."""

import os
import time

GRACE = 900.0
"""Seconds for which a preempted job waits for its end."""


def this_job() -> str | None:
    """The SLURM job that this process belongs to, as `squeue --array` names it."""
    array, place = (os.environ.get(f"SLURM_ARRAY_{name}_ID") for name in ("JOB", "TASK"))
    return f"{array}_{place}" if array and place else os.environ.get("SLURM_JOB_ID")


def preempts(error: BaseException) -> bool:
    """Whether this stops a SLURM job in favour of another: every signal but Ctrl-C's does."""
    by_hand = isinstance(error, KeyboardInterrupt) or getattr(error, "code", None) == 130
    return this_job() is not None and not by_hand and not isinstance(error, Exception)


def wait_for_end() -> None:
    """Wait to be killed: a job that ends by itself in its grace time is not requeued."""
    time.sleep(GRACE)
