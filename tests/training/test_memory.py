"""Sizes that memory cannot hold are refused by their estimate, before anything is allocated."""

import os
from typing import Any

import pytest
import torch
from conftest import Making, composed

from sascli.config import Train, check, population, replica_count, seed_list
from sascli.core.network import FeedForward
from sascli.errors import UserError
from sascli.training import memory
from sascli.training import run as training_run


def refused(config: Train) -> str:
    """The error of a run."""
    with pytest.raises(UserError) as raised:
        training_run.run(config)
    return str(raised.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"replicas": 10**9}, "1000000000 replicas would take at least"),
        ({"lr": {"default": [0.1] * 1000}, "replicas": 10**6}, "1000000000 replicas would"),
        ({"width": 10**8}, "one replica would take at least 240 PB of memory, cpu has"),
    ],
)
def test_too_large_a_run_is_refused_with_its_estimate(
    changes: dict[str, Any], message: str, tiny: Making
) -> None:
    text = refused(tiny(device="cpu", **changes))
    assert message in text and "lower replicas, width, depth or batch_size" in text


def test_too_many_layers_and_seeds_are_refused(tiny: Making) -> None:
    with pytest.raises(UserError, match="depth=1000000000 is above 10000"):
        check(tiny(depth=10**9))
    with pytest.raises(UserError, match="seeds=1000000000 is above 10000000"):
        seed_list(10**9)


@pytest.mark.parametrize("model", ["digits", "rnn_digits", "digits_conv"])
def test_estimate_of_the_parameters_is_exact(
    model: str, tiny: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = composed("train", f"model={model}", "device=cpu", "replicas=3", "train_size=50")
    data = training_run.load_data(config, torch.device("cpu"))
    setup = training_run.setup(config, data)
    network = training_run.rule_maker(config, data)(setup, torch.device("cpu")).network
    parameters, least = memory.bytes_per_replica(config, data, 50)
    assert isinstance(network, FeedForward)
    assert 3 * parameters == network.all.nbytes and least > 2 * parameters
    monkeypatch.setattr(memory, "total_memory", lambda device: 3 * least)
    memory.check_fits(config, data, 50)
    monkeypatch.setattr(memory, "total_memory", lambda device: 3 * least - 1)
    with pytest.raises(UserError, match="3 replicas would take"):
        memory.check_fits(config, data, 50)


def test_replicas_are_counted_without_being_listed(tiny: Making) -> None:
    config = tiny(lr={"default": [0.1, 0.2]}, decay={"default": [0, 1e-4, 1]}, replicas=4)
    assert replica_count(config) == len(population(config)) == 24
    assert replica_count(tiny(seeds=[3, 9])) == 2


def test_memory_of_a_container_counts() -> None:
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < memory.total_memory(torch.device("cpu")) <= pages


def test_more_threads_than_cores_warns(capsys: pytest.CaptureFixture[str]) -> None:
    before, cores = torch.get_num_threads(), os.cpu_count()
    try:
        training_run.set_threads(10**6 + 1)
        assert torch.get_num_threads() == cores
    finally:
        torch.set_num_threads(before)
    warning = f"warning: threads=1000001, but there are {cores} cores: using {cores}\n"
    assert capsys.readouterr().out == warning
