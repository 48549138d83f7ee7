"""Memory of a run: estimated before anything is allocated, its peak measured and released."""

import gc
import os
import resource
import sys
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import torch

from sascli import runs
from sascli.config import Train, hidden_widths, replica_count
from sascli.core.precision import dtype_of
from sascli.data import Data
from sascli.errors import UserError
from sascli.training.networks import convolutional, step_size

UNIT = 1 if sys.platform == "darwin" else 1024  # bytes in one unit of ru_maxrss
LIMITS = ("memory.max", "memory/memory.limit_in_bytes")
"""Files of a container's limit below /sys/fs/cgroup, in both versions of it."""


def check_fits(config: Train, data: Data, batch: int) -> None:
    """Raises UserError where memory cannot hold the replicas, before they are allocated.

    The estimate is a lower bound; a population that a GPU cannot hold is split, a replica not.
    """
    device, count = data.train_x.device, replica_count(config)
    weights, one = bytes_per_replica(config, data, batch)
    cpu = torch.device("cpu")
    sizes = [(cpu, count * one)] if device == cpu else [(cpu, count * weights), (device, one)]
    for place, size in sizes:
        if size > (limit := total_memory(place)):
            number = "one replica" if place != cpu or count == 1 else f"{count} replicas"
            raise UserError(
                f"{number} would take at least {runs.in_bytes(size)} of memory, {place} has "
                f"{runs.in_bytes(limit)}: lower replicas, width, depth or batch_size"
            )


def bytes_per_replica(config: Train, data: Data, batch: int) -> tuple[int, int]:
    """Bytes of a replica's parameters, and at least of all that its training holds.

    That is the parameters twice (gradients and moments, or the checkpoint), the order of the
    images, and the images and activations of a batch.
    """
    recurrent = config.model.network == "recurrent"
    n_in = step_size(config, data) if recurrent else data.train_x.shape[1]
    widths = [n_in, *hidden_widths(config.width, config.depth), len(data.classes)]
    weights = sum(a * b for a, b in pairwise(widths)) + recurrent * widths[1] ** 2
    outputs = sum(widths[1:])
    if config.model.network == "convolutional":
        network = convolutional(config, data, 0, "cpu")
        weights = sum(a * b for a, b in zip(network.inputs, network.widths[1:], strict=True))
        outputs = network.noise_size
    number = dtype_of(config.precision).itemsize
    activations = batch * (data.train_x.shape[1] + outputs) * number
    parameters = 3 * weights * number
    return parameters, 2 * parameters + 8 * len(data.train_y) + activations


def total_memory(device: torch.device) -> int:
    """Bytes of memory of a device; on the CPU what the machine, container and user allow."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    limits.append(resource.getrlimit(resource.RLIMIT_AS)[0])
    for path in (Path("/sys/fs/cgroup") / name for name in LIMITS):
        with suppress(OSError, ValueError):  # absent, or "max"
            limits.append(int(path.read_text()))
    return min(limit for limit in limits if limit > 0)


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


def free(device: torch.device) -> None:
    """Release unused memory of a GPU and reset its peak."""
    if device.type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
