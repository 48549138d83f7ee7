"""`sas runs`: a row for every run directory, in any state and during deletions."""

import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import StringIO
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import Making
from counting import Fault

from sascli import runs
from sascli.cli import main
from sascli.config import Entropy
from sascli.jobs import listing, slurm, status
from sascli.measure.credit import entropy
from sascli.measure.record import measure
from sascli.training import run as training_run


@pytest.fixture(autouse=True)
def no_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    """SLURM has no jobs."""
    monkeypatch.setattr(slurm, "queue", dict)


@pytest.fixture
def run(tiny: Making) -> Path:
    """A finished run of two seeds."""
    return training_run.run(tiny(replicas=2, seed=3))


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> pd.DataFrame:
    """The output of `sas runs` as a table."""
    assert main(["runs", "format=csv", *words]) == 0
    return pd.read_csv(StringIO(capsys.readouterr().out))


def copied(run: Path, name: str, **entries: Any) -> Path:
    """A copy of the run with other entries in its manifest."""
    shutil.copytree(run, run.with_name(name))
    runs.describe(run.with_name(name), **entries)
    return run.with_name(name)


def test_every_status_of_a_run(
    run: Path, tiny: Making, capsys: pytest.CaptureFixture[str]
) -> None:
    states = {"v001": "finished", "v009": "damaged"}
    for number, name in enumerate(("failed", "interrupted", "preempted"), 2):
        states[copied(run, f"v00{number}", status=name).name] = name
    states[copied(run, "v005", status="running").name] = "killed"
    running = copied(run, "v006", status="running")
    states["v006"] = "running"
    states[copied(run, "v007", format=0).name] = "other format"
    states[copied(run, "v008", start="yesterday").name] = "finished"
    (copied(run, "v009") / runs.MANIFEST).write_text("{")
    with runs.lock(running):
        table = shown(capsys, f"outputs={tiny().outputs}")
    assert list(table) == listing.COLUMNS
    statuses = dict(zip(table["directory"].map(lambda path: Path(path).name), table["status"]))  # noqa: B905
    assert statuses == states
    row = table.set_index("directory").loc[str(run)]
    assert (row["command"], row["model"], row["seeds"]) == ("train", "digits", "3 4")
    history = runs.read_table(run / "history.csv").query("epoch == 4")
    assert row["accuracy"] == pytest.approx(history["test_accuracy"].mean(), abs=1e-6)
    assert 0 <= row["age"] < 600


def test_filters_and_formats(run: Path, tiny: Making, capsys: pytest.CaptureFixture[str]) -> None:
    copied(run, "v002", status="failed")
    copied(run, "v003", kind="entropy")
    outputs = f"outputs={tiny().outputs}"

    def names(*words: str) -> set[str]:
        return {Path(path).name for path in shown(capsys, outputs, *words)["directory"]}

    assert names("status=failed") == {"v002"}
    assert names("status=[failed,finished]", "command=train") == {"v001", "v002"}
    assert names("match=v003") == {"v003"} and not names("match=.*")
    assert main(["runs", outputs, "format=json", "command=entropy"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["status"] == "finished" and row["accuracy"] is None
    assert main(["runs", outputs]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert " ".join(head.split()) == "run rule lr L T epochs seeds status acc. age"
    assert len(lines) == 3 and all(line.rstrip().endswith(" s") for line in lines)
    assert main(["runs", "outputs=nowhere"]) == 0
    assert capsys.readouterr().out == "no run directories\n"
    assert main(["runs", "format=cvs"]) == 2
    assert "there is no format 'cvs'; did you mean 'csv'?" in capsys.readouterr().err


def test_settings_that_distinguish_runs_fit_80_columns(run: Path, tiny: Making) -> None:
    rates = {"default": 0.03, "pi": 0.1, "m": None, "rec": {"pi": 0.2, "m": None}}
    training_run.run(tiny(epochs=1, lr={"default": [0.01, 0.03]}))
    training_run.run(tiny(epochs=1, seeds=[*range(2, 9), 11, 12], name="n" * 50))
    copied(run, "v009")
    runs.write_json(run.with_name("v009") / runs.CONFIG, {"lr": rates, "depth": [4, 5]})
    outputs = Path(tiny().outputs)
    table = listing.listing(outputs).set_index("directory")
    row = table.loc[str(run), listing.SETTINGS]
    assert list(row) == ["gbp", "0.05", "4", "120", "4"]
    row = table.loc[str(run.with_name("v009"))]
    assert (row["lr"], row["depth"]) == ("0.03 pi=0.1 rec.pi=0.2", "[4,5]")
    assert {"0.05", "[0.01,0.03]"} <= set(table["lr"]) and "2-8 11 12" in set(table["seeds"])
    plain = table.drop(str(run.with_name("v009"))).reset_index()
    lines = listing.as_text(plain, outputs, 80).splitlines()
    assert max(map(len, lines)) <= 80
    assert any(re.match(r"n+\.\.n+/v001 +gbp ", line) for line in lines)
    assert f"{'n' * 50}/v001" in listing.as_text(plain, outputs)


def test_rates_without_a_default_are_shown_alone() -> None:
    assert listing.rate({"m": 0.005, "pi": None}) == "m=0.005"
    assert listing.rate({"default": 0.1, "pi": 0.02}) == "0.1 pi=0.02"


@pytest.mark.parametrize(
    ("seeds", "text"),
    [([], ""), ([4], "4"), ([0, 1], "0 1"), ([3, 4, 5, 9], "3-5 9"), (range(10**6), "0-999999")],
)
def test_seeds_are_shown_as_ranges(seeds: Sequence[int], text: str) -> None:
    assert listing.ranges(seeds) == text


def test_measurement_is_outdated_once_its_run_has_changed(
    run: Path, tiny: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny().outputs)
    config = Entropy(run="../outputs/train/digits-gbp-L4-T120/v001", outputs=tiny().outputs)
    directory = measure("entropy", entropy, config)
    manifest = runs.manifest_of(directory)
    assert manifest["epoch"] == 4 and manifest["weights"] == runs.weights_checksum(run)

    def status() -> str:
        table = listing.listing(Path(tiny().outputs)).set_index("directory")
        return str(table.loc[str(directory), "status"])

    assert status() == "finished"
    monkeypatch.chdir("/")  # the path in the manifest leads nowhere from here
    assert status() == "finished"
    training_run.run(tiny(replicas=2, seed=3, epochs=5, resume=str(run)))
    assert status() == "outdated"
    shutil.rmtree(run)
    assert status() == "finished"


def test_points_have_no_rows_and_jobs_have(
    run: Path, tiny: Making, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = Path(tiny().outputs)
    sweep = outputs / "sweep-datasize/digits-gbp/v001"
    shutil.copytree(run, sweep / "runs/point")
    runs.describe(sweep, format=runs.FORMAT, kind="sweep-datasize", status="running", start="x")
    job = outputs / "train/multirun/v001/seed-0"
    shutil.copytree(run, job)
    statuses = shown(capsys, f"outputs={outputs}").set_index("directory")["status"].to_dict()
    assert statuses == {str(sweep): "killed", str(job): "finished", str(run): "finished"}
    with runs.lock(sweep / "runs/point"):  # a worker trains it
        statuses = shown(capsys, f"outputs={outputs}").set_index("directory")["status"].to_dict()
    assert statuses[str(sweep)] == "running"


@pytest.mark.parametrize(("seconds", "text"), [(0, "0 s"), (61, "1 min"), (9e4, "1 d")])
def test_age_is_shown_in_its_largest_unit(seconds: float, text: str) -> None:
    assert listing.in_words(seconds) == text


# ---------------------------------------------------------------- deleted during the listing


def remove_before(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, doomed: Path) -> None:
    """Delete a directory when a function is called with it."""
    work: Callable[..., Any] = getattr(module, name)

    def deleted(directory: Path, *rest: Any) -> Any:
        if directory == doomed:
            shutil.rmtree(doomed, ignore_errors=True)
        return work(directory, *rest)

    monkeypatch.setattr(module, name, deleted)


@pytest.mark.parametrize(
    ("module", "name", "rows"),
    [(listing, "describe", 1), (status, "status_of", 2), (listing, "accuracy", 2)],
)
def test_directory_deleted_at_any_step_leaves_the_others(
    module: Any, name: str, rows: int, run: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    remove_before(monkeypatch, module, name, copied(run, "v002", status="running"))
    with fault("a run directory deleted while `sas runs` lists"):
        table = listing.listing(run.parents[2])
        assert len(table) == rows and str(run) in list(table["directory"])


def come_and_go(run: Path, stop: Path) -> None:
    """Copy a run and delete the copy, again and again."""
    while not stop.exists():
        for name in ("v002", "v003"):
            shutil.copytree(run, run.with_name(name), dirs_exist_ok=True)
        for name in ("v002", "v003"):
            shutil.rmtree(run.with_name(name))


def test_directories_made_and_deleted_during_the_listing(
    tiny: Making, tmp_path: Path, forks: ForkServerContext, fault: Fault
) -> None:
    run = training_run.run(replace(tiny(), epochs=1))
    process = forks.Process(target=come_and_go, args=(run, tmp_path / "stop"))
    process.start()
    with fault("a run directory deleted while `sas runs` lists"):
        seen = set()
        while len(seen) < 2:  # it was listed with and without the others
            table = listing.listing(run.parents[2]).set_index("directory")
            assert table.loc[str(run), "status"] == "finished"
            seen.add(len(table) > 1)
            assert process.is_alive()
        (tmp_path / "stop").touch()
        process.join()
        assert process.exitcode == 0
