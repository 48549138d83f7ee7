"""Errors of the user: one sentence, without a traceback."""


class UserError(Exception):
    """Something the user can fix: a setting, a file, a device. The message says how."""


class DivergedError(UserError):
    """The loss or a parameter is no longer finite; `epoch` is the epoch in which that happened."""

    def __init__(self, epoch: int, largest: str) -> None:
        super().__init__(f"training diverged in epoch {epoch}: {largest}; lower lr")
        self.epoch = epoch


NO_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED",  # no memory for its handle
)
"""What torch, CUDA and its libraries write where memory is not sufficient."""


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory is not sufficient, on the CPU or on a GPU."""
    named = isinstance(error, RuntimeError) and any(text in str(error) for text in NO_MEMORY)
    return named or isinstance(error, MemoryError)
