"""`sas entropy` and `sas perturb`: measurements of a trained run in versioned directories."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import pandas as pd
import pytest
import torch
from conftest import CIFAR_CLASSES, Making, paint, tables

from sascli import runs
from sascli.analysis.entropy import entropy_table
from sascli.analysis.perturbation import perturbation
from sascli.cli import main
from sascli.config import DataSettings, Model
from sascli.measure.run import TrainedRun
from sascli.training import loop
from sascli.training import run as training_run
from sascli.training.checkpoint import load_network

CLASSES = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
]


@pytest.fixture
def run(tiny: Making, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run of two seeds; any further training fails the test."""
    directory = training_run.run(tiny(seeds=[3, 8], lr={"default": 0.2}))
    monkeypatch.setattr(loop, "train", lambda *_: pytest.fail("trained"))
    return directory


def measured(command: str, outputs: Path, *words: str) -> Path:
    """Run a command; the newest directory that it leaves."""
    assert main([command, f"outputs={outputs}", "threads=1", *words]) == 0
    return sorted((outputs / command).glob("*/v*"))[-1]


def test_entropy_of_the_newest_run(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.iterdir()}
    directory = measured("entropy", tmp_path / "outputs")
    assert directory == tmp_path / "outputs/entropy/digits-gbp-L4-T120/v001"
    first, *others = capsys.readouterr().out.splitlines()
    assert first == f"{directory}/entropy.csv" and f"{directory}/entropy.png" in others
    expected = entropy_table(load_network(run), [3, 8], ["paper", "mixed"])
    table = tables(directory)["entropy"]
    names = table["layer"].map({1: "input", 2: "hidden", 3: "output"})
    assert list(table.pop("layer_name")) == list(names)
    pd.testing.assert_frame_equal(table, expected, check_exact=True)
    about = runs.manifest_of(directory)
    assert (about["kind"], about["run"], about["seeds"]) == ("entropy", str(run), [3, 8])
    assert about["data"] == runs.manifest_of(run)["data"] and about["status"] == "finished"
    assert {path: path.stat().st_mtime_ns for path in run.iterdir()} == before


@pytest.mark.parametrize("named", ["digits-gbp-L4-T120", "PATH", "latest", "."])
def test_run_is_a_path_a_name_or_latest(
    named: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run)
    words = [f"run={run if named == 'PATH' else named}", "estimator=[mixed]"]
    directory = measured("entropy", tmp_path / "outputs", *words)
    assert directory.parent.name == "digits-gbp-L4-T120"
    assert set(tables(directory)["entropy"]["estimator"]) == {"mixed"}


@pytest.mark.slow
def test_perturbation_of_selected_layers(run: Path, tmp_path: Path) -> None:
    words = ["layer=[1,3]", "kind=[vip_off,uip_on]", "fractions=[0,1]", "samples=2", "draw=1"]
    first = measured("perturb", tmp_path / "outputs", *words)
    assert (first.parent.name, first.name) == ("digits-gbp-L4-T120", "v001")
    table = tables(first)["perturbation"]
    assert len(table) == 2 * 2 * 2 * 2 * 2  # layers, kinds, fractions, samples, seeds
    of = TrainedRun(run, torch.device("cpu"))
    expected = perturbation(
        of.network, of.seeds, of.data.accuracy, layer=3,
        kinds=["vip_off", "uip_on"], fractions=[0.0, 1.0], samples=2, draw=1,
    )  # fmt: skip
    rows = table.query("layer == 3").reset_index(drop=True).drop(columns="layer_name")
    pd.testing.assert_frame_equal(rows, expected, check_exact=True)
    second = measured("perturb", tmp_path / "outputs", *words, "layer=all", "name=mine")
    assert (second.parent.name, second.name) == ("mine", "v001")
    assert set(tables(second)["perturbation"]["layer"]) == {1, 2, 3}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("perturb kind=[vip_of]", "there is no kind 'vip_of'; did you mean 'vip_off'?"),
        ("perturb layer=4", "layer must be 1 to 3, not 4"),
        ("perturb layer=0", "layer must be a whole number >= 1 or 'all', not 0"),
        ("perturb layer=first", "layer must be a whole number >= 1 or 'all', not 'first'"),
        ("perturb fractions=[0,1.5]", "fractions must lie in [0, 1]"),
        ("perturb samples=0", "samples must be at least 1"),
        ("perturb tolerance=-1", "tolerance must be at least 0, not -1.0"),
        ("perturb m_min=-1", "m_min must be at least 0, not -1.0"),
        ("perturb run=nothing", "there is no finished run 'nothing'"),
        ("entropy estimator=[mixd]", "there is no estimator 'mixd'; did you mean 'mixed'?"),
        ("entropy run=nothing", "there is no finished run 'nothing'"),
        ("entropy device=gpu", "device must be auto, cpu, cuda or cuda:N"),
    ],
)
def test_invalid_settings(
    words: str, message: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command, *rest = words.split()
    assert main([command, f"outputs={tmp_path}/outputs", *rest]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "outputs" / command).exists()


@pytest.mark.slow
def test_run_keeps_its_copy_of_the_images(tiny: Making, tmp_path: Path) -> None:
    def tree(name: str, value: int) -> None:
        for part, name_of_class in product(("train", "test"), CIFAR_CLASSES):
            paint(tmp_path / name / part / name_of_class / "0.png", value, size=(32, 32))

    def perturbed() -> pd.DataFrame:
        words = ["fractions=[0]", "samples=1", "layer=1", f"data.root={tmp_path}"]
        return tables(measured("perturb", tmp_path / "outputs", *words))["perturbation"]

    tree("cifar10-jpeg", 51)
    model = Model(name="cifar10", source="cifar10")
    settings = {"model": model, "train_size": "all", "test_size": "all", "batch_size": 10}
    config = tiny(**settings, data=DataSettings(root=str(tmp_path)))
    directory = training_run.run(config)
    before = perturbed()
    tree("cifar10-full", 255)
    pd.testing.assert_frame_equal(perturbed(), before, check_exact=True)
    training_run.run(replace(config, epochs=6, resume=str(directory)))  # refuses other images
    name = "cifar10 (class folders cifar10-jpeg)"
    assert TrainedRun(directory, torch.device("cpu")).data.name == name
    assert runs.manifest_of(directory)["data"]["name"] == name
    assert runs.manifest_of(training_run.run(config))["data"]["name"].endswith("cifar10-full)")


def test_damaged_weights_leave_no_directory(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = run / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-9])
    assert main(["entropy", f"outputs={tmp_path}/outputs"]) == 2
    assert "weights.safetensors cannot be read" in capsys.readouterr().err
    runs.describe(run, format=0)
    assert main(["entropy", f"outputs={tmp_path}/outputs", f"run={run}"]) == 2
    assert not (tmp_path / "outputs/entropy").exists()
