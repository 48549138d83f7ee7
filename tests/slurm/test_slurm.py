"""On a real SLURM: many jobs, requeued, cancelled and failing ones. cluster.sh starts one."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import assert_same_run, assert_same_tables, env
from counting import Fault
from PIL import Image

from sascli import runs
from sascli.cli import main
from sascli.jobs import multirun, slurm

pytestmark = pytest.mark.slurm
TINY = "width=8 train_size=120 test_size=60 batch_size=50 threads=1 device=cpu eval.samples=2"
CLUSTER = "hydra/launcher=slurm hydra.launcher.cpus_per_task=1 hydra.launcher.mem_gb=1"
SMALL = TINY.replace("train_size=120 ", "")
SWEEP, FIGURES = "sweep-datasize/digits-gbp", "reproduce/credit/digits-smoke"
LONG = 800
"""Epochs of a job that is to be met while it trains."""


@pytest.fixture(autouse=True)
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty directory for a cluster's user; no test without a cluster."""
    try:
        subprocess.run(["sinfo"], check=True, capture_output=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        message = "no SLURM answers; tests/slurm/cluster.sh start (as root) makes one"
        if os.environ.get("SAS_REQUIRE_SLURM"):
            pytest.fail(message)
        pytest.skip(message)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SAS_OUTPUTS", raising=False)
    # A shell's background job ignores Ctrl-C, and so would all that it starts.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
    subprocess.run(["scancel", "--me"], check=True)


def submit(words: str) -> subprocess.Popen[str]:
    """`sas ...` in a terminal of its own."""
    line = [sys.executable, "-m", "sascli", *shlex.split(words)]
    return subprocess.Popen(
        line, env=env(OMP_NUM_THREADS="1"), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def until(condition: Callable[[], object], seconds: float = 400) -> None:
    """Wait for something that must come."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


def scontrol(*words: str) -> None:
    """A command of SLURM."""
    subprocess.run(words, check=True, capture_output=True)


def standings(sweep: Path) -> dict[str, str]:
    """Name and status of each job."""
    return {job.name: job.status for job in multirun.load(sweep).statuses()}


def finished(sweep: Path) -> bool:
    """Whether all jobs are."""
    return set(standings(sweep).values()) == {"finished"}


def training(job: Path) -> bool:
    """Whether a job has its first checkpoint and is not done."""
    return (job / "checkpoint.json").exists() and runs.busy(job)


def test_twelve_jobs_give_the_table_of_a_local_run_whatever_is_edited_meanwhile(
    tmp_path: Path,
) -> None:
    mine = tmp_path / "mine" / "experiment" / "mine.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text("# @package _global_\nepochs: 3\n")
    words = f"train -m seed=0,1,2,3 depth=4,5,6 experiment=mine {TINY} --config-dir mine"
    sweep, local = (tmp_path / where / "train/multirun/v001" for where in ("cluster", "local"))
    terminal = submit(f"{words} outputs=cluster {CLUSTER}")
    assert main([*shlex.split(words), "outputs=local"]) == 0
    until(lambda: (sweep / multirun.SUBMISSIONS).exists())
    mine.write_text("# @package _global_\nepochs: 50\n")
    terminal.communicate(timeout=500)
    assert terminal.returncode == 0 and finished(sweep) and len(standings(sweep)) == 12
    for directory in (sweep, local):
        assert main(["collect", str(directory)]) == 0
    assert_same_tables(sweep, local)
    assert len(runs.read_table(sweep / "history.csv")) == 12 * 3
    for job in standings(sweep):
        manifest = runs.manifest_of(sweep / job)
        assert re.fullmatch(r"\d+_\d+", manifest["slurm_job"])
        assert manifest["code_differs"] is False


def test_requeued_jobs_end_as_if_nothing_was(tmp_path: Path, fault: Fault) -> None:
    words = f"train -m seed=0,1 epochs={LONG} checkpoint_every=1 {TINY}"
    terminal = submit(f"{words} {CLUSTER}")
    sweep = tmp_path / "outputs/train/multirun/v001"
    jobs = [sweep / "seed-0", sweep / "seed-1"]
    until(lambda: all(map(training, jobs)))
    terminal.send_signal(signal.SIGINT)  # Ctrl-C in the terminal
    said, _ = terminal.communicate(timeout=100)
    ids = multirun.load(sweep).ids
    array = ids["seed-0"].split("_")[0]
    assert terminal.returncode == 130
    assert f"the jobs continue; `scancel {array}` stops them\n" in said
    assert all(map(training, jobs))

    with fault("SLURM: a job queued again, by hand or because its time is over", 3):
        scontrol("scontrol", "requeue", array)
        until(lambda: starts(jobs[1]) == 2 and training(jobs[1]))
        scontrol("scancel", "--signal=USR2", ids["seed-1"])  # submitit: the time is over soon
        until(lambda: finished(sweep))
        assert list(map(starts, jobs)) == [2, 3]
        for seed, job in enumerate(jobs):
            assert runs.manifest_of(job)["status"] == "finished"
            unbroken = tmp_path / "unbroken/train/digits-gbp-L4-T120" / f"v{seed + 1:03d}"
            line = [*shlex.split(words.replace("-m seed=0,1", f"seed={seed}")), "outputs=unbroken"]
            assert main(line) == 0
            assert_same_run(job, unbroken)


def test_a_job_that_makes_room_for_an_urgent_one_is_queued_again_and_goes_on(
    tmp_path: Path, fault: Fault
) -> None:
    words = f"train epochs={LONG} checkpoint_every=1 {TINY}"
    terminal = submit(f"{words} -m {CLUSTER}")
    sweep = tmp_path / "outputs/train/multirun/v001"
    until(lambda: training(sweep / "job"))
    with fault("SLURM: a job preempted by an urgent one"):
        scontrol("sbatch", "--partition=urgent", "--exclusive", "--wrap=sleep 1")
        until(lambda: runs.manifest_of(sweep / "job")["status"] == "preempted")
        assert standings(sweep) == {"job": "running"}  # it may not end by itself
        until(lambda: standings(sweep) == {"job": "waiting"})
        terminal.communicate(timeout=500)
        assert terminal.returncode == 0 and finished(sweep) and starts(sweep / "job") == 2
        assert main([*words.split(), "outputs=unbroken"]) == 0
        assert_same_run(sweep / "job", tmp_path / "unbroken/train/digits-gbp-L4-T120/v001")


def starts(job: Path) -> int:
    """How often SLURM has begun a job."""
    name = multirun.load(job.parent).ids[job.name]
    (log,) = job.parent.glob(f"{multirun.SUBMISSIONS}/*/{name}/*_log.out")
    return log.read_text().count("Starting with JobEnvironment")


def images(root: Path) -> None:
    """A few grey images of two classes."""
    for name, level in (("dark", 10), ("light", 240)):
        (root / name).mkdir(parents=True)
        for number in range(20):
            Image.new("L", (4, 4), level + number % 10).save(root / name / f"{number}.png")


def test_cancelled_and_failed_jobs_are_told_and_run_again(
    tmp_path: Path, fault: Fault, capsys: pytest.CaptureFixture[str]
) -> None:
    small = TINY.replace("train_size=120 test_size=60", "train_size=10 test_size=5")
    words = f"train -m model=digits,folder seed=0,1 data.root=images epochs={LONG} {small}"
    terminal = submit(f"{words} {CLUSTER} checkpoint_every=1")
    sweep = tmp_path / "outputs/train/multirun/v001"
    cancelled = sweep / "model-digits+seed-0"
    until(lambda: training(cancelled))
    ids = multirun.load(sweep).ids
    with fault("SLURM: a job cancelled, or failing", 3):
        scontrol("scancel", ids[cancelled.name])  # SIGTERM, as when a job must make room
        until(lambda: runs.manifest_of(cancelled)["status"] == "preempted")
        epoch = runs.read_json(cancelled / "checkpoint.json")["epoch"]
        assert epoch == len(runs.read_table(cancelled / "history.csv"))
        until(lambda: "running" not in standings(sweep).values() and not slurm.queue())
        terminal.send_signal(signal.SIGINT)
        terminal.communicate(timeout=100)

        assert standings(sweep) == {
            "model-digits+seed-0": "preempted",
            "model-digits+seed-1": "finished",
            "model-folder+seed-0": "failed",
            "model-folder+seed-1": "failed",
        }
        assert main(["collect", str(sweep)]) == 0
        said = capsys.readouterr().out
        assert "4 jobs: 2 failed, 1 preempted, 1 finished\n" in said
        assert "model-folder+seed-0: failed: there is no folder images" in said
        assert set(runs.read_table(sweep / "history.csv")["job"]) == {"model-digits+seed-1"}
        images(tmp_path / "images")
        (again,) = re.findall(r"^  sas (.*)$", said, re.MULTILINE)
        terminal = submit(again)
        said, _ = terminal.communicate(timeout=500)
        assert terminal.returncode == 0 and "3 to run" in said
        assert finished(sweep) and main(["collect", str(sweep)]) == 0
        assert set(runs.read_table(sweep / "history.csv")["job"]) == set(standings(sweep))


@pytest.mark.parametrize(
    ("line", "where"),
    [
        (f"sweep-datasize depth=[3,4] train_size=[40,80] epochs=40 seeds=2 {SMALL}", SWEEP),
        (f"reproduce credit model=digits preset=smoke train_size=60 epochs=2 {SMALL}", FIGURES),
    ],
    ids=["sweep-datasize", "figures"],
)
def test_workers_of_the_launcher_share_a_sweep(line: str, where: str, tmp_path: Path) -> None:
    assert main([*shlex.split(line), "outputs=local"]) == 0
    shared, local = (tmp_path / root / where / "v001" for root in ("cluster", "local"))
    names = sorted(
        (run.name for run in (local / "runs").iterdir()),
        key=lambda name: runs.manifest_of(local / "runs" / name)["start"],
    )
    *others, last = (shared / "runs" / name for name in names)

    def trained(run: Path) -> bool:
        return runs.begun(run) and runs.manifest_of(run)["status"] == "finished"

    terminal = submit(f"{line} -m worker=1,2 outputs=cluster {CLUSTER}")
    until(lambda: runs.begun(shared))
    runs.make(last)
    with runs.lock(last):  # one point is left when a worker stops
        until(lambda: all(map(trained, others)))
        job = runs.manifest_of(others[-1])["slurm_job"]
        scontrol("scontrol", "suspend", job)
    until(lambda: trained(last))
    scontrol("scontrol", "resume", job)
    terminal.communicate(timeout=500)
    sweep = shared.parents[1] / "multirun/v001"
    assert terminal.returncode == 0 and finished(sweep)
    assert_same_tables(shared, local)
    assert runs.manifest_of(last)["slurm_job"] != job  # the other worker took over


def test_a_partition_that_is_not_there(tmp_path: Path) -> None:
    terminal = submit(f"train -m seed=0,1 {TINY} {CLUSTER} hydra.launcher.partition=nowhere")
    said, _ = terminal.communicate(timeout=200)
    assert terminal.returncode == 2 and "Traceback" not in said
    assert "sas: SLURM: " in said and "invalid partition" in said
