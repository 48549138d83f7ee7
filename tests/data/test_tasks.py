"""The multisensory task in the place of a data set: its trials, batches and right choices."""

import pytest
import torch
from conftest import composed
from torch import Tensor

from sascli.core.streams import streams
from sascli.data.multisensory import Timing, training_trials
from sascli.data.tasks import REPEATS, Task, multisensory
from sascli.errors import UserError
from sascli.training import run as training_run

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def task() -> Task:
    """The task in the paper's setting."""
    return multisensory(composed("train", "model=multisensory"), CPU)


def test_epoch_has_24_conditions_and_6_catch_trials(task: Task) -> None:
    clean = training_trials(Timing())
    ((x, y),) = task.batches([3, 4], 1, 30)
    assert x.shape == (2, 30, 125 * 5) and y.shape == (2, 30, 125, 2)
    order = torch.randperm(30, generator=streams([4], "order", 1)[0])
    assert torch.equal(y[1].nan_to_num(-1), clean.y[order].nan_to_num(-1))
    noise = x[1] - clean.inputs.flatten(1)[order]
    assert abs(noise.mean()) < 5e-4 and abs(noise.std() / (0.01 * 10**0.5) - 1) < 0.02
    assert not torch.equal(next(task.batches([4], 2, 30))[0].sort(1)[0], x[1:].sort(1)[0])
    assert torch.equal(next(task.batches([4], 1, 30))[0], x[1:])


def test_smaller_batches(task: Task) -> None:
    assert [x.shape[1] for x, _ in task.batches([0], 1, 8)] == [8, 8, 8, 6]
    assert [x.shape[1] for x, _ in task.batches([0], 1, 8, 2)] == [8, 8]


def test_choice_is_read_at_the_end_of_the_decision(task: Task) -> None:
    assert task.test_x.shape == (24 * REPEATS, 625) and task.classes == ("high", "low")
    assert task.test_y.bincount().tolist() == [12 * REPEATS] * 2
    assert task.decided == 70 - 1

    def outputs(x: Tensor) -> Tensor:
        """The positive channels against the negative, at one step only."""
        y = torch.zeros(2, len(x), 125, 2)
        stimulus = x.unflatten(1, (125, 5))[:, 10:55].mean(1)
        y[0, :, 69, 0] = (stimulus[:, :2] - stimulus[:, 2:4]).sum(1)
        y[1] = -y[0]
        return y

    assert task.accuracy(outputs).tolist() == [1, 0]


def test_time_step_is_that_of_the_model() -> None:
    fine = multisensory(composed("train", "model=multisensory", "model.dt=10"), CPU)
    assert fine.timing.alpha == 0.1 and fine.train_x.shape == (30, 250 * 5)
    assert (
        training_run.load_data(composed("train", "model=multisensory"), CPU).name == "multisensory"
    )


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("train_size=10", "has 30 trials: remove train_size"),
        ("test_size=10", "generates its trials: remove data.split and test_size"),
        ("data.split=validation", "generates its trials"),
        ("model.dt=200", "the time step must be in .0, tau = 100 ms., not 200"),
        ("model.tau=4000", None),
    ],
)
def test_image_settings_and_invalid_times_raise(word: str, message: str | None) -> None:
    config = composed("train", "model=multisensory", word)
    if message is None:
        assert multisensory(config, CPU).timing.tau == 4000
        return
    with pytest.raises(UserError, match=message):
        multisensory(config, CPU)
