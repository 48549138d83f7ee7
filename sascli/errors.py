"""Mistakes of the user, told in one sentence and without a traceback."""


class UserError(Exception):
    """Something the user can mend: a setting, a file, a device. The message says how."""


class DivergedError(UserError):
    """The loss or a parameter is no longer finite; `epoch` is the one in which that happened."""

    def __init__(self, epoch: int, largest: str) -> None:
        super().__init__(f"training diverged in epoch {epoch}: {largest}; lower lr")
        self.epoch = epoch
