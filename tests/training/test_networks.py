"""The network that settings choose: its sizes, its time, what is frozen, where m begins."""

from typing import Any

import pytest
import torch
from conftest import composed

from sascli.config import Train
from sascli.core.network import FeedForward
from sascli.core.recurrent import Dynamics, Recurrent
from sascli.data import Data
from sascli.data.multisensory import blocked
from sascli.errors import UserError
from sascli.training import run as training_run
from sascli.training.networks import initial_variances, network_maker

CPU = torch.device("cpu")


def images(height: int, width: int) -> Data:
    """Three images of ten classes."""
    x, y = torch.zeros(3, height * width), torch.zeros(3, dtype=torch.long)
    classes = tuple("0123456789")
    return Data("made up", "sha256:0", classes, (1, height, width), x, y, x, y)


def made(data: Data | None = None, *words: str) -> tuple[Any, Train, Data]:
    """The network of a command line, its settings and its data."""
    config = composed("train", *words)
    data = training_run.load_data(config, CPU) if data is None else data
    return network_maker(config, data)(2, CPU), config, data


@pytest.mark.parametrize(
    ("words", "widths", "time"),
    [
        (["model=rnn_rows"], [28, 100, 10], Dynamics(28, 0.1, 0.1)),
        (["model=rnn_pixels", "width=40"], [1, 40, 10], Dynamics(784, 0.1, 0.1)),
        (["model=rnn_rows", "model.n_in=56", "model.dt=10"], [56, 100, 10], Dynamics(14, 1, 0.1)),
        (["model=rnn_rows", "model.n_in=null"], [28, 100, 10], Dynamics(28, 0.1, 0.1)),
    ],
)
def test_network_for_images_in_sequence(
    words: list[str], widths: list[int], time: Dynamics
) -> None:
    network, config, data = made(images(28, 28), *words)
    assert isinstance(network, Recurrent) and network.replicas == 2
    assert (network.widths, network.dynamics) == (widths, time)
    ratio = widths[0] / widths[1]
    assert initial_variances(config, data) == [ratio, None, ratio]


def test_network_for_the_multisensory_task() -> None:
    network, config, data = made(None, "model=multisensory")
    assert network.widths == [5, 150, 2]
    assert network.dynamics == Dynamics(125, 0.2, 0.0, 0.15, True, loss="half_per_step")
    assert initial_variances(config, data) == [1 / 5, 1 / 150, 1 / 150]
    network.all.fill_(0.5)
    network.project_()
    w_in, w_rec, _ = network.layers
    where = blocked(150).expand(2, -1, -1)
    assert torch.equal(w_in.m, torch.where(where, 0.0, 0.5))
    assert torch.equal(w_in.pi, where.float()) and (w_in.xi == 0).all()
    assert (w_rec.pi == 0.5).all() and (w_rec.xi == 0.5).all()


def test_ordinary_inputs_freeze_pi_and_xi() -> None:
    for model, value in (("rnn_rows", 0.5), ("rnn_pixels", 0.0)):
        network, _, _ = made(images(28, 28), f"model={model}")
        network.all.fill_(0.5)
        network.project_()
        w_in = network.layers[0]
        assert (w_in.m == 0.5).all() and (w_in.pi == value).all() and (w_in.xi == value).all()


def test_feedforward_layers_share_one_variance() -> None:
    network, config, data = made(images(8, 8), "model=digits", "depth=5", "width=[7,6,5]")
    assert type(network) is FeedForward and network.widths == [64, 7, 6, 5, 10]
    assert initial_variances(config, data) == [2 / 64] * 4
    config.init.m_var = 0.25
    assert initial_variances(config, data) == [0.25] * 4


def test_variance_by_the_neurons_upstream() -> None:
    words = ["model=digits", "depth=5", "width=[7,6,5]", "init.m_var=fan_in"]
    _, config, data = made(images(8, 8), *words)
    assert initial_variances(config, data) == [2 / 64, 2 / 7, 2 / 6, 2 / 5]


def test_network_without_prefactor() -> None:
    network, _, _ = made(images(8, 8), "model=digits", "width=[7,6]", "model.prefactor=false")
    network.flat["m"].fill_(1.0)
    x = torch.ones(1, 64)
    assert (network(x) == 64 * 7 * 6).all()
    eps = network.draw_noise(1, torch.Generator().manual_seed(1))
    assert (network(x, [torch.zeros_like(noise) for noise in eps]) == 64 * 7 * 6).all()
    network.flat["xi"].fill_(0.5)
    torch.testing.assert_close(network(x, eps), network.gbp().logits(x, eps))


def test_variance_of_a_layer_overrides_the_default() -> None:
    words = ["model=rnn_rows", "init.m_var.rec=0.1", "init.m_var.out=identity"]
    _, config, data = made(images(28, 28), *words)
    assert initial_variances(config, data) == [0.28, 0.1, None]
    config.init.m_var = 0.25
    assert initial_variances(config, data) == [0.25] * 3


@pytest.mark.parametrize(
    ("data", "words", "message"),
    [
        (
            images(28, 28),
            ["model=rnn_rows", "model.n_in=30"],
            "784 pixels do not divide into steps",
        ),
        (None, ["model=multisensory", "model.n_in=25"], "multisensory has 5 inputs"),
    ],
)
def test_samples_that_do_not_divide_raise_an_error(
    data: Data | None, words: list[str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        made(data, *words)
