"""The README's Python runs as it stands."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sascli.cli import main

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()
SAMPLED, SPARSE, TABLES = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
"""The second is run by tests/test_use.py."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `sas train` was typed once."""
    folder = tmp_path_factory.mktemp("readme")
    assert main(["train", "epochs=12", f"outputs={folder / 'outputs'}"]) == 0
    return folder


def run(block: str, folder: Path) -> str:
    """What a block prints, run in the folder."""
    words = [sys.executable, "-c", block]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_sampled_network_classifies_a_batch(folder: Path) -> None:
    accuracy = float(re.findall(r"0\.\d+", run(SAMPLED, folder))[0])
    assert accuracy > 0.5  # one in ten is guessing


def test_tables_are_read_with_pandas(folder: Path) -> None:
    printed = run(TABLES, folder)
    assert [line.split()[0] for line in printed.splitlines()[-3:]] == ["1", "2", "3"]
    assert "sparsity" in printed


def test_the_example_is_ten_lines(folder: Path) -> None:
    lines = [line for line in SAMPLED.splitlines() if line.strip()]
    assert len(lines) <= 10
