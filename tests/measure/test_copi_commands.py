"""`sas decorrelation`, `sas features`, `sas compress` on trained runs; divergence."""

from pathlib import Path

import pandas as pd
import pytest
from conftest import composed, tables

from sascli import runs
from sascli.cli import main
from sascli.errors import DivergedError
from sascli.training import loop
from sascli.training import run as training_run
from sascli.training.checkpoint import load_network

NAME = "digits-copi-L4-T300"
SMALL = "experiment=copi_digits epochs=3 train_size=300 test_size=80 threads=1 device=cpu"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished COPI run of two seeds, and one of gBP."""
    outputs = tmp_path_factory.mktemp("copi")
    config = composed("train", *SMALL.split(), "replicas=2", "seed=4", f"outputs={outputs}")
    training_run.run(config)
    gbp = "epochs=1 train_size=60 test_size=40 width=4 threads=1 name=gbp"
    training_run.run(composed("train", *gbp.split(), f"outputs={outputs}"))
    return outputs


@pytest.fixture
def outputs(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The outputs of both runs; any further training fails the test."""
    monkeypatch.setattr(loop, "train", lambda *_: pytest.fail("trained"))
    return trained


def measured(command: str, outputs: Path, *words: str) -> Path:
    """Run a command on the COPI run; the newest directory that it leaves."""
    assert main([command, f"outputs={outputs}", f"run={NAME}", "threads=1", *words]) == 0
    return sorted((outputs / command).glob("*/v*"))[-1]


def test_decorrelation_has_every_epoch_and_the_images(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = measured("decorrelation", outputs, "images=3", "replica=1")
    assert (directory.parent.name, directory.name) == (NAME, "v001")
    left = ["decorrelated", "decorrelation"]
    wanted = [f"{name}.csv" for name in left]
    wanted += [f"{name}.{kind}" for name in reversed(left) for kind in ("pdf", "png")]
    assert capsys.readouterr().out.split() == [str(directory / name) for name in wanted]
    results = tables(directory)
    table = results["decorrelation"]
    assert len(table) == 2 * 4 * 3 and set(table["epoch"]) == {0, 1, 2, 3}
    start = table[table["epoch"] == 0]
    assert (start["before"] == start["after"]).all()  # R is the identity
    end = table[table["epoch"] == 3]
    assert (end["after"] < end["before"]).all()
    assert len(results["decorrelated"]) == 3 * 3 * 64
    about = runs.manifest_of(directory)
    assert (about["kind"], about["rule"], about["seeds"]) == ("decorrelation", "copi", [4, 5])


def test_features_of_units_and_of_the_last_hidden_layer(outputs: Path) -> None:
    named = measured("features", outputs, "layer=1", "unit=[2,0]", "images=50", "name=named")
    table = tables(named)["features"]
    assert list(dict.fromkeys(table["unit"])) == [2, 0] and set(table["layer"]) == {1}
    usual = tables(measured("features", outputs, "name=usual"))["features"]
    assert set(usual["layer"]) == {2} and list(dict.fromkeys(usual["unit"])) == list(range(16))
    assert len(usual) == 16 * 64


def test_compression_by_no_layer_has_the_run_accuracy(outputs: Path) -> None:
    directory = measured("compress", outputs, "images=all")
    table = tables(directory)["compression"].set_index(["part", "k", "seed"])["test_accuracy"]
    run = outputs / "train" / NAME / "v001"
    history = tables(run)["history"].query("epoch == 3").set_index("seed")["test_accuracy"]
    for part in ("first", "last"):
        assert table[part][0].to_dict() == pytest.approx(history.to_dict())
    assert (directory / "compression.png").stat().st_size > 5_000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("decorrelation run=gbp", "rule=gbp, which does not decorrelate"),
        ("features run=gbp", "`sas train experiment=copi_digits` makes a run that does"),
        ("compress run=gbp", "which does not decorrelate"),
        ("decorrelation images=0", "images must lie in [1, 50], not 0"),
        ("decorrelation images=51", "images must lie in [1, 50], not 51"),
        ("decorrelation epsilon=0", "epsilon must be above 0, not 0"),
        ("decorrelation replica=2", "replica must be 0 to 1, not 2"),
        ("features layer=4", "layer must be 1 to 3, not 4"),
        ("features layer=0", "layer must be at least 1, not 0"),
        ("features unit=30", "unit must be 0 to 29, not 30"),
        ("features unit=[0,first]", "unit must be a whole number >= 0, not [0, 'first']"),
        ("features images=0", "images must be a whole number >= 1 or 'all', not 0"),
        ("compress images=some", "images must be a whole number >= 1 or 'all', not 'some'"),
        ("compress run=nothing", "there is no finished run 'nothing'"),
    ],
)
def test_invalid_settings(
    words: str, message: str, outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command, *rest = words.split()
    run = [] if any(word.startswith("run=") for word in rest) else [f"run={NAME}"]
    before = set(outputs.rglob("*"))
    assert main([command, f"outputs={outputs}", *run, *rest]) == 2
    assert message in capsys.readouterr().err
    assert set(outputs.rglob("*")) == before


def test_divergence_is_recorded_with_its_epoch(tmp_path: Path) -> None:
    config = composed("train", *SMALL.split(), "lr.m=1e3", f"outputs={tmp_path}")
    with pytest.raises(DivergedError, match="diverged in epoch 2: .* lower lr") as raised:
        training_run.run(config)
    (directory,) = tmp_path.glob("train/*/*")
    about = runs.manifest_of(directory)
    assert raised.value.epoch == 2
    assert (about["status"], about["diverged"]) == ("failed", 2)


def test_decorrelated_layers_use_the_r_of_the_network(outputs: Path) -> None:
    from sascli.core.copi import Decorrelated

    network = load_network(NAME, outputs=outputs)
    layers = Decorrelated(network, network.slope)
    assert all(a is b for a, b in zip(layers.r, network.r, strict=True))
    metrics = pd.read_csv(outputs / "train" / NAME / "v001/metrics.csv")
    assert set(metrics["name"]) == {"correlation", "correlation_before"}
