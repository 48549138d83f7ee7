"""`sas clean`: old versions are listed, deleted when confirmed, and what is in use is kept."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sascli import runs
from sascli.cli import main
from sascli.jobs import clean as cleaning
from sascli.jobs import slurm
from sascli.jobs.status import status_of
from sascli.training.workers import share

Make = Callable[..., Path]


@pytest.fixture(autouse=True)
def no_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    """SLURM has no jobs."""
    monkeypatch.setattr(slurm, "queue", dict)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a directory with a manifest and 1000 bytes more; a later call makes a newer one."""
    count = iter(range(10, 60))

    def version(path: str, settings: str = "same", **entries: Any) -> Path:
        directory = tmp_path / path
        directory.mkdir(parents=True)
        (directory / "weights.safetensors").write_bytes(b"0" * 1000)
        runs.write_json(directory / runs.CONFIG, {"baseline": entries.pop("baseline", None)})
        manifest = {"format": runs.FORMAT, "kind": path.split("/")[0], "status": "finished"}
        manifest |= {"start": f"2026-01-01T10:{next(count)}:00+0000", "config_hash": settings}
        runs.write_json(directory / runs.MANIFEST, manifest | entries)
        return directory

    return version


def left(outputs: Path) -> set[str]:
    """The versions that are there."""
    return {str(path.parent.relative_to(outputs)) for path in outputs.rglob(runs.MANIFEST)}


def test_clean_lists_old_versions_and_deletes_them_when_confirmed(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for status in ("finished", "failed", "running"):  # no process has it: killed
        make(f"train/a/v00{len(left(tmp_path)) + 1}", status=status)
    for path in ("train/a/v004", "train/a/v005", "train/b/v001", "reproduce/credit/d-quick/v001"):
        make(path, status="interrupted" if path.endswith("5") else "finished")
    make("train/b/v002", "other")
    before = left(tmp_path)
    assert main(["clean", f"outputs={tmp_path}"]) == 0
    out = capsys.readouterr().out
    for number in (1, 2, 3):
        assert f"old      {tmp_path}/train/a/v00{number}, 1." in out
    assert out.count("old      ") == 3 and "would be freed: add confirm=true" in out
    assert "1 older versions have other settings: add same=false" in out
    assert left(tmp_path) == before
    assert main(["clean", f"outputs={tmp_path}", "confirm=true", "match=v001"]) == 0
    assert before - left(tmp_path) == {"train/a/v001"}
    assert main(["clean", f"outputs={tmp_path}", "confirm=true", "same=false"]) == 0
    assert before - left(tmp_path) == {f"train/a/v00{n}" for n in (1, 2, 3)} | {"train/b/v001"}
    assert not (tmp_path / "train/a/v001").exists()


def test_clean_keeps_what_is_in_use(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured, locked = make("train/a/v001"), make("train/a/v002", status="running")
    make("train/a/v003", slurm_job="7", status="running")  # perhaps on another machine
    make("train/a/v004", data={"checksum": "of other images"})
    make("train/a/v005")
    make("train/bp/v001"), make("train/bp/v002")
    make("train/multirun/v001/seed-0"), make("train/multirun/v002/seed-0")
    make("entropy/a/v001", run="outputs/train/a/v001")  # of another working directory
    make("prune/a/v001", run=str(tmp_path / "train/a/v005"), baseline="bp", weights="x")
    make("prune/a/v002", run=str(tmp_path / "train/a/v005"), weights="y")
    place = make("prune/b/v001", run=str(tmp_path / "train/a/v005"), baseline="latest")
    compared = make("train/c/v001")
    make("train/c/v002")
    runs.describe(place, baseline=str(compared))
    before = left(tmp_path)
    with runs.lock(locked):
        assert main(["clean", f"outputs={tmp_path}", "confirm=true"]) == 0
    assert left(tmp_path) == before
    out = capsys.readouterr().out
    assert f"kept     {measured}, to which {tmp_path}/entropy/a/v001 refers" in out
    assert f"kept     {tmp_path}/train/bp/v001, to which {tmp_path}/prune/a/v001" in out


def test_clean_keeps_what_measurements_refer_to_by_a_relative_path(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run in a sweep, a baseline, and a run that another project has, too."""
    point = "sweep-datasize/d/v001/runs/p"
    make("outputs/sweep-datasize/d/v001"), make(f"outputs/{point}")
    make("outputs/sweep-datasize/d/v002")
    for name in ("bp", "gbp"):
        make(f"outputs/train/{name}/v001"), make(f"outputs/train/{name}/v002")
    make("other/outputs/train/gbp/v001")
    make("outputs/perturb/p/v001", run=f"outputs/{point}")
    place = make("outputs/prune/p/v001", run="outputs/train/gbp/v001")
    runs.describe(place, baseline="outputs/train/bp/v001")
    before = left(tmp_path)
    monkeypatch.chdir(tmp_path / "other")
    around = tmp_path / "outputs/train/gbp/v001"
    assert runs.measured_run(place, runs.manifest_of(place)) == around
    assert main(["clean", f"outputs={tmp_path}/outputs", "confirm=true", "same=false"]) == 0
    assert left(tmp_path) == before


def test_measurements_inside_a_version_do_not_keep_it(make: Make, tmp_path: Path) -> None:
    study = make("reproduce/use/d/v001")
    make("reproduce/use/d/v001/runs/p"), make("reproduce/use/d/v002")
    make("reproduce/use/d/v001/prune/p", run=str(study / "runs/p"))
    assert main(["clean", f"outputs={tmp_path}", "confirm=true", "same=false"]) == 0
    assert left(tmp_path) == {"reproduce/use/d/v002"}


def test_directory_of_a_worker_between_two_points_is_kept(make: Make, tmp_path: Path) -> None:
    parent = make("reproduce/credit/mnist-quick/v001").parent
    make("reproduce/credit/mnist-quick/v002")
    before, listed = left(tmp_path), list[str]()

    def working(directory: Path) -> None:
        runs.describe(directory, status="running")
        listed.append(status_of(directory, runs.manifest_of(directory), {}))
        assert main(["clean", f"outputs={tmp_path}", "confirm=true", "same=false"]) == 0
        with pytest.raises(runs.BusyError):
            cleaning.delete(directory)

    share(parent, lambda path, _: path.name == "v001", lambda _: None, working, lambda _: None)
    assert listed == ["running"] and left(tmp_path) == before
    assert status_of(parent / "v001", runs.manifest_of(parent / "v001"), {}) == "killed"


def test_version_that_is_resumed_after_the_listing_is_kept(make: Make, tmp_path: Path) -> None:
    directory = make("train/a/v001")
    with runs.lock(directory), pytest.raises(runs.BusyError):
        cleaning.delete(directory)
    assert (directory / runs.MANIFEST).exists()
    cleaning.delete(directory)
    assert not directory.exists()
