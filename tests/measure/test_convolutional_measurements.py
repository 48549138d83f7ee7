"""The measurements of a convolutional run: all of them, or a plain refusal."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import tables
from sklearn.metrics import accuracy_score

from sascli import runs
from sascli.analysis.sparse import dense_bytes, from_bytes, without_dead
from sascli.cli import main
from sascli.config import Prune, Tune
from sascli.core.convolutional import Convolutional
from sascli.measure.prune import prune
from sascli.measure.run import TrainedRun

MODEL = ["model=digits_conv", "width=[4,5,6]", "train_size=400", "test_size=100"]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of two seeds, called mine."""
    folder = tmp_path_factory.mktemp("outputs")
    words = [*MODEL, "epochs=4", "lr=0.2", "seeds=[3,8]", "threads=1", "eval.samples=1"]
    assert main(["train", *words, "name=mine", f"outputs={folder}"]) == 0
    return folder


def test_pruned_networks_are_those_of_their_files(outputs: Path) -> None:
    run = TrainedRun(runs.locate("mine", outputs), torch.device("cpu"))
    network = run.network
    assert isinstance(network, Convolutional)
    result = prune(run, Prune(keep=[0.6, 0.3], threshold=[1.0], tune=Tune(1)))
    table = result["pruning"]
    assert isinstance(table, pd.DataFrame) and len(table) == 2 * (2 + 2 * 3 * 2 + 2)
    assert table["seconds"].isna().all()
    assert (table["n_neurons"] <= 15).all()
    for row in table[table["format"] == "csr"].itertuples():
        content = result[str(row.file)]
        assert isinstance(content, bytes) and len(content) == row.bytes
        matrices = [matrix.toarray() for matrix in from_bytes(content)]
        assert sum(np.count_nonzero(w) for w in matrices) == row.n_weights

        def layer(number: int, a: torch.Tensor, matrices: list[np.ndarray] = matrices) -> object:
            return a @ torch.from_numpy(matrices[number]).T

        labels = network.propagate(run.data.test_x.unsqueeze(0), layer)[0].argmax(-1)  # type: ignore[arg-type]
        assert accuracy_score(run.data.test_y, labels) == row.test_accuracy
    unpruned = table[table["criterion"] == "none"]
    mean = run.data.accuracy(lambda x: network.run(network.mean(), x)).tolist()
    assert unpruned[unpruned["format"] == "csr"]["test_accuracy"].tolist() == mean


def test_dead_channels_are_removed_with_all_their_taps() -> None:
    rng = np.random.default_rng(0)
    first, second, last = (rng.normal(size=shape) for shape in ((3, 4), (5, 12), (2, 20)))
    first[1] = 0  # no input reaches channel 1
    last[:, 3::5] = 0  # no output uses channel 3
    small = without_dead([first, second, last], channels=1)
    assert [w.shape for w in small] == [(2, 4), (4, 8), (2, 16)]
    assert len(dense_bytes(small)) > 0
    taps = second.reshape(5, 4, 3)[:, :, [0, 2]].reshape(5, 8)
    assert np.array_equal(small[1], taps[[0, 1, 2, 4]])


@pytest.mark.parametrize(
    "line",
    [
        "perturb layer=all samples=1",
        "entropy estimator=[mixed]",
        pytest.param("evaluate samples=2", marks=pytest.mark.slow),
        pytest.param("prune keep=[0.5] tune.epochs=1", marks=pytest.mark.slow),
    ],
)
def test_measurement_of_a_convolutional_run(line: str, outputs: Path) -> None:
    command, *words = line.split()
    assert main([command, *words, "run=mine", f"outputs={outputs}", "threads=1"]) == 0
    directory = max((outputs / command / "mine").iterdir())
    table = tables(directory)["evaluation" if command == "evaluate" else table_of(command)]
    if command in ("perturb", "entropy"):
        assert sorted(table["layer"].unique()) == [1, 2, 3, 4]
    assert set(table["seed"]) == {3, 8}


def table_of(command: str) -> str:
    return {"perturb": "perturbation", "prune": "pruning"}.get(command, command)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("selectivity", "needs one of model=multisensory"),
        ("features", "which does not decorrelate"),
        ("perturb layer=5", "layer must be 1 to 4, not 5"),
    ],
)
def test_measurements_without_sense_are_refused(
    line: str, message: str, outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command, *words = line.split()
    assert main([command, *words, "run=mine", f"outputs={outputs}"]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_tasks_in_sequence_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["continual", *MODEL[:1], f"outputs={tmp_path}"]) == 2
    assert "only feed-forward networks learn tasks" in " ".join(capsys.readouterr().err.split())
