"""Run directories: claimed, locked, found; a kill while writing leaves the last good file."""

import contextlib
import errno
import fcntl
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from counting import Fault

from sascli import runs
from sascli.errors import UserError
from sascli.runs import code


def claim_many(parent: Path, count: int, barrier: Barrier) -> None:
    """Claim directories, each at the same instant as another process, and leave a file in each."""
    for _ in range(count):
        barrier.wait()
        (runs.claim(parent) / "owner").touch(exist_ok=False)


def run_at(path: Path, start: str, status: str = "finished", **entries: Any) -> Path:
    """Make a directory with a manifest."""
    path.mkdir(parents=True)
    about = {"format": runs.FORMAT, "start": f"2026-01-01T{start}:00+0000", "status": status}
    runs.write_json(path / runs.MANIFEST, about | entries)
    return path


@contextlib.contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Limit the files of this process to `size` bytes; pytest must write nothing meanwhile."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# ---------------------------------------------------------------- claim and lock


def test_simultaneous_claims_never_share_a_directory(
    tmp_path: Path, forks: ForkServerContext, fault: Fault
) -> None:
    arguments = (tmp_path / "x", 50, forks.Barrier(2))
    processes = [forks.Process(target=claim_many, args=arguments) for _ in range(2)]
    with fault("two claims of a run directory in one instant", 50):
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        assert [process.exitcode for process in processes] == [0, 0]
        expected = [f"v{number:03d}/owner" for number in range(1, 101)]
        files = sorted((tmp_path / "x").glob("*/*"))
        assert [str(path.relative_to(tmp_path / "x")) for path in files] == expected


def test_claim_continues_after_the_last_version(tmp_path: Path) -> None:
    for name in ("v001", "v007", "v2x", "vault", "notes"):
        (tmp_path / name).mkdir()
    (tmp_path / "v008").touch()
    assert runs.claim(tmp_path) == tmp_path / "v009"
    (tmp_path / "v999").mkdir()
    assert runs.claim(tmp_path) == tmp_path / "v1000"


def test_claim_without_write_permission_fails(tmp_path: Path) -> None:
    (tmp_path / "outputs").touch()
    for parent in (tmp_path / "outputs", tmp_path / "outputs/train/x"):
        with pytest.raises(UserError, match="cannot write to .*outputs"):
            runs.claim(parent)


def test_lock_excludes_a_second_writer_until_released(tmp_path: Path) -> None:
    with runs.lock(tmp_path), pytest.raises(UserError, match="another process is writing to"):
        runs.lock(tmp_path).__enter__()
    with runs.lock(tmp_path):
        pass
    with pytest.raises(UserError, match="cannot write to"):
        runs.lock(tmp_path / "nowhere").__enter__()


def hold(directory: Path) -> None:
    """Take the lock and never release it."""
    with runs.lock(directory):
        (directory / "held").touch()
        while True:
            pass


def test_file_system_without_locks_warns_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    for _ in range(2):
        with runs.lock(tmp_path):
            assert not runs.busy(tmp_path)
    warning = capsys.readouterr().err
    assert warning.count("\n") == 1 and "has no locks (No locks available)" in warning


def test_shared_lock_is_seen_where_only_writers_may_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on NFS: an exclusive lock needs a file that is open for writing."""
    flock = fcntl.flock

    def of_nfs(descriptor: int, kind: int) -> None:
        reads = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
        if kind & fcntl.LOCK_EX and reads:
            raise OSError(errno.EBADF, "Bad file descriptor")
        flock(descriptor, kind)

    monkeypatch.setattr(fcntl, "flock", of_nfs)
    with runs.lock(tmp_path, shared=True):
        assert runs.busy(tmp_path, shared=True) and not runs.busy(tmp_path)
    assert not runs.busy(tmp_path, shared=True)


def test_lock_is_released_when_its_process_is_killed(
    tmp_path: Path, forks: ForkServerContext
) -> None:
    process = forks.Process(target=hold, args=(tmp_path,))
    process.start()
    while not (tmp_path / "held").exists():
        assert process.is_alive()
    with pytest.raises(UserError, match="another process"):
        runs.lock(tmp_path).__enter__()
    process.kill()
    process.join()
    with runs.lock(tmp_path):
        pass


# ---------------------------------------------------------------- files


def test_file_is_replaced_only_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with runs.replacing(path, "w") as file:
        file.write("new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new" and path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt()])
def test_error_leaves_the_last_good_file(tmp_path: Path, error: BaseException) -> None:
    def write_half() -> None:
        with runs.replacing(path, "w") as file:
            file.write("half")
            raise error

    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(type(error)):
        write_half()
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_full_disk_leaves_the_last_good_file(tmp_path: Path, fault: Fault) -> None:
    path = tmp_path / "table.csv"
    runs.write_table(path, pd.DataFrame({"x": [1]}))
    message = "cannot write to .*table.csv: File too large"
    with fault("disk full"):
        with full_disk(1000), pytest.raises(UserError, match=message):
            runs.write_table(path, pd.DataFrame({"x": range(1000)}))
        assert list(runs.read_table(path)["x"]) == [1] and list(tmp_path.iterdir()) == [path]


def test_file_in_place_of_a_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(UserError, match="cannot write to .*: Not a directory"):
        runs.write_json(tmp_path / "run" / "manifest.json", {})


def test_tables_and_json_round_trip(tmp_path: Path) -> None:
    table = pd.DataFrame({"a": [1, 2], "b": [0.1, None], "c": ["x", "y"]})
    runs.write_table(tmp_path / "t.csv", table)
    pd.testing.assert_frame_equal(
        runs.read_table(tmp_path / "t.csv"), table, check_exact=True, check_dtype=False
    )
    assert (tmp_path / "t.csv").read_text() == "a,b,c\n1,0.1,x\n2,,y\n"
    runs.write_json(tmp_path / "j.json", {"a": [1, None]})
    assert runs.read_json(tmp_path / "j.json") == {"a": [1, None]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no table"),
        (b"", "is damaged"),
        (b"a,b\n1,2\n3,4,5\n", "is damaged"),
        (b"a,b\n\xff\xfe,2\n", "is damaged"),
        (b"a,b\n1,2\n3,0.12", "is cut off in its last line"),
    ],
)
def test_unreadable_table_is_reported(
    tmp_path: Path, content: bytes | None, message: str, fault: Fault
) -> None:
    if content is not None:
        (tmp_path / "t.csv").write_bytes(content)
    pattern = f"t.csv {message}|{message} .*t.csv"
    with fault("a damaged, cut or missing table"), pytest.raises(UserError, match=pattern):
        runs.read_table(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "does not exist"), (b"", "is damaged"), (b'{"a": 1', "is damaged")],
)
def test_unreadable_json_is_reported(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "j.json").write_bytes(content)
    with pytest.raises(UserError, match=f"j.json {message}"):
        runs.read_json(tmp_path / "j.json")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(UserError, match="folder.json is damaged"):
        runs.read_json(tmp_path / "folder.json")


# ---------------------------------------------------------------- manifests


def test_manifest_keeps_earlier_entries(tmp_path: Path) -> None:
    runs.describe(tmp_path, format=runs.FORMAT, status="running", start="now")
    manifest = runs.describe(tmp_path, status="finished")
    assert manifest == {"format": runs.FORMAT, "status": "finished", "start": "now"}
    assert runs.manifest_of(tmp_path) == manifest


@pytest.mark.parametrize("version", [None, 0, runs.FORMAT + 1])
def test_other_format_version_is_refused(
    tmp_path: Path, version: int | None, fault: Fault
) -> None:
    runs.describe(tmp_path, format=version)
    message = f"format version {version}, this sas reads {runs.FORMAT}"
    with fault("a run of another format version"), pytest.raises(UserError, match=message):
        runs.manifest_of(tmp_path)


def test_provenance_names_command_code_and_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/sas", "train", "lr=0.1"])
    entries = runs.provenance()
    assert entries["command"] == "sas train lr=0.1" and entries["format"] == runs.FORMAT
    assert {"torch", "numpy", "pandas", "hydra-core", "safetensors"} <= entries["packages"].keys()
    git = ["git", "-C", str(Path(runs.__file__).parent), "rev-parse", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True).stdout.strip() or None
    assert entries["git_commit"] == commit
    assert type(entries["git_dirty"]) is bool or commit is None


def test_provenance_ignores_a_repository_around_the_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "errors.py").touch()
    monkeypatch.setattr(code, "PACKAGE", tmp_path)
    version = runs.code_version()
    assert version["git_commit"] is None and version["git_dirty"] is None


def test_class_names_are_read_as_text(tmp_path: Path) -> None:
    names = ["01", "None", "NA"]
    runs.write_table(tmp_path / "t.csv", pd.DataFrame({"class": names, "x": [1.5, None, 2]}))
    table = runs.read_table(tmp_path / "t.csv")
    assert table["class"].tolist() == names and table["x"].isna().tolist() == [False, True, False]


def test_provenance_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    entries = runs.provenance()
    assert entries["git_commit"] is None and entries["git_dirty"] is None


@pytest.mark.parametrize(
    ("error", "status", "message", "output"),
    [
        (UserError("no"), "failed", "no", ""),
        (MemoryError(), "failed", "MemoryError()", ""),
        (SystemExit(143), "interrupted", None, "stopped; resume with sas train resume=true\n"),
    ],
)
def test_end_of_work_is_recorded(
    tmp_path: Path,
    error: BaseException,
    status: str,
    message: str | None,
    output: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def work() -> None:
        with runs.recorded(tmp_path, "sas train resume=true"):
            raise error

    runs.describe(tmp_path, format=runs.FORMAT)
    with pytest.raises(type(error)):
        work()
    manifest = runs.manifest_of(tmp_path)
    assert (manifest["status"], manifest["error"]) == (status, message)
    assert capsys.readouterr().out == output
    with runs.recorded(tmp_path):
        pass
    manifest = runs.manifest_of(tmp_path)
    assert (manifest["status"], manifest["error"]) == ("finished", None)
    assert manifest["end"] <= runs.now()


# ---------------------------------------------------------------- finding runs


def test_latest_is_the_newest_finished_run(tmp_path: Path) -> None:
    train = tmp_path / "train"
    run_at(train / "a" / "v002", "10:00")
    newest = run_at(train / "b" / "v001", "11:00")
    run_at(train / "b" / "v002", "12:00", "running")
    run_at(train / "b" / "v003", "13:00", "failed")
    run_at(train / "b" / "v004", "14:00", format=0)
    (train / "b" / "v005").mkdir()
    run_at(tmp_path / "entropy" / "b" / "v001", "15:00")
    assert runs.locate("latest", tmp_path) == newest
    assert runs.locate("a", tmp_path) == train / "a" / "v002"
    assert runs.locate("b", tmp_path) == newest
    assert runs.locate("b/v001", tmp_path) == newest
    job = run_at(train / "multirun" / "v001" / "seed-0", "12:30")
    run_at(train / "multirun" / "v001" / "seed-1", "12:31", "failed")
    assert runs.locate("latest", tmp_path) == job


def test_name_to_resume_is_its_newest_unfinished_run(tmp_path: Path) -> None:
    train = tmp_path / "train"
    unfinished = run_at(train / "a" / "v001", "10:00", "interrupted")
    finished = run_at(train / "a" / "v002", "11:00")
    assert runs.locate("a", tmp_path) == finished
    assert runs.locate("a", tmp_path, unfinished=True) == unfinished
    runs.describe(unfinished, status="finished")
    assert runs.locate("a", tmp_path, unfinished=True) == finished


def test_of_equal_start_times_the_later_version_is_newer(tmp_path: Path) -> None:
    for number in (2, 1, 3):
        run_at(tmp_path / f"v{number:03d}", "10:00")
    assert runs.find(tmp_path, lambda directory, manifest: True) == tmp_path / "v003"
    assert runs.find(tmp_path, lambda directory, manifest: manifest["status"] == "failed") is None


def test_newest_run_is_found_across_time_zones(tmp_path: Path) -> None:
    for name, start in (
        ("later", "2026-10-25T02:10:00+0100"), ("earlier", "2026-10-25T02:50:00+0200"),
        ("unreadable", "yesterday"),
    ):  # fmt: skip
        runs.make(tmp_path / name)
        runs.describe(tmp_path / name, format=runs.FORMAT, status="finished", start=start)
    names = [directory.name for directory, _ in runs.versions(tmp_path)]
    assert names == ["later", "earlier", "unreadable"]


@pytest.mark.parametrize("text", ["{}/v002", "{}/v002/", "{}", "{}/", "a", "a/", "a/v002"])
def test_path_or_name_with_or_without_version(tmp_path: Path, text: str) -> None:
    path = tmp_path / "train" / "a"
    for number in (1, 2):
        runs.write_json(run_at(path / f"v00{number}", f"1{number}:00") / runs.CONFIG, {"lr": 1})
    run_at(path / "v003", "13:00", "failed")
    assert runs.locate(text.format(path), tmp_path) == path / "v002"


@pytest.mark.parametrize(
    ("status", "error", "message"),
    [
        ("failed", "it diverged", "v001 has failed, give a finished run: it diverged"),
        ("interrupted", None, r"v001 is not finished \(interrupted\): `sas train resume=.*v001`"),
        ("running", None, r"v001 is not finished \(killed\): `sas train resume=.*v001` continues"),
    ],
)
def test_unfinished_run_is_named_with_its_reason(
    tmp_path: Path, status: str, error: str | None, message: str
) -> None:
    path = run_at(tmp_path / "train" / "a" / "v001", "10:00", status, error=error)
    for text in (str(path), str(path.parent), "a", "a/v001"):
        with pytest.raises(UserError, match=message):
            runs.locate(text, tmp_path)
        assert runs.locate(text, tmp_path, unfinished=True) == path
    if status == "running":
        running = pytest.raises(UserError, match=r"v001 is not finished \(running\): wait for it")
        with runs.lock(path), running:
            runs.locate("a", tmp_path)


def test_versions_of_different_settings_need_a_version(tmp_path: Path) -> None:
    settings = {"lr": {"default": 0.1, "pi": None}, "epochs": 4, "checkpoint_every": 1}
    for number in range(1, 4):
        path = run_at(tmp_path / "train" / "a" / f"v00{number}", f"1{number}:00")
        runs.write_json(path / runs.CONFIG, settings | {"checkpoint_every": number, "new": 1})
    runs.write_json(path / runs.CONFIG, settings)  # of a version without the setting `new`
    assert runs.locate("a", tmp_path) == path
    runs.write_json(path / runs.CONFIG, settings | {"lr": {"default": 0.3, "pi": None}})
    listed = r"v003 \(lr=0.3\), v002 \(lr=0.1\), v001 \(lr=0.1\): give a version, for example "
    for text in ("a", str(path.parent)):
        with pytest.raises(UserError, match=f"different settings: {listed}run={text}/v003$"):
            runs.locate(text, tmp_path)
    assert runs.locate("a/v002", tmp_path) == path.with_name("v002")
    assert runs.locate("latest", tmp_path) == path


@pytest.mark.parametrize("run", ["latest", "nothing"])
def test_missing_run_is_reported(tmp_path: Path, run: str) -> None:
    run_at(tmp_path / "train" / "a" / "v001", "10:00", "interrupted")
    with pytest.raises(UserError, match=f"no finished run '{run}' in .*`sas train` makes one"):
        runs.locate(run, tmp_path)


def test_run_in_a_private_folder_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(path: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", denied)  # root may read every folder
    with pytest.raises(UserError, match="^cannot read a/manifest.json: Permission denied$"):
        runs.locate("a", tmp_path)


def test_empty_run_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run is empty: give a path, a name or `latest`"):
        runs.locate("", tmp_path)
    with pytest.raises(UserError, match="there is no run 'a' in "):
        runs.locate("a", tmp_path, unfinished=True)


def test_damaged_manifest_does_not_hide_others_and_warns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run_at(tmp_path / "v001", "10:00")
    manifest = run_at(tmp_path / "v002", "11:00") / runs.MANIFEST
    manifest.write_text(json.dumps({"format": runs.FORMAT})[:-3])
    for _ in range(2):
        assert runs.find(tmp_path, lambda directory, manifest: True) == path
    warning = capsys.readouterr().err
    assert warning.count("\n") == 1 and f"warning: {manifest} is damaged" in warning
