"""The queue of SLURM."""

import shutil
import subprocess

from sascli.errors import UserError

TIMEOUT = 20.0
"""Seconds to wait for an answer of SLURM."""


def queue() -> dict[str, str]:
    """The states of this user's jobs by their ids; empty without SLURM.

    Raises UserError where SLURM does not answer.
    """
    if shutil.which("squeue") is None:
        return {}
    words = ["squeue", "--me", "--array", "--noheader", "--format=%i %T"]
    try:
        result = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        message = str(getattr(error, "stderr", None) or "").strip() or str(error)
        raise UserError(
            f"SLURM does not report which jobs are running: {message.splitlines()[0]}"
        ) from error
    return dict(map(str.split, result.stdout.splitlines()))
