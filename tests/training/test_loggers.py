"""Loggers: what they show are the numbers of a run's own tables."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import Making

from sascli import runs
from sascli.errors import UserError
from sascli.training import loggers
from sascli.training import run as training_run
from sascli.training.signals import Stopped


def assert_shown(scalars: dict[str, list[tuple[int, float]]], directory: Path) -> None:
    """The scalars are the cells of history.csv; the last sparsities are those of layers.csv."""
    history = pd.read_csv(directory / "history.csv")
    for name in ("test_accuracy", "train_loss"):
        for replica, rows in history.groupby("replica"):
            shown = scalars[f"{name}/replica {replica}"]
            assert [epoch for epoch, _ in shown] == rows["epoch"].tolist()
            assert [value for _, value in shown] == pytest.approx(rows[name].tolist())
    for row in pd.read_csv(directory / "layers.csv").itertuples():
        shown = scalars[f"sparsity_{row.layer}/replica {row.replica}"]
        assert len(shown) == history["epoch"].nunique()
        assert shown[-1][1] == pytest.approx(row.sparsity, abs=1e-6)


@pytest.mark.filterwarnings("ignore")  # of tensorboard
def test_tensorboard_shows_the_tables(tiny: Making) -> None:
    pytest.importorskip("tensorboard")
    directory = training_run.run(tiny(replicas=2, logger="tensorboard"))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(directory / "tensorboard"))
    events.Reload()
    tags = events.Tags()
    scalars = {
        name: [(event.step, event.value) for event in events.Scalars(name)]
        for name in tags["scalars"]
    }
    assert_shown(scalars, directory)
    texts = {
        name.removesuffix("/text_summary"): events.Tensors(name)[0].tensor_proto.string_val[0]
        for name in tags["tensors"]
    }
    assert set(texts) == {"settings", *(path.name for path in directory.glob("*.csv"))}
    assert b'"train_size": 120' in texts["settings"]
    lines = texts["layers.csv"].decode().splitlines()
    assert [line.strip() for line in lines] == (directory / "layers.csv").read_text().splitlines()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of mlflow and sqlalchemy
def test_mlflow_shows_the_tables_of_a_resumed_run_once(tiny: Making, signal_in: Any) -> None:
    mlflow = pytest.importorskip("mlflow")
    config = tiny(replicas=2, logger="mlflow")
    signal_in(2)
    with pytest.raises(Stopped):
        training_run.run(config)
    place = Path(config.outputs).resolve() / "mlflow"
    client = mlflow.MlflowClient(f"sqlite:///{place}/mlflow.db")
    number = client.get_experiment_by_name("sas").experiment_id
    (run,) = client.search_runs([number])
    assert run.info.status == "FAILED" and run.data.params["train_size"] == "120"
    config.resume = True
    directory = training_run.run(config)
    (run,) = client.search_runs([number])
    assert run.info.status == "FINISHED"
    histories = {
        name: client.get_metric_history(run.info.run_id, name) for name in run.data.metrics
    }
    scalars = {name: [(m.step, m.value) for m in values] for name, values in histories.items()}
    assert_shown(scalars, directory)
    left = {path.name for path in (place / "artifacts").rglob("*.csv")}
    assert left == {path.name for path in directory.glob("*.csv")}


def test_missing_logger_is_named_before_any_work(
    tiny: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in loggers.PACKAGES:
        monkeypatch.setitem(loggers.PACKAGES, name, ("no_such_package",))
        config = tiny(logger=name)
        with pytest.raises(UserError, match=rf"pip install 'sas-credit\[{name}\]'"):
            training_run.run(config)
        assert not Path(config.outputs).exists()


def test_run_is_the_same_with_and_without_a_logger(
    tiny: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[int] = []

    class Recorder:
        """Counts epochs."""

        def __init__(self, *_: Any) -> None: ...

        def __enter__(self) -> Any:
            return lambda epoch, values: shown.append(epoch)

        def __exit__(self, *_: Any) -> None: ...

    plain = training_run.run(tiny())
    monkeypatch.setitem(loggers.PACKAGES, "tensorboard", ())
    monkeypatch.setattr(loggers, "tensorboard", Recorder)
    logged = training_run.run(tiny(logger="tensorboard", resume=False))
    assert shown == [1, 2, 3, 4]
    for name in ("layers", "ensemble", "histograms"):
        first, second = (runs.read_table(path / f"{name}.csv") for path in (plain, logged))
        pd.testing.assert_frame_equal(first, second, check_exact=True)
