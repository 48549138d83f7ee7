"""Workers that share the points of a sweep or of a reproduction."""

import sys
import time
from collections.abc import Mapping
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
from conftest import assert_same_tables, composed, run_killed
from counting import Fault

from sascli import runs
from sascli.cli import main
from sascli.training import loop, workers
from sascli.training.population import Population, Trained
from sascli.training.progress import Part, Progress

TINY = "width=6 test_size=30 batch_size=30 threads=1 device=cpu epochs=6"
SWEEP = f"sweep-datasize depth=[3,4] train_size=[40,60,80] seeds=2 eval.samples=2 {TINY}"
FIGURES = (
    "reproduce credit model=digits preset=smoke preset.depths=[4] preset.sizes=[1] train_size=60"
)
FIGURES = f"{FIGURES} preset.deep_sizes=[1] seeds=1 {TINY}"


def work(line: str, worker: int, outputs: Path) -> None:
    """A worker's process, with the command line that the manifest records."""
    with pytest.MonkeyPatch.context() as patch:
        words = [*line.split(), f"worker={worker}", f"outputs={outputs}"]
        patch.setattr(sys, "argv", ["sas", *words])
        assert main() == 0


def work_beside_another(line: str, worker: int, outputs: Path) -> None:
    """A worker that trains nothing before two have started, so that none trains all points."""
    train = loop.train

    def waiting(population: Population, progress: Progress | Part) -> Trained:
        until = time.monotonic() + 60
        while len(list(outputs.glob(f"**/runs/*/{runs.MANIFEST}"))) < 2:
            assert time.monotonic() < until
            time.sleep(0.01)
        return train(population, progress)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "train", waiting)
        work(line, worker, outputs)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "where", "points"),
    [(SWEEP, "sweep-datasize/digits-gbp", 6), (FIGURES, "reproduce/credit/digits-smoke", 5)],
    ids=["sweep-datasize", "figures"],
)
def test_three_workers_make_the_tables_of_one_process(
    line: str, where: str, points: int, tmp_path: Path, forks: ForkServerContext
) -> None:
    alone, shared = (tmp_path / name for name in ("alone", "shared"))
    assert main([*line.split(), f"outputs={alone}"]) == 0
    workers = [forks.Process(target=work_beside_another, args=(line, n, shared)) for n in range(3)]
    for process in workers:
        process.start()
    for process in workers:
        process.join()
    assert [process.exitcode for process in workers] == [0, 0, 0]
    (one,), (other,) = ((root / where).glob("v*") for root in (alone, shared))
    assert_same_tables(one, other)
    assert runs.manifest_of(other)["status"] == "finished"
    trained = [runs.manifest_of(path.parent) for path in other.glob(f"runs/*/{runs.MANIFEST}")]
    assert len(trained) == points
    assert len({manifest["command"].split("worker=")[1] for manifest in trained}) > 1


@pytest.mark.slow
def test_points_of_killed_workers_are_finished(
    tmp_path: Path, forks: ForkServerContext, fault: Fault
) -> None:
    outputs = tmp_path / "shared"
    long = SWEEP.replace("epochs=6", "epochs=60")
    assert main([*long.split(), f"outputs={tmp_path / 'alone'}"]) == 0
    hits = sum(run_killed(forks, work, (long, n, outputs), 0.6) for n in range(2))
    assert hits
    with fault("SIGKILL of a worker of a sweep", hits):
        work(long, 2, outputs)
        roots = (tmp_path / name / "sweep-datasize/digits-gbp" for name in ("alone", "shared"))
        (one,), (other,) = (root.glob("v*") for root in roots)
        assert_same_tables(one, other)


def same(directory: Path, manifest: Mapping[str, object]) -> bool:
    """Every directory has the same settings."""
    return True


def begin(directory: Path) -> None:
    """What the first worker of a study does."""
    about = {"format": runs.FORMAT, "start": runs.now(), "config_hash": "x"}
    runs.describe(directory, **about, status="running")


def test_directory_that_another_worker_is_finishing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = composed(*SWEEP.split(), f"outputs={tmp_path}", "worker=1")
    assert config.worker == 1

    def finish(directory: Path) -> None:
        raise runs.BusyError("another process")

    trained: list[Path] = []
    for _ in range(2):
        directory = workers.share(tmp_path / "all", same, begin, trained.append, finish)
        assert f"another worker is finishing {directory}\n" in capsys.readouterr().out
    assert trained == [tmp_path / "all/v001"] * 2


def test_directory_that_another_worker_has_finished(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished: list[Path] = []
    for train, count in (
        (lambda directory: runs.describe(directory, status="finished"), 0),
        (lambda directory: None, 1),  # typed again
    ):
        directory = workers.share(tmp_path, same, begin, train, finished.append)
        assert finished == [directory] * count
    assert f"another worker has finished {directory}\n" in capsys.readouterr().out
