"""Faults on one machine: kills, full and read-only disks, flipped bits, hostile files."""

import ast
import os
import random
import signal
import struct
import subprocess
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
import torch
from conftest import (
    CHECKOUT,
    Making,
    assert_same_run,
    assert_same_tables,
    have_root,
    run_killed,
)
from counting import Fault
from safetensors.torch import save_file

from sascli import runs
from sascli.cli import main
from sascli.config import Train
from sascli.core.network import KINDS, FeedForward
from sascli.data import load
from sascli.errors import UserError
from sascli.training import checkpoint
from sascli.training import run as training_run

KILLS, FLIPS, CUTS = 20, 200, 50
Damage = Callable[[bytes, int], bytes]


def all_can_be_read(directory: Path) -> None:
    """Every file of a run that is there is whole."""
    runs.manifest_of(directory)
    checkpoint.load_state(directory, "cpu")
    for table in directory.glob("*.csv"):
        assert len(runs.read_table(table)) > 0
    for weights in directory.glob("*.safetensors"):
        checkpoint.load_weights(weights)


@pytest.mark.slow
def test_killed_at_twenty_random_moments_nothing_is_lost(
    tiny: Making, forks: ForkServerContext, fault: Fault
) -> None:
    config = tiny(epochs=60, checkpoint_every=1, snapshot_every=20, replicas=2)
    unbroken, start = training_run.run(config), time.perf_counter()
    timed = replace(config, outputs=f"{config.outputs}-timed")
    assert not run_killed(forks, training_run.run, (timed,), 600)
    took = time.perf_counter() - start
    with fault("SIGKILL at a random moment of training", KILLS):
        killed, kept, resumed = 0, list[int](), list[Path]()
        while killed < KILLS:  # a run that is finished before the next kill makes room for another
            outputs = f"{config.outputs}-{len(resumed)}"
            resumable, hit = replace(config, outputs=outputs, resume=True), True
            while hit and killed < KILLS:
                hit = run_killed(forks, training_run.run, (resumable,), random.uniform(0.1, took))
                killed += hit
                for directory in Path(outputs).glob("train/*/v*"):
                    if (directory / runs.MANIFEST).exists():
                        all_can_be_read(directory)
                        state = checkpoint.load_state(directory, "cpu")
                        kept.append(state["epoch"] if state else 0)
            resumed.append(training_run.run(resumable))
        assert killed == KILLS and any(0 < epoch < config.epochs for epoch in kept)
        for directory in resumed:
            assert_same_run(unbroken, directory)


# ---------------------------------------------------------------- disks


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """`disk("size=1m")`: a disk of its own, mounted; again, and it has other options."""
    have_root()
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options: str) -> Path:
        again = "remount," if place.is_mount() else ""
        line = ["mount", "-t", "tmpfs", "-o", f"{again}{options}", "sas-test", str(place)]
        subprocess.run(line, check=True)
        return place

    yield mount
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_told_and_harms_nothing(
    tiny: Making, disk: Callable[[str], Path], fault: Fault, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = disk("size=600k") / "outputs"
    config = tiny(outputs=str(outputs), width=40, checkpoint_every=1)
    before = training_run.run(config)
    expected = training_run.run(tiny(width=40, checkpoint_every=1))
    with fault("disk full"):
        with pytest.raises(UserError, match="cannot write to .*: No space left on device"):
            [training_run.run(config) for _ in range(20)]
        all_can_be_read(before)
        assert_same_run(expected, before)
        last = max(outputs.glob("train/*/v*"))
        assert main(["runs", f"outputs={outputs}"]) == 0
        assert f"{before.name} " in capsys.readouterr().out
        disk("size=5m")
        assert training_run.run(replace(config, resume=True)) == last
        assert_same_run(expected, last)


def test_a_read_only_disk_is_told_and_can_be_read(
    tiny: Making, disk: Callable[[str], Path], fault: Fault, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = disk("size=5m") / "outputs"
    config = tiny(outputs=str(outputs))
    directory = training_run.run(config)
    with fault("outputs on a read-only disk", 5):
        disk("ro")
        for changes in ({}, {"resume": str(directory), "epochs": 5}):
            with pytest.raises(UserError, match="cannot write to .*: Read-only file system"):
                training_run.run(replace(config, **changes))
        for words in (
            ["train", "epochs=1"],
            ["train", "-m", "seed=0,1"],
            ["entropy", "run=latest"],
        ):
            assert main([*words, f"outputs={outputs}", "threads=1"]) == 2
            assert "Read-only file system" in capsys.readouterr().err
        assert main(["runs", f"outputs={outputs}"]) == 0
        assert str(directory.relative_to(outputs / "train")) in capsys.readouterr().out
        all_can_be_read(directory)


# ---------------------------------------------------------------- damaged files


def flipped(content: bytes, bit: int) -> bytes:
    """The content with one bit changed."""
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def cut(content: bytes, bit: int) -> bytes:
    """The content up to the byte of that bit."""
    return content[: bit // 8]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["weights.safetensors", "state-4.pt", "checkpoint.json"])
@pytest.mark.parametrize(
    ("damage", "times", "kind"),
    [(flipped, FLIPS, "one bit flipped"), (cut, CUTS, "cut off")],
)
def test_a_damaged_file_is_found_or_harmless(
    name: str, damage: Damage, times: int, kind: str, tiny: Making, fault: Fault
) -> None:
    """Harmless: in a byte of a header that means nothing, say its filling with blanks."""
    directory = training_run.run(tiny())
    network, state = checkpoint.load_network(directory).all, state_of(directory)
    content, found = (directory / name).read_bytes(), 0
    with fault(f"{kind}: weights, checkpoint or its index", times):
        for bit in random.sample(range(8 * len(content)), times):
            (directory / name).write_bytes(damage(content, bit))
            try:
                assert torch.equal(checkpoint.load_network(directory).all, network)
                assert torch.equal(state_of(directory), state)
            except UserError:
                found += 1
        assert found > 0.8 * times


def state_of(directory: Path) -> torch.Tensor:
    """The parameters of the resumable state."""
    state = checkpoint.load_state(directory, "cpu")
    assert state is not None
    return torch.cat([value.flatten() for value in state["rule"]["parameters"].values()])


def test_damage_of_one_run_is_told_by_every_command_and_harms_no_other(
    tiny: Making, fault: Fault, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, damaged = training_run.run(tiny()), training_run.run(tiny())
    expected = training_run.run(tiny())
    outputs = f"outputs={tiny().outputs}"

    def refused(*words: str) -> str:
        assert main([*words, outputs]) == 2
        err = capsys.readouterr().err
        assert err.startswith("sas: ") and err.count("\n") == 1
        return err

    with fault("a damaged run beside a whole one", 4):
        weights = damaged / "weights.safetensors"
        weights.write_bytes(flipped(weights.read_bytes(), 8 * 2000))
        assert "weights.safetensors is damaged" in refused("entropy", f"run={damaged}")
        history = damaged / "history.csv"
        history.write_text(history.read_text()[:-4])
        runs.describe(damaged, status="interrupted")
        (damaged / "state-4.pt").write_bytes(b"")
        resumed = tiny(resume=str(damaged))
        with pytest.raises(UserError, match="state-4.pt is damaged"):
            training_run.run(resumed)
        assert main(["runs", "format=csv", outputs]) == 0
        rows = {line.split(",")[0]: line for line in capsys.readouterr().out.splitlines()}
        assert ",failed,," in rows[str(damaged)] and ",finished,0." in rows[str(whole)]
        runs.describe(damaged, format=0)
        with pytest.raises(UserError, match="has format version 0"):
            training_run.run(resumed)
        assert "has format version 0" in refused("entropy", f"run={damaged}")
        assert_same_run(whole, expected)


def words(config: Train) -> list[str]:
    """The command line of a tiny run."""
    names = ("width", "train_size", "test_size", "batch_size", "epochs", "checkpoint_every")
    given = [f"{name}={getattr(config, name)}" for name in (*names, "threads")]
    return [*given, "lr=0.05", "eval.samples=2", "eval.mean_every=2"]


# ---------------------------------------------------------------- two writers


@pytest.mark.slow
def test_a_second_process_is_refused_and_harms_nothing(
    tiny: Making, forks: ForkServerContext, fault: Fault, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny(epochs=300, checkpoint_every=1)
    line = ["train", *words(config), f"outputs={config.outputs}"]
    first = forks.Process(target=main, args=(line,))
    first.start()
    directory = Path(config.outputs) / "train/digits-gbp-L4-T120/v001"
    while not (directory / checkpoint.INDEX).exists():
        assert first.is_alive()
    assert first.pid
    os.kill(first.pid, signal.SIGSTOP)  # or it may be done before the second looks
    with fault("a second writer to a run"):
        code = main([*line, f"resume={directory}"])
        os.kill(first.pid, signal.SIGCONT)
        assert code == 2
        assert capsys.readouterr().err == f"sas: another process is writing to {directory}\n"
        first.join()
        assert first.exitcode == 0 and runs.manifest_of(directory)["status"] == "finished"
        assert_same_tables(directory, training_run.run(config))


# ---------------------------------------------------------------- hostile files


def test_nothing_is_unpickled_but_by_torch_with_weights_only() -> None:
    loads, forbidden = 0, {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal"}
    for path in sorted((CHECKOUT / "sascli").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called, keywords = ast.unparse(node.func), ast.unparse(node)
            module, _, name = called.rpartition(".")
            assert name not in ("loads", "load") or module not in forbidden, path
            if path.name == "rule.py" and name == "exec":
                continue  # the settings classes of the package's rules, from its own files
            assert name not in ("read_pickle", "eval", "exec", "__import__") or module, path
            assert "allow_pickle=True" not in keywords, path
            if called == "torch.load":
                loads += 1
                assert "weights_only=True" in keywords, path
    assert loads == 1


def hostile(widths: object) -> dict[str, str]:
    """The header of a file that promises such widths."""
    return {"format": "1", "widths": str(widths), "seeds": "[0]"}


@pytest.mark.parametrize(
    ("header", "shape"),
    [
        (hostile([10**9, 10**9]), (1, 1, 1)),
        (hostile([10**9] * 10**4), (1, 1, 1)),
        (hostile("[2, 2"), (1, 2, 2)),
        (hostile("null"), (1, 2, 2)),
        (hostile(["2", "2"]), (1, 2, 2)),
        (hostile([2, 2, 2]), (1, 2, 2)),
        (hostile([2, 3]), (1, 2, 3)),
        (hostile([2, 2]) | {"sha256": "0" * 64}, (1, 2, 2)),
        ({"format": "1"}, (1, 2, 2)),
    ],
    ids=str,
)
def test_a_hostile_header_of_weights_is_refused(
    header: dict[str, str], shape: tuple[int, ...], tmp_path: Path, fault: Fault
) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({f"layers.1.{kind}": torch.zeros(shape) for kind in KINDS}, path, metadata=header)
    told = r"weights.safetensors (cannot be read|is damaged)"
    with fault("hostile header of weights"), pytest.raises(UserError, match=told):
        checkpoint.load_weights(path)


@pytest.mark.parametrize("length", [0, 1, 2**31, 2**63 - 1, 2**64 - 1])
def test_a_hostile_length_of_the_header_is_refused(
    length: int, tmp_path: Path, fault: Fault
) -> None:
    path = tmp_path / "weights.safetensors"
    checkpoint.save_weights(path, FeedForward([2, 2]), [0])
    path.write_bytes(struct.pack("<Q", length) + path.read_bytes()[8:])
    told = r"weights.safetensors cannot be read"
    with fault("hostile header of weights"), pytest.raises(UserError, match=told):
        checkpoint.load_weights(path)


def png(width: int, height: int, content: bytes) -> bytes:
    """A grey PNG file that promises such a size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        own = kind + data
        return struct.pack(">I", len(data)) + own + struct.pack(">I", zlib.crc32(own))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(content)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize(
    "content",
    [png(10**5, 10**5, b""), png(2**31 - 1, 1, b""), png(4, 4, b"\x00"), b"\x89PNG\r\n\x1a\n"],
    ids=["bomb", "wide", "short", "empty"],
)
def test_a_hostile_image_is_refused(content: bytes, tmp_path: Path, fault: Fault) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(4):
            (tmp_path / name / f"{number}.png").write_bytes(png(4, 4, bytes(20)))
    (tmp_path / "dog" / "2.png").write_bytes(content)
    with fault("hostile image"):
        with pytest.raises(UserError, match=r"dog/2\.png cannot be read as an image"):
            load("folder", root=tmp_path, train_size="all", test_size="all")
        (tmp_path / "dog" / "2.png").unlink()
        images = load("folder", root=tmp_path, train_size="all", test_size="all")
        assert len(images.train_y) + len(images.test_y) == 7
