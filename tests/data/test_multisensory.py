"""The multisensory integration task."""

import math

import pytest
import torch

from sascli.core.streams import streams
from sascli.data.multisensory import (
    Timing,
    blocked,
    drive,
    noisy,
    training_trials,
    trials,
)
from sascli.errors import UserError


def test_the_training_batch_is_every_condition_and_six_catch_trials() -> None:
    batch = training_trials()
    assert batch.inputs.shape == (30, 125, 5)
    assert batch.y.shape == (30, 125, 2)
    names = [(m, f) for m, f in zip(batch.modality, batch.frequency.tolist(), strict=True) if m]
    assert sorted(names) == sorted((m, f) for m in ("v", "a", "va") for f in range(9, 17))
    assert batch.modality[24:] == ("",) * 6
    assert batch.frequency[24:].isnan().all()


@pytest.mark.parametrize(
    ("modality", "driven", "quiet"),
    [("v", [0, 2], [1, 3]), ("a", [1, 3], [0, 2]), ("va", [0, 1, 2, 3], [])],
)
def test_a_stimulus_adds_to_the_baseline_of_its_channels(
    modality: str, driven: list[int], quiet: list[int]
) -> None:
    trial = trials([(modality, 11)], Timing())
    x = trial.inputs[0]
    assert x.shape == (70, 5)  # 100 + 1000 + 300 ms
    stimulus = x[5:55]
    values = {0: 0.4 + 0.8 * 2 / 7, 2: 0.4 + 0.8 * 5 / 7}
    for channel in driven:
        want = 0.2 + values[channel // 2 * 2]
        assert stimulus[:, channel].tolist() == pytest.approx([want] * 50)
    assert torch.equal(stimulus[:, quiet], torch.full_like(stimulus[:, quiet], 0.2))
    assert (x[:5] == 0.2).all()
    assert (x[55:, :4] == 0.2).all()
    assert x[5:, 4].tolist() == pytest.approx([1.2] * 65)


def test_channels_mirror_each_other_about_the_boundary() -> None:
    assert drive(9, positive=True) == pytest.approx(0.4)
    assert drive(16, positive=True) == pytest.approx(1.2)
    for f in (9, 12.5, 14):
        assert drive(f, positive=True) == pytest.approx(drive(25 - f, positive=False))


@pytest.mark.parametrize(("f", "right"), [(9, 1), (12, 1), (13, 0), (16, 0)])
def test_targets_in_fixation_and_decision_only(f: float, right: int) -> None:
    y = trials([("va", f)], Timing()).y[0]
    assert (y[:5] == 0.2).all()
    assert y[5:55].isnan().all()
    assert (y[55:70, right] == 1).all()
    assert (y[55:70, 1 - right] == 0.2).all()


def test_catch_trials_and_padding() -> None:
    batch = training_trials()
    assert (batch.y[24:] == 0.2).all()
    assert (batch.inputs[24:] == 0.2).all()
    assert batch.y[:24, 70:].isnan().all()
    assert (batch.inputs[:24, 70:] == 0.2).all()
    assert not batch.y[:24, 55:70].isnan().any()


def test_noise_has_its_size_and_depends_on_the_replica_only() -> None:
    batch = training_trials(dtype=torch.float64)
    clean = batch.inputs.flatten(1).expand(2, -1, -1)
    x = noisy(clean, batch.timing, streams([1, 2], "input"))
    assert x.shape == (2, 30, 125 * 5)
    assert torch.equal(x[1:], noisy(clean[1:], batch.timing, streams([2], "input")))
    noise = x - clean
    count = noise[0].numel()
    amplitude = 5 * math.sqrt(2 / 5) * 0.01  # (1 / alpha) sqrt(2 alpha) 0.01
    for values in noise:
        assert abs(values.mean()) < 4 * amplitude / math.sqrt(count)
        assert abs(values.std() / amplitude - 1) < 4 / math.sqrt(2 * count)
    assert abs((noise[0] * noise[1]).mean()) < 4 * amplitude**2 / math.sqrt(count)


def test_the_published_timing_of_tests() -> None:
    timing = Timing(dt=0.5, fixation=500.0)
    trial = trials([("v", 9.0), ("a", 15.5)], timing)
    assert trial.inputs.shape == (2, 3600, 5)
    assert timing.alpha == 0.005
    assert timing.ends == (1000, 3000, 3600)
    assert (trial.y[1, 3000:, 0] == 1).all()


def test_blocked_inputs_are_thirds() -> None:
    where = blocked(150)
    assert where.shape == (150, 5)
    assert where[:50].tolist() == [[True, False, True, False, False]] * 50
    assert where[50:100].tolist() == [[False, True, False, True, False]] * 50
    assert where[100:].tolist() == [[True, True, True, True, False]] * 50


@pytest.mark.parametrize("f", [8.9, 16.5, -1, math.nan])
def test_frequencies_outside_the_range_raise(f: float) -> None:
    with pytest.raises(UserError, match="from 9 to 16"):
        trials([("v", f)], Timing())


def test_unknown_modality_raises() -> None:
    with pytest.raises(UserError, match="must be v, a, va, not 'vv'"):
        trials([("v", 9), ("vv", 9)], Timing())


def test_invalid_time_steps_raise() -> None:
    for dt in (0.0, -1.0, 101.0):
        with pytest.raises(UserError, match=r"\(0, tau = 100 ms\]"):
            Timing(dt=dt)
    assert Timing(dt=100.0).alpha == 1
    with pytest.raises(UserError, match="decision must be at least one time step"):
        Timing(decision=5.0)
