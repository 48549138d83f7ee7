"""Hydra finds its plugins in this namespace: a sweeper that leaves some jobs out."""

from collections.abc import Sequence

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper


class Remaining(BasicSweeper):
    """Hydra's own grid in one batch, without the jobs of these numbers."""

    def __init__(self, skip: Sequence[int], params: dict[str, str] | None, **_: object) -> None:
        super().__init__(max_batch_size=None, params=params)
        self.skip = frozenset(skip)

    def get_job_batch(self) -> Sequence[Sequence[str]]:
        """The jobs that are left."""
        batch = super().get_job_batch()
        return [job for number, job in enumerate(batch) if number not in self.skip]
