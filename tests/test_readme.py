"""The README's Python runs as printed, and so does that of docs/tables.md for pruned networks."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import DATA, have

from sascli.cli import main

ROOT = Path(__file__).parents[1]


def blocks(document: str) -> list[str]:
    """The Python blocks of a document."""
    return re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)


EXAMPLE = "\n".join(blocks("README.md"))
SPARSE = next(block for block in blocks("docs/tables.md") if "csr_array" in block)
"""Run by tests/measure/test_evaluate_and_prune.py."""


@pytest.fixture(
    scope="module",
    params=[
        "epochs=12",
        pytest.param("model=multisensory width=12 epochs=1 replicas=2", marks=pytest.mark.slow),
        pytest.param("model=mnist train_size=1000 epochs=12", marks=pytest.mark.mnist),
    ],
    ids=["digits", "task", "mnist"],
)
def output(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The output of the example in a folder where `sas train` was run once."""
    folder = tmp_path_factory.mktemp("readme")
    words = ["train", *request.param.split(), f"outputs={folder / 'outputs'}"]
    if "mnist" in request.param:
        words.append(f"data.root={have(DATA).absolute()}")
    assert main(words) == 0
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", EXAMPLE]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_sampled_network_is_tested_on_the_data_of_its_run(output: str) -> None:
    accuracies = [float(text) for text in re.findall(r"[01]\.\d+", output.split("]")[0])]
    assert min(accuracies) > 0.3  # guessing has 0.1, of the task's two choices 0.5


def test_pandas_reads_tables(output: str) -> None:
    assert [line.split()[0] for line in output.splitlines()[-3:]] == ["1", "2", "3"]
    assert "sparsity" in output
