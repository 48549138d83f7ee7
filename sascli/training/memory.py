"""Peak memory of a run, measured and released."""

import gc
import resource
import sys

import torch

UNIT = 1 if sys.platform == "darwin" else 1024  # bytes in one unit of ru_maxrss


def peak_memory(device: torch.device, replicas: int) -> dict[str, str | int]:
    """Peak in bytes, the same per replica trained side by side, and the name of the measure.

    On a GPU it is the largest allocation by torch since `free`; on the CPU the largest resident
    set of the process so far, including Python, torch and the data.
    """
    if device.type == "cuda":
        measure, peak = "torch.cuda.max_memory_allocated", torch.cuda.max_memory_allocated(device)
    else:
        measure, peak = "ru_maxrss of the process", largest_resident_set()
    return {"measure": measure, "bytes": peak, "bytes_per_replica": peak // replicas}


def largest_resident_set() -> int:
    """ru_maxrss of this process in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error means that a GPU has no memory left: torch's, CUDA's or cuBLAS's."""
    text = str(error)
    names = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_NOT_INIT")
    return isinstance(error, torch.OutOfMemoryError) or any(name in text for name in names)


def free(device: torch.device) -> None:
    """Release unused memory of a GPU and reset its peak."""
    if device.type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
