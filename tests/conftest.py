"""What tests share. Its being here also puts this folder on the path, with its helper modules."""

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import counting
import pandas as pd
import pytest
import torch
from gpu.device import gpu, same_noise  # noqa: F401 - fixtures
from PIL import Image
from safetensors.torch import load_file

import sascli
from sascli.cli.composition import Composer
from sascli.commands import schema_of
from sascli.config import Evaluation, Train, typed
from sascli.config.composition import without_hydra
from sascli.data import Data
from sascli.rules.base import Rule
from sascli.training import loop

DATA = Path(os.environ.get("SAS_DATA", "data"))
CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer")
CIFAR_CLASSES += ("dog", "frog", "horse", "ship", "truck")  # as the original batches number them
CHECKOUT = Path(sascli.__file__).parents[1]
Making = Callable[..., Train]


def have(path: Path) -> Path:
    """Return the path, or skip the test; fail instead where $SAS_REQUIRE_DATA is set."""
    if not path.exists():
        message = f"{path} is absent; set $SAS_DATA to a folder that holds it"
        if os.environ.get("SAS_REQUIRE_DATA"):
            pytest.fail(message)
        pytest.skip(message)
    return path


def paint(path: Path, value: int, *, mode: str = "RGB", size: tuple[int, int] = (6, 4)) -> None:
    """Write a picture of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode == "L" else (value, 0, 255)).save(path)


def have_root() -> None:
    """Skip the test where it may not mount; fail where $SAS_REQUIRE_SLURM says that it must."""
    if os.geteuid() != 0:
        if os.environ.get("SAS_REQUIRE_SLURM"):
            pytest.fail("a disk is mounted by root alone")
        pytest.skip("a disk is mounted by root alone")


def env(**variables: str) -> dict[str, str]:
    """The environment of a fresh process that finds this package."""
    return {**os.environ, "PYTHONPATH": str(CHECKOUT), **variables}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that inject faults, and those that mount a disk."""
    for item in items:
        for fixture, marker in (("fault", "fault"), ("disk", "root")):
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(marker)


def pytest_sessionfinish() -> None:
    """Leave the table of the faults where $SAS_FAULTS asks for it."""
    if path := os.environ.get("SAS_FAULTS"):
        counting.write(Path(path))


@pytest.fixture
def fault() -> counting.Fault:
    """What counts faults; they count as survived if the block that it opens comes to its end."""
    return counting.fault


@pytest.fixture
def tiny(tmp_path: Path) -> Making:
    """Settings of a run of a tenth of a second on the digits; arguments change them."""
    config = Train(
        rule={"name": "gbp"},
        width=8,
        train_size=120,
        test_size=60,
        batch_size=50,
        epochs=4,
        lr={"default": 0.05},
        decay={"default": 1e-4},
        eval=Evaluation(samples=2, mean_every=2),
        checkpoint_every=2,
        threads=1,
        outputs=str(tmp_path / "outputs"),
    )
    return lambda **changes: replace(config, **changes)


def composed(command: str, *words: str) -> Any:
    """The settings that a command line gives, checked by its types and not run."""
    composer = Composer(command)
    cfg = composer.compose([str(override.input_line) for override in composer.overrides(words)])
    return typed(without_hydra(cfg), schema_of(command))


def tables(directory: Path) -> dict[str, pd.DataFrame]:
    """Every table of a directory, times aside."""
    paths = sorted(directory.glob("*.csv"))
    return {p.stem: pd.read_csv(p).drop(columns="seconds", errors="ignore") for p in paths}


def assert_same_tables(one: Path, other: Path) -> None:
    """Both directories hold the same tables, bit for bit, times aside."""
    first, second = tables(one), tables(other)
    assert first.keys() == second.keys() and first
    for name, table in first.items():
        pd.testing.assert_frame_equal(table, second[name], check_exact=True, obj=name)


def assert_same_run(one: Path, other: Path) -> None:
    """Both runs end with the same tables and the same weights, bit for bit."""
    assert_same_tables(one, other)
    assert_same_weights(one / "weights.safetensors", other / "weights.safetensors")


def assert_same_weights(one: Path, other: Path) -> None:
    """Both files hold the same tensors, bit for bit; the order of their headers is anything."""
    first, second = load_file(one), load_file(other)
    assert first.keys() == second.keys() and first
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


@pytest.fixture
def signal_in(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`signal_in(2)`: this process gets a signal when epoch 2 of a run is evaluated, once."""
    evaluate = loop.evaluate

    def arrange(epoch: int, number: int = signal.SIGTERM) -> None:
        def interrupted(data: Data, rule: Rule, now: int, *rest: Any) -> Any:
            if now == epoch:
                monkeypatch.setattr(loop, "evaluate", evaluate)
                os.kill(os.getpid(), number)
            return evaluate(data, rule, now, *rest)

        monkeypatch.setattr(loop, "evaluate", interrupted)

    return arrange


@pytest.fixture(scope="session")
def forks() -> ForkServerContext:
    """Makes processes that have torch already, and so begin to work at once."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["conftest", "sascli.studies.base"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{CHECKOUT}{os.pathsep}{Path(__file__).parent}")
        first = context.Process(target=os.getpid)
        first.start()
        first.join()
    return context


def run_killed(
    forks: ForkServerContext, work: Callable[..., object], arguments: Sequence[Any], after: float
) -> bool:
    """Run a function in a process that gets SIGKILL after some seconds; whether it hit."""
    process = forks.Process(target=work, args=arguments)
    process.start()
    process.join(after)
    process.kill()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0
