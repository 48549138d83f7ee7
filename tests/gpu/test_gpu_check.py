"""`make gpu-check`: its settings are those of conf/, it runs without Hydra, documents show it."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from conftest import CHECKOUT, composed, env

from benchmarks import scaling, timing
from benchmarks.gpu_cases import MODELS, Case
from sascli.training import run as training_run

CPU = torch.device("cpu")
LINES = {
    "published": "model=mnist",
    "rows": "model=rnn_rows",
    "task": "model=multisensory",
    "copi": "experiment=copi_mnist",
}
REHEARSAL = """
import runpy, sys
for name in ("hydra", "omegaconf", "antlr4", "submitit"):
    sys.modules[name] = None
sys.argv = ["gpu", "--rehearse", "--out", sys.argv[1]]
runpy.run_module("benchmarks.gpu", run_name="__main__")
"""


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The modules of docs/ can be imported."""
    monkeypatch.syspath_prepend(str(CHECKOUT / "docs"))
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "blocks"]:
        sys.modules.pop(name)


@pytest.mark.parametrize("model", MODELS)
def test_cases_have_the_settings_of_conf(model: str) -> None:
    case = Case(model, "copi" if model == "copi" else "gbp", images=60)
    ours, data = case.config, case.data(CPU)
    conf = composed("train", *LINES[model].split())
    same = {"rule": ours.rule, "batch_size": ours.batch_size} if model == "copi" else {}
    for name in ("depth", "width", "batch_size", "batches", "stop_loss", "stop_after", "rule"):
        assert getattr(ours, name) == (same.get(name) or getattr(conf, name)), name
    assert training_run.setup(ours, data) == training_run.setup(conf, data)
    networks = [
        training_run.rule_maker(config, data)(training_run.setup(config, data), CPU).network
        for config in (ours, replace(conf, precision="float32"))
    ]
    assert networks[0].widths == networks[1].widths
    assert getattr(networks[0], "dynamics", None) == getattr(networks[1], "dynamics", None)
    assert [*getattr(networks[0], "frozen", ())] == [*getattr(networks[1], "frozen", ())]


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU: run make gpu-check")
def test_rehearsal_without_hydra_agrees_everywhere(tmp_path: Path, blocks: None) -> None:
    command = [sys.executable, "-c", REHEARSAL, str(tmp_path)]
    done = subprocess.run(command, cwd=CHECKOUT, env=env(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    table = pd.read_csv(tmp_path / "gpu-pretended.csv")
    assert table["agrees"].dropna().all() and table["agrees"].notna().sum() == 13
    assert {"s an epoch", "bytes a replica", "largest population"} < set(table["what"])

    from blocks import speed
    from blocks.source import Source

    section = speed.gpu(Source(tmp_path, str(tmp_path), tmp_path))
    assert section.startswith("## On a GPU") and "13 of 13 checks agree" in section
    assert section.count("\n| ") == 16 + 2


def test_documents_without_a_measured_gpu_have_no_section(tmp_path: Path, blocks: None) -> None:
    from blocks import speed
    from blocks.source import Source

    assert speed.gpu(Source(tmp_path, str(tmp_path), tmp_path)) == ""
    measured = list((CHECKOUT / "docs/data/bench").glob("gpu-*.csv"))
    document = (CHECKOUT / "docs/performance.md").read_text()
    assert ("## On a GPU" in document) is bool(measured)


def test_times_of_a_gpu_do_not_replace_those_of_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "some GPU")
    table = pd.DataFrame({"ms": [1.0]})
    on_cpu = timing.report("step", table)
    on_gpu = timing.report("step", table, torch.device("cuda", 1))
    assert on_cpu == Path("outputs/bench/step.csv") != on_gpu
    assert "some GPU" in on_gpu.read_text() and "some GPU" not in on_cpu.read_text()
    arguments = ["scaling", "--device", "cuda", "--out", "docs/figures/performance"]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit):
        scaling.main()
    assert "leave it out with --device cuda" in capsys.readouterr().err


def test_clock_waits_for_the_device_that_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    timing.in_turn({"a": lambda: None}, 1, "a")
    assert not waited
    timing.in_turn({"a": lambda: None}, 1, "a", device=torch.device("cuda", 1))
    assert set(waited) == {torch.device("cuda", 1)}
