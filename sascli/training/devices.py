"""The device of a process: which of several GPUs it is, and how it multiplies."""

import torch

from sascli.core.precision import set_precision
from sascli.errors import UserError


def spread(number: int | None, device: str) -> None:
    """Give this process, a worker or a job of this number, one of the visible GPUs.

    It is that of `device=auto` and of `device=cuda`.
    """
    if number is not None and device != "cpu" and torch.cuda.device_count() > 1:
        torch.cuda.set_device(number % torch.cuda.device_count())


def describe(device: torch.device, precision: str) -> dict[str, object]:
    """Fix the precision of matrix products; the entries of a manifest on device and precision.

    Raises UserError where the environment makes the GPU multiply in TF32 all the same.
    """
    actual = set_precision(precision, device)
    if actual == "tf32" != precision:
        raise UserError(
            f"{device} multiplies in TF32 in spite of precision={precision}: unset "
            "NVIDIA_TF32_OVERRIDE"
        )
    if precision == "tf32" != actual:
        print(f"warning: {device} has no TF32: matrices are multiplied in {actual}", flush=True)
    return {
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "precision": actual,
    }
