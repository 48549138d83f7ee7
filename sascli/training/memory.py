"""Peak memory of a run: what the device tells of it, and how it is given back."""

import gc
import resource
import sys
from typing import Any

import torch

UNIT = 1 if sys.platform == "darwin" else 1024  # bytes in one unit of ru_maxrss


def peak_memory(device: torch.device, replicas: int) -> dict[str, Any]:
    """Peak in bytes, its share of each of the replicas trained side by side, and the measure.

    On a GPU it is the most that torch has had allocated since `free`. On the CPU it is the
    largest resident set that the process ever had, Python, torch and the data included.
    """
    if device.type == "cuda":
        measure, peak = "torch.cuda.max_memory_allocated", torch.cuda.max_memory_allocated(device)
    else:
        measure, peak = "ru_maxrss of the process", largest_resident_set()
    return {"measure": measure, "bytes": peak, "bytes_per_replica": peak // replicas}


def largest_resident_set() -> int:
    """ru_maxrss of this process in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


def free(device: torch.device) -> None:
    """Give back what a GPU keeps for nothing, and begin to measure its peak anew."""
    if device.type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
