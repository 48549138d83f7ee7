"""Multiruns: copied settings; failed, killed, missing and running jobs; common tables."""

import os
import re
import shlex
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from conftest import assert_same_tables, tables
from counting import Fault

from sascli import runs
from sascli.cli import main
from sascli.cli.composition import Composer
from sascli.errors import UserError
from sascli.jobs import multirun, slurm, submit
from sascli.jobs.collect import collect
from sascli.jobs.multirun import Multirun
from sascli.jobs.record import recorded
from sascli.jobs.status import status_of
from sascli.training import loop
from sascli.training.population import Population, Trained

TINY = "width=6 train_size=60 test_size=30 batch_size=30 threads=1 device=cpu eval.samples=2"
TINY = f"{TINY} outputs=here"


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory without SLURM."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(slurm, "queue", dict)


def train(*words: str) -> int:
    """`sas train -m`, tiny; the exit code."""
    return main(["train", "-m", *TINY.split(), "epochs=2", *words])


def sweep(*words: str) -> Path:
    """The directory of a finished multirun of two jobs."""
    assert train("seed=0,1", *words) == 0
    return multirun.newest(Path("here"))


def statuses(directory: Path) -> dict[str, str]:
    """The status of each job by its name."""
    return {job.name: job.status for job in multirun.load(directory).statuses()}


# ---------------------------------------------------------------- launchers and settings


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        ("slurm", {"partition": "gpu", "account": "us", "timeout_min": 90, "mem_gb": 8}),
        ("slurm_gpu", {"gpus_per_node": 1, "timeout_min": 60, "max_num_timeout": 100}),
        ("local", {"n_jobs": 3}),
    ],
)
def test_launcher_presets_with_overrides(preset: str, expected: dict[str, Any]) -> None:
    plain = {} if preset == "slurm_gpu" else expected
    words = [f"hydra/launcher={preset}", *(f"hydra.launcher.{k}={v}" for k, v in plain.items())]
    launcher = Composer("train").compose(words).hydra.launcher
    assert {key: launcher[key] for key in expected} == expected
    cluster = launcher["_target_"].endswith("SlurmLauncher")
    assert cluster == preset.startswith("slurm")
    if cluster:  # srun does not take the number over by itself
        assert "export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK" in launcher.setup


@pytest.mark.slow
def test_parallel_jobs_give_the_tables_of_serial_jobs() -> None:
    words = ["depth=3,4", "seed=0,1", "replicas=2"]
    assert train(*words, "hydra/launcher=local", "hydra.launcher.n_jobs=2") == 0
    assert train(*words) == 0
    directories = [Path(f"here/train/multirun/v00{number}") for number in (1, 2)]
    for directory in directories:
        collected = collect(directory.absolute())
        assert not collected.resubmissions and str(collected).startswith("4 jobs: 4 finished\n")
    assert_same_tables(*directories)
    table = tables(directories[0])["history"]
    assert list(table)[:4] == ["job", "depth", "replica", "seed"]
    assert len(table) == 2 * 2 * 2 * 2
    first = table.query("job == 'depth-4+seed-1' and seed == 2")
    assert set(first["depth"]) == {4} and list(first["epoch"]) == [1, 2]


@pytest.mark.slow
def test_resubmitted_jobs_have_the_settings_of_the_submission() -> None:
    mine = Path("mine/experiment/mine.yaml")
    mine.parent.mkdir(parents=True)
    mine.write_text("# @package _global_\nepochs: 1\n")
    words = ["train", "-m", *TINY.split(), "seed=0,1", "experiment=mine", "--config-dir", "mine"]
    assert main([*words, "data.root=nowhere", "model=digits,folder"]) == 2
    directory = multirun.newest(Path("here"))
    mine.write_text("# @package _global_\nepochs: 50\n")
    shutil.rmtree(directory / "model-digits+seed-1")
    collected = collect(directory)
    assert statuses(directory) == {
        "model-digits+seed-0": "finished",
        "model-digits+seed-1": "missing",
        "model-folder+seed-0": "failed",
        "model-folder+seed-1": "failed",
    }
    (line,) = collected.resubmissions
    assert main(line[1:]) == 2  # the folder is still missing
    table = collect(directory).tables[0].with_name("history.csv")
    assert list(runs.read_table(table)["epoch"]) == [1, 1]


@pytest.mark.parametrize("changed", [False, True])
def test_manifest_records_whether_the_code_has_changed(changed: bool, tmp_path: Path) -> None:
    version = runs.code_version() | ({"code": "sha256:other"} if changed else {})
    with recorded(tmp_path, "train", version):
        pass
    manifest = runs.manifest_of(tmp_path)
    assert manifest["code_differs"] is changed and manifest["submitted"] == version
    assert manifest["kind"] == "train" and manifest["status"] == "finished"


def test_job_of_another_process_is_not_overwritten(tmp_path: Path) -> None:
    runs.describe(tmp_path, format=runs.FORMAT, status="running")
    with pytest.raises(runs.BusyError), recorded(tmp_path, "train", {}):
        raise runs.BusyError("another process is writing")
    assert runs.manifest_of(tmp_path) == {"format": runs.FORMAT, "status": "running"}


# ---------------------------------------------------------------- unfinished jobs


@pytest.mark.slow
def test_only_failed_and_missing_jobs_are_resubmitted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    with fault("a job of a multirun that fails or whose directory is deleted", 4):
        assert train("seed=0,1,2", "model=digits,folder", "data.root=images dark") == 2
        directory = multirun.newest(Path("here"))
        shutil.rmtree(directory / "model-digits+seed-1")
        capsys.readouterr()
        assert main(["collect", "outputs=here"]) == 0
        output = capsys.readouterr().out
        assert output.startswith("6 jobs: 3 failed, 2 finished, 1 missing\n")
        assert "  model-digits+seed-1: missing\n" in output
        assert "  model-folder+seed-0: failed: there is no folder images dark" in output
        assert set(tables(directory)["layers"]["seed"]) == {0, 2}

        Path("images dark").symlink_to(images(Path("images")))
        trained: list[str] = []
        train_one = loop.train

        def counted(population: Population, *rest: Any) -> Trained:
            trained.append(population.run.name)
            return train_one(population, *rest)

        monkeypatch.setattr(loop, "train", counted)
        (command,) = re.findall(r"^  (sas .*)$", output, re.MULTILINE)
        assert main(shlex.split(command)[1:]) == 0
        assert "4 to run" in capsys.readouterr().out
        assert sorted(trained) == [
            "model-digits+seed-1",
            *(f"model-folder+seed-{s}" for s in range(3)),
        ]
        assert main(shlex.split(command)[1:]) == 0
        assert "nothing is left to run" in capsys.readouterr().out and len(trained) == 4
        assert main(["collect", str(directory)]) == 0
        assert capsys.readouterr().out.startswith("6 jobs: 6 finished\n")
        rows = tables(directory)["layers"]["job"].value_counts().to_dict()
        assert rows == dict.fromkeys(statuses(directory), 3)


def images(root: Path) -> Path:
    """A folder of two classes of images."""
    from PIL import Image

    for name, level in (("dark", 10), ("light", 200)):
        (root / name).mkdir(parents=True)
        for number in range(80):
            Image.new("L", (4, 4), level + number % 50).save(root / name / f"{number}.png")
    return root.absolute()


@pytest.mark.slow
def test_stopped_job_resumes_from_its_checkpoint(signal_in: Any) -> None:
    signal_in(1, signal.SIGTERM)
    with pytest.raises(SystemExit) as stop:
        train("seed=0,1", "checkpoint_every=5")
    directory = multirun.newest(Path("here"))
    assert stop.value.code == 143
    assert statuses(directory) == {"seed-0": "interrupted", "seed-1": "missing"}
    assert len(tables(directory / "seed-0")["history"]) == 1
    (line,) = multirun.load(directory).resubmissions(multirun.load(directory).statuses())
    assert main(line[1:]) == 0
    assert_same_tables(directory / "seed-0", sweep() / "seed-0")


@pytest.mark.slow
def test_running_jobs_are_not_submitted_again(capsys: pytest.CaptureFixture[str]) -> None:
    directory = sweep()
    runs.describe(directory / "seed-0", status="running")
    assert statuses(directory) == {"seed-0": "killed", "seed-1": "finished"}
    with runs.lock(directory / "seed-0"):
        assert statuses(directory)["seed-0"] == "running"
        assert "some jobs are still running" in str(collect(directory))
        assert train("seed=0,1", f"hydra.sweep.dir={directory}") == 0
        assert "nothing is left to run" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("state", "status", "seen"),
    [
        ("PENDING", "missing", "waiting"),
        ("RUNNING", "missing", "running"),
        ("PENDING", "preempted", "waiting"),
        ("RUNNING", "interrupted", "running"),
        ("PENDING", "failed", "waiting"),
        ("RUNNING", "finished", "finished"),
        (None, "preempted", "preempted"),
    ],
)
def test_job_in_the_queue_is_waiting_or_running(
    state: str | None, status: str, seen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = sweep()
    (directory / ".submitit/0/77_0").mkdir(parents=True)
    (directory / ".submitit/0/77_1").mkdir()
    monkeypatch.setattr(slurm, "queue", lambda: {"77_1": state} if state else {})
    if status == "missing":
        shutil.rmtree(directory / "seed-1")
    else:
        runs.describe(directory / "seed-1", status=status)
    assert multirun.load(directory).ids == {"seed-0": "77_0", "seed-1": "77_1"}
    assert statuses(directory) == {"seed-0": "finished", "seed-1": seen}


@pytest.mark.parametrize("ends", ["echo squeue: no controller >&2; exit 1", "sleep 60"])
def test_queue_that_does_not_answer_is_an_error(
    ends: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    squeue = tmp_path / "squeue"
    squeue.write_text(f"#!/bin/sh\n{ends}\n")
    squeue.chmod(0o755)
    monkeypatch.undo()  # the answer of the fixture
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(slurm, "TIMEOUT", 0.5)
    with pytest.raises(UserError, match="SLURM does not report which jobs are running: "):
        slurm.queue()


def test_job_on_another_machine_is_running_while_in_the_queue() -> None:
    manifest = {"status": "running", "slurm_job": "77_1"}
    assert status_of(Path("x"), manifest, {"77_1": "RUNNING"}) == "running"
    assert status_of(Path("x"), manifest, {"77_2": "RUNNING"}) == "killed"


@pytest.mark.slow
def test_damaged_job_is_reported(fault: Fault, capsys: pytest.CaptureFixture[str]) -> None:
    directory = sweep()
    with fault("a damaged manifest or table of a job", 2):
        manifest = directory / "seed-0" / runs.MANIFEST
        content = manifest.read_text()
        manifest.write_text(content[:-5])
        output = str(collect(directory))
        assert "seed-0: damaged: " in output and "1 damaged, 1 finished" in output
        manifest.write_text(content)
        table = directory / "seed-1/layers.csv"
        table.write_text(table.read_text()[:-3])
        assert main(["collect", str(directory)]) == 2
        message = capsys.readouterr().err
        assert message == f"sas: {table} is cut off in its last line\n"


# ---------------------------------------------------------------- errors


@pytest.mark.slow
def test_collect_needs_a_multirun(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["collect", "outputs=here"]) == 2
    assert "no multirun in here: `sas train --multirun` makes one" in capsys.readouterr().err
    assert main(["collect", "nowhere"]) == 2
    assert (
        "nowhere is not a multirun: give the directory of a --multirun" in capsys.readouterr().err
    )
    directory = sweep()
    runs.write_json(directory / multirun.SWEEP, {"format": 0})
    assert main(["collect", str(directory)]) == 2
    assert "has format version 0, this sas reads 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["hydra.sweep.subdir=same"],
            "jobs are named by their settings: leave hydra.sweep.subdir",
        ),
        (["hydra/launcher=slurm"], "there is no SLURM here (no sbatch): use hydra/launcher=loc"),
    ],
)
def test_invalid_multiruns_are_refused(
    words: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(submit.shutil, "which", lambda name: None)
    assert train("seed=0,1", *words) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_other_settings_in_the_same_multirun_are_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    directory = sweep()
    assert train("seed=0,1", "lr=0.2", f"hydra.sweep.dir={directory}") == 2
    message = capsys.readouterr().err
    assert "was submitted with other settings" in message
    assert "another hydra.sweep.dir" in message


@pytest.mark.slow
def test_jobs_of_a_submission_run_although_another_follows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def submitted_twice(directory: Path | None, *rest: Any) -> tuple[Path, int, list[str]]:
        first = submit.submit(directory, *rest)
        parent, folders, _, words = rest
        submit.submit(first[0], parent, folders, {"seed-7": ["seed=7"]}, words)
        return first

    monkeypatch.setattr("sascli.cli.multirun.submit", submitted_twice)
    directory = sweep()
    assert statuses(directory) == {
        "seed-0": "finished", "seed-1": "finished", "seed-7": "missing"
    }  # fmt: skip


def test_newest_multirun_is_by_its_start(tmp_path: Path) -> None:
    # the second began an hour earlier, in another time zone
    starts = ("2026-10-25T02:10:00+0100", "2026-10-25T02:10:00+0200")
    for number, start in enumerate(starts, 1):
        directory = tmp_path / f"train/multirun/v00{number}"
        directory.mkdir(parents=True)
        runs.write_json(directory / multirun.SWEEP, {"format": runs.FORMAT, "start": start})
    assert multirun.newest(tmp_path).name == "v001"


def test_settings_that_differ_become_columns() -> None:
    jobs = {"a": ["lr.default=0.1", "+x=1", "seed=0"], "b": ["lr.default=0.2", "+x=2", "seed=0"]}
    assert Multirun(Path("s"), {"jobs": jobs, "submissions": []}).differing("b") == {
        "lr": "0.2",
        "x": "2",
    }
