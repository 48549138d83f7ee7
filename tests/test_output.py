"""Standard output that is closed, full or ASCII: training goes on, other commands say so."""

import errno
import io
import sys
from pathlib import Path

import pytest
from conftest import Making

import sascli.commands
from sascli import output, runs
from sascli.cli import main
from sascli.commands import COMMANDS, run
from sascli.errors import UserError


class Broken(io.StringIO):
    """A stream that fails at every write."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def write(self, text: str) -> int:
        """Fail."""
        raise OSError(self.number, "it is full")


@pytest.fixture(autouse=True)
def complete_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has been lost yet."""
    monkeypatch.setattr(output, "LOST", [])


@pytest.mark.parametrize(
    ("stream", "warning"),
    [
        (None, "standard output was closed: there is no log"),
        (Broken(errno.ENOSPC), "standard output failed (it is full): the log ends there"),
        (Broken(errno.EPIPE), "standard output failed (it is full): the log ends there"),
    ],
    ids=["closed", "full", "broken pipe"],
)
def test_training_outlives_its_standard_output(
    stream: io.StringIO | None, warning: str, tiny: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", stream)
    with output.guarded():
        run("train", tiny(epochs=1))
    assert sys.stdout is stream
    (directory,) = Path(tiny().outputs).glob("train/*/*")
    manifest = runs.manifest_of(directory)
    assert (manifest["status"], manifest["warnings"]) == ("finished", [warning])
    assert (directory / "overview.png").exists()


def test_table_that_cannot_be_printed_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for number, code in ((errno.ENOSPC, 2), (errno.EPIPE, 141)):
        monkeypatch.setattr(sys, "stdout", Broken(number))
        assert main(["runs", f"outputs={tmp_path}"]) == code
    message = "sas: cannot write to standard output: it is full\n"
    assert capsys.readouterr().err == message


def test_claims_on_an_ascii_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    content = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(content, "ascii"))
    with output.guarded():
        print("|μ|/σ ≤ 2 ± π², “credit” é 中")
    assert content.getvalue().decode("ascii") == '|mu|/sigma <= 2 +- pi2, "credit" e ?\n'


@pytest.mark.parametrize(
    ("error", "reported"),
    [
        (MemoryError("Unable to allocate 7 TiB for an array"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 7 bytes"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_lack_of_memory_is_one_sentence(
    error: Exception, reported: bool, monkeypatch: pytest.MonkeyPatch, tiny: Making
) -> None:
    def work(*_: object) -> None:
        raise error

    monkeypatch.setattr(sascli.commands, "function", lambda name: work)
    expected = UserError if reported else RuntimeError
    with pytest.raises(expected, match=str(error)[:20]) as raised:
        run("train", tiny())
    assert reported == str(raised.value).startswith("memory is not sufficient: lower replicas")


def test_only_commands_that_leave_directories_tolerate_a_lost_log() -> None:
    printing = ("sascli.commands.", "sascli.jobs.")
    names = {name for name, entry in COMMANDS.items() if entry.work.startswith(printing)}
    assert names >= {"runs", "claims", "plot", "collect"} and "train" not in names
