"""When checkpoints are due, on a clock that the test moves."""

import pytest
from conftest import Making

from sascli.training import loop, pace
from sascli.training import run as training_run
from sascli.training.pace import FRACTION, LONGEST, SPEED, Pace


class Clock:
    """Time that passes only when the test says so."""

    now = 100.0

    def monotonic(self) -> float:
        """The time in seconds."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of `Pace`."""
    clock = Clock()
    monkeypatch.setattr(pace, "time", clock)
    return clock


@pytest.mark.parametrize(("cost", "epoch"), [(0.5, 1.0), (2.0, 7.0), (3.0, 45.0), (0.01, 30.0)])
def test_checkpoints_take_at_most_a_twentieth_of_the_time(
    clock: Clock, cost: float, epoch: float
) -> None:
    checkpoints, start, written = Pace(None, round(cost * SPEED)), clock.now, []
    for number in range(1, 201):
        clock.now += epoch
        if checkpoints.due(number):
            with checkpoints.measured():
                clock.now += cost
            written.append(clock.now)
    assert len(written) * cost <= 0.05 * (clock.now - start)
    gaps = [after - before for before, after in zip([start, *written], written, strict=False)]
    assert max(gaps) <= cost / FRACTION + epoch + cost


@pytest.mark.parametrize(("epoch", "every"), [(60.0, 10), (700.0, 1)])
def test_a_checkpoint_is_written_every_ten_minutes_or_epoch(
    clock: Clock, epoch: float, every: int
) -> None:
    checkpoints, due = Pace(None, round(1000 * SPEED)), []
    for number in range(1, 21):
        clock.now += epoch
        if checkpoints.due(number):
            due.append(number)
            with checkpoints.measured():
                clock.now += 1000.0
    assert LONGEST == 600 and due == list(range(every, 21, every))


def test_set_interval_counts_epochs(clock: Clock) -> None:
    checkpoints = Pace(3, 0)
    clock.now += 10_000
    assert [epoch for epoch in range(1, 10) if checkpoints.due(epoch)] == [3, 6, 9]


def test_expensive_checkpoint_is_written_once_at_the_end(
    tiny: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, epochs = loop.save, list[int]()

    def counted(population: loop.Population, rule: loop.Rule, log: loop.Log) -> None:
        epochs.append(log.epoch)
        save(population, rule, log)

    monkeypatch.setattr(loop, "save", counted)
    monkeypatch.setattr(pace, "SPEED", 1.0)  # byte per second: ten minutes are nearer
    training_run.run(tiny(checkpoint_every=None))
    assert epochs == [4]
    epochs.clear()
    training_run.run(tiny(checkpoint_every=3))
    assert epochs == [3, 4]
