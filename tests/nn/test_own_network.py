"""docs/own-network.md: its code runs as printed and prints what the document shows."""

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

TEXT = (Path(__file__).parents[2] / "docs/own-network.md").read_text()
NUMBER = re.compile(r"-?\d+\.\d+|-?\d+")
PARTS = re.findall(r"```python\n([^`]*)```\n\n```text\n([^`]*)```", TEXT)


def run(code: str, names: dict[str, Any]) -> str:
    """What the code prints."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, names)
    return printed.getvalue()


def test_three_lines_convert_a_model() -> None:
    code = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)[0]
    names = {"torch": torch, "model": nn.Sequential(nn.Linear(3, 2))}
    run(code, names)
    assert len([line for line in code.splitlines() if line and "import" not in line]) == 3
    assert repr(names["model"]).count("SpikeSlabLinear") == 1


def test_printed_output_is_that_of_the_document() -> None:
    names: dict[str, Any] = {}
    assert len(PARTS) == 4
    with torch.random.fork_rng(devices=[]):
        outputs = [run(code, names) for code, _ in PARTS]
    for got, (_, want) in zip(outputs, PARTS, strict=True):
        assert NUMBER.sub("#", got).split() == NUMBER.sub("#", want).split()
        for a, b in zip(NUMBER.findall(got), NUMBER.findall(want), strict=True):
            # Another processor rounds differently, and training makes of it another seed.
            assert float(a) == pytest.approx(float(b), rel=0.5, abs=0.3), got
    last = [[float(line.split(": ")[-1]) for line in outputs[n].splitlines()] for n in (0, 2, 3)]
    assert min(last[0]) > 0.88
    vip, other = last[1]
    assert vip < other - 0.1
    assert last[2].index(max(last[2])) == 2  # magnitude
