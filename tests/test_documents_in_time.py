"""The generated parts of the documents about the recurrent network equal its tables."""

from importlib import import_module
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
import tables as maker
import temporal_tables as made_up

from sascli import claims, figures, runs
from sascli.config import Figures
from sascli.studies.registry import STUDIES

DOCS = Path(__file__).parents[1] / "docs"
BLOCKS = ("removed", "redrawn", "choices", "selective", "entropy_training", "convergence")


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """docs/build.py."""
    monkeypatch.syspath_prepend(DOCS)
    return import_module("build")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A directory like that of `sas reproduce temporal`, with rows that no document needs."""
    made = made_up.tables()
    made["histograms"] = pd.concat(
        [made["histograms"], made["histograms"].assign(model="rnn_rows")]
    )
    path = maker.directory(
        tmp_path / "study", made, kind="reproduce", study="temporal", reference=made_up.REFERENCE,
        command="sas reproduce temporal", cores=2, status="finished", end=None,
    )  # fmt: skip
    (path / "runs" / "x").mkdir(parents=True)
    made["history"].query("model == 'rnn_rows' and rule == 'bp'").to_csv(
        path / "runs" / "x" / "history.csv", index=False
    )
    return path


@pytest.mark.slow
def test_selected_rows_give_the_same_pictures_and_claims(
    tool: ModuleType, source: Path, tmp_path: Path
) -> None:
    docs = tmp_path / "docs"
    tool.collect(docs, source, "made")
    selected, names = docs / "data" / "made", STUDIES["temporal"].figures
    drawn = [
        figures.plot(names, path, tmp_path / path.name, Figures(format="png"))
        for path in (source, selected)
    ]
    for all_rows, few in zip(*drawn, strict=True):
        assert all_rows.read_bytes() == few.read_bytes()
    tables = [
        claims.evaluate(figures.read_tables(path), made_up.REFERENCE, register="temporal")
        for path in (source, selected)
    ]
    pd.testing.assert_frame_equal(*tables)
    for name in ("histograms", "responses", "trajectories"):
        assert (
            0
            < len(runs.read_table(selected / f"{name}.csv"))
            < len(runs.read_table(source / f"{name}.csv"))
        )


@pytest.mark.slow
def test_generated_parts_equal_the_tables(tool: ModuleType, source: Path, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    tool.collect(docs, source, "made")
    (docs / "results.md").write_text(
        "".join(f"<!-- BEGIN {name} made -->\n<!-- END -->\n" for name in BLOCKS)
    )
    assert tool.main(["build"], docs) == 0
    text, made = (docs / "results.md").read_text(), made_up.tables()
    off = made["perturbation"].query("model == 'rnn_rows' and kind == 'vip_off'")
    for criterion, rows in off[off["fraction"] == 1].groupby("criterion"):
        error = 100 * rows.groupby("seed")["test_error"].mean()
        shown = f"{error.mean():.2f} ± {error.std():.2f}"
        head = f"| {criterion} | rnn_rows | `vip_off` | 1000 ± 0 | 0.10 ± 0.00 |"
        assert any(line.startswith(head) and shown in line for line in text.splitlines())
    redraw = made["redraw"].query("model == 'multisensory'")
    wide = 100 * redraw.pivot_table(values="test_accuracy", index="seed", columns="redraw")
    field = 100 * redraw.groupby("seed")["field_accuracy"].first()
    lost = field - wide["step"]
    assert f"| {lost.mean():.2f} ± {lost.std():.2f} | 5 |" in text
    entropy = made["entropy_epochs"].query("model == 'multisensory' and layer == 2")
    ends = entropy[entropy["estimator"] == "paper"].groupby("seed")["mean"].agg(["first", "last"])
    change = ends["last"] - ends["first"]
    assert f"| {change.mean():.3f} ± {change.std():.3f} | 5 |" in text
    slope = made["sigmoids"].query("way == 'field' and modality == 'va'")["slope"]
    assert f"{slope.mean():.2f} ± {slope.std():.2f}" in text
    assert "0 of 8" in text  # the curves rise
    assert "| mixed | 25.0 ± 0.0 | 0.0 ± 0.0 | 25.0 ± 0.0 | visual 3 | 5 |" in text
    assert "| choice | 25.0 ± 0.0 | 1.0 ± 0.0 | 8.3 ± 0.0 | visual 3 | 5 |" in text
    exponent = made["kernel_decay"].query("alpha == 1").groupby("seed")["exponent"].first()
    assert f"{exponent.mean():.2f} ± {exponent.std():.2f} | 5 |" in text


@pytest.mark.slow
def test_falls_of_the_psychometric_curves_are_counted(
    tool: ModuleType, source: Path, tmp_path: Path
) -> None:
    table = runs.read_table(source / "psychometric.csv")
    low = (table["frequency"] == 14) & (table["modality"] == "a") & (table["way"] == "field")
    table.loc[low, "high"] = 0.5
    runs.write_table(source / "psychometric.csv", table)
    tool.collect(tmp_path / "docs", source, "made")
    (tmp_path / "docs" / "a.md").write_text("<!-- BEGIN choices made -->\n<!-- END -->\n")
    assert tool.main(["build"], tmp_path / "docs") == 0
    text = (tmp_path / "docs" / "a.md").read_text()
    (row,) = [line for line in text.splitlines() if line.startswith("| mean field | a |")]
    assert "| 1 of 8 |" in row
