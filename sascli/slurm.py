"""SLURM, as a job in it and its user see it."""

import os
import shutil
import subprocess
import time

from sascli.errors import UserError

TIMEOUT = 20.0
"""Seconds in which SLURM is to answer."""
GRACE = 900.0
"""Seconds for which a job that is to make room waits for its end."""


def this_job() -> str | None:
    """The SLURM job that this process belongs to, as `squeue --array` names it."""
    array, place = (os.environ.get(f"SLURM_ARRAY_{name}_ID") for name in ("JOB", "TASK"))
    return f"{array}_{place}" if array and place else os.environ.get("SLURM_JOB_ID")


def preempts(error: BaseException) -> bool:
    """Whether this stops a job of SLURM's for another: every signal but that of Ctrl-C does."""
    by_hand = isinstance(error, KeyboardInterrupt) or getattr(error, "code", None) == 130
    return this_job() is not None and not by_hand and not isinstance(error, Exception)


def make_room() -> None:
    """Wait to be killed: a job that ends by itself in its grace time is not queued again."""
    time.sleep(GRACE)


def queue() -> dict[str, str]:
    """The states of this user's jobs by their names; none where there is no SLURM.

    Raises UserError where there is one that does not answer.
    """
    if shutil.which("squeue") is None:
        return {}
    words = ["squeue", "--me", "--array", "--noheader", "--format=%i %T"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", None) or "").strip() or str(error)
        raise UserError(
            f"SLURM does not say which jobs are at work: {said.splitlines()[0]}"
        ) from error
    return dict(map(str.split, done.stdout.splitlines()))
