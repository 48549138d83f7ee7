"""Every setting of every rule and model is refused where it is typed, or changes the numbers."""

from functools import cache
from typing import Any

import pytest
import torch
from conftest import composed
from omegaconf import OmegaConf
from torch import Tensor

from sascli.analysis.ensemble import effective
from sascli.config import Train, check, plain, typed, without_effect
from sascli.config.describe import leaves, stored
from sascli.data import Data
from sascli.errors import UserError
from sascli.training import run as training_run
from sascli.training.loop import one_epoch

ALIKE = {
    "device", "threads", "precision", "capture", "outputs", "logger",
    "figures.width", "figures.format", "figures.font_size", "name", "resume", "seed", "replicas",
    "seeds",
    "model.name", "model.source", "model.network", "depth", "train_size", "test_size", "epochs",
    "batch_size", "batches", "checkpoint_every", "snapshot_every", "stop_loss", "stop_after",
    "data.split", "data.root", "eval.samples", "eval.mean_every", "rule.name", "rule.adam",
}  # fmt: skip
"""Settings that no rule uses otherwise than another does, or that tests/config covers."""
OTHERS: dict[str, Any] = {
    "width": 7,
    "lr": 0.02, "m": 0.07, "pi": 0.04, "xi": 0.08, "r": 0.06, "decay": 0.1,
    "in": 0.03, "rec": 0.04, "out": 0.05, "m_var": 0.3, "xi_max": 0.3,
    "name": "rmsprop", "beta1": 0.5, "beta2": 0.7, "eps": 1e-2, "eps_inside": True, "sgd": "sgd",
    "clip": 1e-3, "halve_every": 1, "halve": ["xi"], "halve_early": True,
    "image_size": 4, "grey": True, "n_in": 4, "dt": 0.5, "tau": 7.0, "sigma": 0.5, "start": 0.5,
    "prefactor": False, "loss": "half_per_step", "ordinary_inputs": True, "redraw": "step",
    "kernel": 2, "stride": 1,
    "credit": "fa", "decorrelation": "local", "decorrelation_epochs": 0,
    "gain": 30.0, "slope": 0.3,
}  # fmt: skip
"""Another value of each setting, by the last part of its key."""
SMALL = ("train_size=60", "test_size=20", "batch_size=20", "width=6", "epochs=2")
FAST = ["rule=gbp", "rule=bp", "rule=copi", "rule=bp_decor rule.adam=true"]
SLOW = [
    "rule=gbp optim=rmsprop",
    "rule=gbp optim=sgd",
    "rule=gbp optim.halve_every=1",
    "rule=copi lr.r=0",
    "rule=bp_decor",
    "rule=gbp model=rnn_digits optim.halve_every=1",
    "rule=gbp model=rnn_digits optim.halve_every=1 model.ordinary_inputs=true",
    "rule=bp model=rnn_digits optim.halve_every=1",
    "rule=gbp model=digits_conv",
    "rule=bp model=digits_conv",
]


@cache
def digits(config_words: str) -> Data:
    """The images of a base, read once."""
    return training_run.load_data(composed("train", *config_words.split(), *SMALL), CPU)


CPU = torch.device("cpu")


def numbers(config: Train, data: Data) -> list[Tensor]:
    """The parameters after training, and the outputs of an effective network."""
    setup = training_run.setup(config, data)
    rule = training_run.rule_maker(config, data)(setup, CPU)
    rule.initialise()
    for epoch in range(1, config.epochs + 1):
        one_epoch(data, rule, epoch)
    network = effective(rule.network, setup.seeds, 0, config.eval.redraw)
    return [rule.network.all, *rule.network.r, network(data.test_x)]


def close(before: Tensor, after: Tensor) -> bool:
    """Whether two results are the same to rounding.

    A rate of one layer makes that layer a group of its optimiser; processors round the last
    numbers of a vector differently, so that groups of other lengths differ in the last bit.
    """
    return before.shape == after.shape and torch.allclose(before, after, rtol=0, atol=1e-6)


def changed(config: Train, key: str, value: Any) -> Train:
    """The settings with another value of one."""
    tree: Any = OmegaConf.create(plain(config))
    OmegaConf.update(tree, stored(key, value), value)
    return typed(tree, Train)


@pytest.mark.parametrize(
    "base", [*FAST, *(pytest.param(base, marks=pytest.mark.slow) for base in SLOW)]
)
def test_setting_is_refused_exactly_where_it_changes_nothing(base: str) -> None:
    config, data = composed("train", *base.split(), *SMALL), digits(base)
    before, wrong = numbers(config, data), []
    for key, present in leaves(plain(config)):
        if key in ALIKE:
            continue
        value = OTHERS["sgd" if key == "optim.pi" else key.rpartition(".")[2]]
        if value == present:
            continue
        try:
            other = changed(config, key, value)
            check(other)
            after = numbers(other, data)
        except UserError:  # refused already
            continue
        idle = bool(without_effect([other], {key: value}))
        if idle and not all(map(close, before, after)):
            wrong.append(f"{key} changes the numbers")
        if not idle and before[0].shape == after[0].shape and all(map(torch.equal, before, after)):
            wrong.append(f"{key} changes nothing")
    assert not wrong
