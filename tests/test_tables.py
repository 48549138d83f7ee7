"""docs/tables.md lists every column of every table and every key of a manifest."""

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pandas.api import types

from sascli.cli import main
from sascli.commands import schema_of
from sascli.rules.gbp import GBP

DOCUMENT = Path(__file__).parents[1] / "docs" / "tables.md"
pytestmark = pytest.mark.slow  # every command, a minute
UNSAMPLED = "model=digits epochs=1 width=4 test_size=40 batch_size=20 device=cpu"
SMALL = f"{UNSAMPLED} eval.samples=2"
COMMANDS = (
    f"train {SMALL} train_size=60 replicas=2",
    f"train {SMALL} train_size=60 lr=[0.1,0.2] decay=[0.0,0.1] name=varied",
    "compare varied digits-gbp-L4-T60",
    "entropy",
    "perturb samples=1 fractions=[0,1]",
    "evaluate samples=2",
    "prune keep=[0.5] tune.epochs=1",
    f"train {SMALL} experiment=copi_digits train_size=60 replicas=2 name=copi",
    "decorrelation run=copi images=2",
    "features run=copi",
    "compress run=copi",
    "kernel widths=[10,20] angles=3 seeds=1 lazy.width=10 lazy.steps=2 lazy.source=digits",
    "order-parameters n=10 epochs=10 seeds=2",
    "train model=multisensory width=12 epochs=2 snapshot_every=1 eval.samples=2 name=task",
    "entropy run=task",
    "psychometric run=task frequencies=[9,16] trials=1 samples=1 dt=20",
    "selectivity run=task trials=1 permutations=9 dt=20",
    "trajectories run=task trials=1 dt=20",
    f"sweep-datasize {SMALL} train_size=[40,60] seeds=2",
    f"continual {UNSAMPLED} tasks=2 seeds=2 lr=[0.01,0.1]",
    f"reproduce credit {SMALL} train_size=60 preset=smoke preset.sizes=[0.5,1] preset.depths=[4] "
    "preset.deep_sizes=[0.5,1]",
    f"reproduce atlas {SMALL} train_size=60 preset=smoke preset.sizes=[0.5,1] preset.depths=[4] "
    "preset.deep_sizes=[0.5,1] preset.vary.T=[] preset.vary.depth=[] preset.vary.optimiser=[]",
    f"reproduce use {SMALL} train_size=60 preset=smoke",
    f"reproduce convolution {SMALL.replace('width=4', 'width=[3,4,5]')} model=digits_conv "
    "train_size=60 preset=smoke",
    f"reproduce copi {UNSAMPLED} train_size=60 preset=smoke preset.rates=[1,1000]",
    "reproduce temporal model=rnn_digits preset=smoke kernel.lazy.source=digits device=cpu",
)
TYPES = {
    "text": types.is_string_dtype,
    "number": types.is_float_dtype,
    "whole number": lambda column: types.is_integer_dtype(
        column.convert_dtypes() if column.hasnans else column
    ),
    "label": lambda column: True,
}
KEYED = {"history", "layers", "histograms", "ensemble", "entropy", "perturbation"}
KEYED |= {"decorrelation", "redraw", "entropy_epochs"}
MEASURED = ("perturb", "entropy")
GATHERING = ("sweep-datasize", "reproduce")
IN_DOCS = {"times", "ablation", "faults", "temporal"}  # see tests/test_documents.py


def sections() -> dict[str, list[list[str]]]:
    """The rows of the first table below each heading, without its header."""
    tables = {}
    for part in DOCUMENT.read_text().split("\n## ")[1:]:
        rows = [
            [cell.strip() for cell in line.strip("|").split("|")]
            for line in part.splitlines() if line.startswith("|")
        ]  # fmt: skip
        tables[part.splitlines()[0]] = rows[2:]
    return tables


def documented(heading: str) -> dict[str, str]:
    """The type of each column listed below a heading."""
    return {name: kind for name, kind, *_ in sections()[heading]}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The outputs of one small run of every command."""
    root = tmp_path_factory.mktemp("tables")
    row = {"replica": 0, "layer": 1, "name": "x", "value": 0.5}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.delenv("SAS_OUTPUTS", raising=False)
        patch.setattr(GBP, "measure", lambda self, x: [row])
        for command in COMMANDS:
            assert main(command.split()) == 0
    return root / "outputs"


def manifest_of(directory: Path) -> dict[str, Any]:
    return dict(json.loads((directory / "manifest.json").read_text()))


def test_every_column_is_documented_with_its_type(outputs: Path) -> None:
    keys, varied = documented("Key columns"), documented("Varied settings")
    seen = set()
    for path in outputs.rglob("*.csv"):
        table, expected = pd.read_csv(path), documented(path.name)
        manifest = manifest_of(path.parent)
        if path.stem == "perturbation" and "temporal" not in path.parts:
            expected.pop("criterion", None)
        if path.stem in ("perturbation", "entropy") and manifest["kind"] not in MEASURED:
            expected.pop("layer_name")
        if path.stem in KEYED and manifest["kind"] in GATHERING:
            expected = keys | expected
            if manifest.get("study") == "temporal":
                expected = {"model": "text"} | expected
        if manifest["kind"] == "compare" and path.stem != "comparison":
            expected = {"run": "text"} | expected | varied
        run = manifest_of(outputs.parent / manifest["run"]) if "run" in manifest else manifest
        if run["kind"] == "train" and "replica" in expected:
            expected = expected | {name: varied[name] for name in varied if name in run}
        assert list(table) == list(expected), path
        for name, kind in expected.items():
            empty = table[name].isna().all()
            assert empty or TYPES[kind](table[name]), f"{name} of {path}"
        seen.add(path.stem)
    tables = {name.removesuffix(".csv") for name in sections() if name.endswith(".csv")}
    assert seen == tables - IN_DOCS


def test_every_key_of_a_manifest_is_documented(outputs: Path) -> None:
    kinds = {command.split()[0] for command in COMMANDS}
    keys: dict[str, set[str]] = {kind: set() for kind in kinds}
    for path in outputs.rglob("manifest.json"):
        manifest = manifest_of(path.parent)
        keys[manifest["kind"]] |= set(manifest)
    rows = sections()["manifest.json"]
    for kind in kinds:
        expected = {
            key for key, where, _ in rows
            if (kind in where.split()) is not where.startswith("all but")
            or where == "all"
        }  # fmt: skip
        assert keys[kind] == expected, kind


def test_config_json_has_every_setting(outputs: Path) -> None:
    for path in outputs.rglob("config.json"):
        manifest = manifest_of(path.parent)
        command = " ".join(filter(None, (manifest["kind"], manifest.get("study"))))
        settings = [field.name for field in fields(schema_of(command))]
        assert set(json.loads(path.read_text())) == set(settings)


def test_example_reads_a_table(
    outputs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = outputs / "train/digits-gbp-L4-T60/v001"
    monkeypatch.chdir(run)
    code = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    exec(next(block for block in code if "history.csv" in block))
    table = pd.read_csv("history.csv")
    assert f"{table['test_accuracy'].mean():.4f}"[:6] in capsys.readouterr().out
