r"""Run directories of an earlier version load, are measured, drawn, judged and resumed.

tests/fixtures/c87041c.tar.gz was made at that commit (format 1, two cores, one thread):

    sas train epochs=2 depth=3 width=6 train_size=200 test_size=50 batch_size=50 replicas=2 \
      rule=gbp name=old threads=1
    sas train model=multisensory epochs=2 width=6 batch_size=20 replicas=2 name=old-task \
      threads=1 eval.samples=1
    sas figures model=digits preset=smoke epochs=2 width=6 seeds=1 batch_size=50 test_size=50 \
      train_size=200 preset.sizes=[0.5,1] preset.depths=[3] preset.deep=4 preset.rates=[1] \
      preset.samples=2 name=old-study threads=1

expected/ has what that commit made of copies of them: the two runs resumed to four epochs, the
first one then evaluated and perturbed (samples=2 layer=1).
"""

import shutil
import tarfile
from pathlib import Path

import pandas as pd
import pytest

from sascli.cli import main
from sascli.config import Train
from sascli.training.directories import same_settings, settings_of

FIXTURE = Path(__file__).with_name("fixtures") / "c87041c.tar.gz"
DIGITS = (
    "epochs=4 depth=3 width=6 train_size=200 test_size=50 batch_size=50 replicas=2 rule=gbp "
    "threads=1"
)
TASK = "model=multisensory epochs=4 width=6 batch_size=20 replicas=2 eval.samples=1 threads=1"


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """A copy of the earlier version's outputs."""
    with tarfile.open(FIXTURE) as archive:
        archive.extractall(tmp_path / "outputs", filter="data")
    return tmp_path / "outputs"


def sas(earlier: Path, command: str) -> None:
    """Run a command on them."""
    assert main([*command.split(), f"outputs={earlier}"]) == 0


def assert_as_before(made: Path, expected: Path) -> None:
    """Every table has the columns and numbers of before, times aside; columns may be added."""
    names = sorted(path.name for path in expected.glob("*.csv"))
    assert names
    for name in names:
        before = pd.read_csv(expected / name).drop(columns="seconds", errors="ignore")
        after = pd.read_csv(made / name)[list(before)]
        pd.testing.assert_frame_equal(after, before, rtol=1e-4, atol=1e-6)


def test_earlier_run_resumes_with_the_numbers_of_its_version(earlier: Path) -> None:
    run = earlier / "train/old/v001"
    sas(earlier, f"train {DIGITS} name=old resume={run}")
    assert_as_before(run, earlier / "expected/old")
    assert (run / "overview.png").exists()


def test_earlier_task_run_resumes_under_its_formulas(
    earlier: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = earlier / "train/old-task/v001"
    words = f"train {TASK} name=old-task resume={run}"
    assert main([*words.split(), f"outputs={earlier}", "model.loss=half_per_step"]) != 0
    assert "model.loss mean → half_per_step" in capsys.readouterr().err
    sas(earlier, words)
    assert_as_before(run, earlier / "expected/old-task")


@pytest.mark.slow
def test_earlier_run_is_evaluated_and_perturbed_as_before(earlier: Path) -> None:
    run = earlier / "train/old/v001"
    sas(earlier, f"train {DIGITS} name=old resume={run}")
    sas(earlier, f"evaluate run={run} name=old threads=1")
    sas(earlier, f"perturb run={run} name=old samples=2 layer=1 threads=1")
    for command in ("evaluate", "perturb"):
        assert_as_before(earlier / command / "old/v001", earlier / "expected" / command)


@pytest.mark.slow
def test_earlier_study_is_drawn_and_judged(
    earlier: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = earlier / "figures/digits-smoke/v001"
    sas(earlier, f"plot from={study}")
    assert len(list((study / "pictures").glob("fig*.png"))) == 7
    before = pd.read_csv(study / "claims.csv", index_col="claim")
    sas(earlier, f"claims from={study}")
    # The rule of claim 2 has not changed since: the same verdict and statistic.
    verdict, detail = before.loc[2, ["verdict", "detail"]]
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith(" 2 "))
    assert line.split(maxsplit=1)[1].startswith(f"{verdict} ") and f"{detail} over" in line


@pytest.mark.slow
def test_earlier_study_resumes_in_its_directory(earlier: Path) -> None:
    moved = earlier / "reproduce/credit/digits-smoke"
    shutil.copytree(earlier / "figures/digits-smoke", moved)
    gone = moved / "v001/runs/gbp-L4-T100-lr0.05"
    history = pd.read_csv(moved / "v001/history.csv")
    shutil.rmtree(gone)
    (moved / "v001/history.csv").unlink()
    sas(
        earlier,
        "reproduce credit model=digits preset=smoke epochs=2 width=6 seeds=1 batch_size=50 "
        "test_size=50 train_size=200 preset.sizes=[0.5,1] preset.depths=[3] preset.deep=4 "
        "preset.rates=[1] preset.samples=2 threads=1",
    )
    assert [path.name for path in moved.iterdir() if path.is_dir()] == ["v001"]
    assert (gone / "history.csv").exists()
    # This version trains BP at one depth only; all it trains has the numbers of before.
    again = pd.read_csv(moved / "v001/history.csv")[list(history)].drop(columns="seconds")
    assert "gbp-L4-T100-lr0.05" in set(again["point"]) < set(history["point"])
    before = history[history["point"].isin(again["point"])].drop(columns="seconds")
    pd.testing.assert_frame_equal(again, before.reset_index(drop=True), rtol=1e-4)


def test_earlier_run_is_found_by_its_settings(
    earlier: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sas(earlier, f"train {DIGITS.replace('epochs=4', 'epochs=2')} name=old resume=true")
    assert "already finished" in capsys.readouterr().out
    assert [path.name for path in (earlier / "train/old").iterdir() if path.is_dir()] == ["v001"]


def test_empty_rule_of_an_earlier_study_is_none(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"rule": {}, "epochs": 7}')
    earlier = settings_of(tmp_path, Train)
    assert earlier.rules == [] and earlier.epochs == 7
    assert same_settings(Train(epochs=7))(tmp_path, {"config_hash": "of an earlier version"})
