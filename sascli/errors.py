"""Errors of the user: one sentence, without a traceback."""


class UserError(Exception):
    """Something the user can fix: a setting, a file, a device. The message says how."""


class DivergedError(UserError):
    """The loss or a parameter is no longer finite; `epoch` is the epoch in which that happened."""

    def __init__(self, epoch: int, largest: str) -> None:
        super().__init__(f"training diverged in epoch {epoch}: {largest}; lower lr")
        self.epoch = epoch
