"""Any valid settings train, save, load and evaluate; all others are reported plainly."""

import math
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Making, tables
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sascli.analysis.ensemble import ensemble
from sascli.cli import main
from sascli.config import Init, Train, check
from sascli.data.accuracy import accuracy
from sascli.errors import UserError
from sascli.training import run as training_run
from sascli.training.checkpoint import load_network, load_state

PATIENT = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(autouse=True)
def denormals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep denormals, which a run flushes to 0 in its process and hypothesis needs."""
    torch.set_flush_denormal(False)
    monkeypatch.setattr(torch, "set_flush_denormal", lambda on: True)


@st.composite
def valid(draw: st.DrawFn) -> dict[str, Any]:
    """Settings of a run of two steps: each epoch is one batch."""
    depth = draw(st.integers(2, 6))
    train_size = draw(st.integers(1, 60))
    width = st.integers(1, 9)
    rule = draw(st.sampled_from(["gbp", "bp", "copi", "bp_decor"]))
    small = [0.0, 1e-4, 1e-3] if rule in ("copi", "bp_decor") else [0.0, 1e-3, 0.1]
    rates = st.sampled_from(small)
    return {
        "depth": depth,
        "width": draw(width | st.lists(width, min_size=depth - 2, max_size=depth - 2)),
        "train_size": train_size,
        "test_size": draw(st.integers(1, 40)),
        "batch_size": draw(st.integers(train_size, 100)),
        "rule": {"name": rule},
        "replicas": draw(st.integers(1, 3)),
        "seed": draw(st.integers(0, 2**31)),
        "precision": draw(st.sampled_from(["float32", "float64"])),
        "lr": {"default": draw(rates | st.lists(rates, min_size=1, max_size=2, unique=True))},
        "decay": {"default": draw(st.sampled_from([0.0, 1e-4, 0.5]))},
        "init": Init(
            m_var=draw(st.none() | st.floats(0, 2)),
            pi=draw(st.floats(0, 1)),
            xi_max=draw(st.floats(0, 1)),
        ),
        "epochs": 2,
    }


@pytest.mark.slow
@PATIENT
@given(changes=valid())
def test_valid_settings_train_save_load_and_evaluate(
    changes: dict[str, Any], tiny: Making
) -> None:
    with tempfile.TemporaryDirectory() as place:
        config: Train = tiny(**changes, outputs=place, checkpoint_every=1)
        check(config)
        directory = training_run.run(config)
        network, results = load_network(directory), tables(directory)
        assert network.all.dtype == getattr(torch, config.precision)
        assert network.all.isfinite().all()
        state = load_state(directory, "cpu")
        assert state is not None and state["epoch"] == 2
        data = training_run.load_data(config, torch.device("cpu"))
        mean_network = partial(network.run, network.mean()) if network.r else network.forward
        mean = accuracy(mean_network, data.test_x, data.test_y).tolist()
        assert results["history"].query("epoch == 2")["test_accuracy_mean"].tolist() == mean
        seeds = results["history"].query("epoch == 2")["seed"].tolist()
        sampled = ensemble(network, seeds, data.accuracy, config.eval.samples)
        assert sampled["test_error"].tolist() == results["ensemble"]["test_error"].tolist()
        resumed = training_run.run(replace(config, epochs=3, resume=str(directory)))
        assert resumed == directory and len(tables(resumed)["history"]) == 3 * len(seeds)


@st.composite
def invalid(draw: st.DrawFn) -> dict[str, Any]:
    """Settings of which exactly one is invalid."""
    negative, number = st.integers(-9, -1), st.floats(allow_nan=True, allow_infinity=True)
    beyond = number.filter(lambda x: not 0 <= x <= 1)
    below = number.filter(lambda x: not 0 <= x < math.inf)
    invalid_values: dict[str, st.SearchStrategy[Any]] = {
        "depth": st.integers(-5, 1),
        "width": negative | st.just(0) | st.lists(st.integers(1, 5), min_size=3, max_size=5),
        "train_size": st.integers(-5, 0) | st.integers(1298, 10**9) | st.floats() | st.text(),
        "test_size": st.integers(-5, 0) | st.integers(501, 10**9) | st.just("al"),
        "batch_size": st.integers(-5, 0),
        "epochs": st.integers(-5, 0),
        "replicas": st.integers(-5, 0),
        "checkpoint_every": st.integers(-5, 0),
        "snapshot_every": negative,
        "seed": negative,
        "seeds": st.just([]) | st.lists(negative, min_size=1) | st.just([1, 1]),
        "rule": st.fixed_dictionaries({"name": st.text(max_size=8)}),
        "precision": st.text(max_size=8),
        "device": st.sampled_from(["gpu", "cuda:99", "", "meta", "tpu"]),
        "lr": below | st.fixed_dictionaries({"default": below | st.text() | st.none()}),
        "decay": st.fixed_dictionaries({"default": below, "pi": below}),
        "init": st.builds(Init, pi=beyond)
        | st.builds(Init, xi_max=below)
        | st.builds(Init, m_var=below),
    }
    key = draw(st.sampled_from(sorted(invalid_values)))
    return {key: draw(invalid_values[key])}


@PATIENT
@given(changes=invalid())
def test_invalid_settings_are_reported_before_any_work(
    changes: dict[str, Any], tiny: Making
) -> None:
    with tempfile.TemporaryDirectory() as place:
        outputs = f"{place}/outputs"
        with pytest.raises(UserError) as caught:  # noqa: PT012 - each of the three may
            config = tiny(**changes, outputs=outputs)
            check(config)
            training_run.run(config)
        assert 10 < len(str(caught.value)) < 500
        assert not Path(outputs).exists()


@pytest.mark.slow
@settings(PATIENT, max_examples=100)
@given(
    key=st.sampled_from(
        ["depth", "width", "lr", "lr.pi", "rule", "model", "seeds", "resume", "init", "init.pi",
         "train_size", "precision", "threads", "experiment", "dept", "", "hydra.job", "outputs"]
    ),
    value=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
    | st.sampled_from(["[1,2", "{a:", "${x}", "${oc.env:NOPE}", "null", "1,2", "'", "=", "-1"]),
)  # fmt: skip
def test_any_word_is_valid_or_reported_in_one_line(
    key: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["train", f"{key}={value}", "--cfg", "job"])
    _, err = capsys.readouterr()
    assert code in (0, 2) and (err == "") == (code == 0)
    assert code == 0 or (err.startswith("sas: ") and err.count("\n") == 1)
