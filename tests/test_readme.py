"""The README's Python runs as printed, and so does that of docs/tables.md for pruned networks."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sascli.cli import main

ROOT = Path(__file__).parents[1]


def blocks(document: str) -> list[str]:
    """The Python blocks of a document."""
    return re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)


SAMPLED, TABLES = blocks("README.md")
SPARSE = next(block for block in blocks("docs/tables.md") if "csr_array" in block)
"""Run by tests/measure/test_evaluate_and_prune.py."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `sas train` was run once."""
    folder = tmp_path_factory.mktemp("readme")
    assert main(["train", "epochs=12", f"outputs={folder / 'outputs'}"]) == 0
    return folder


def printed(block: str, folder: Path) -> str:
    """The output of a block run in the folder."""
    words = [sys.executable, "-c", block]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_sampled_network_classifies_test_images(folder: Path) -> None:
    accuracy = float(re.findall(r"0\.\d+", printed(SAMPLED, folder))[0])
    assert accuracy > 0.5  # guessing has 0.1


def test_pandas_reads_tables(folder: Path) -> None:
    output = printed(TABLES, folder)
    assert [line.split()[0] for line in output.splitlines()[-3:]] == ["1", "2", "3"]
    assert "sparsity" in output
