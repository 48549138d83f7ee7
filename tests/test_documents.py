"""docs/build.py: the selected rows give the same pictures and claims; differences are reported."""

from collections import Counter
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import copi_tables
import counting
import pandas as pd
import pytest
import tables as maker
import temporal_tables
import use_tables
from test_tables import documented

from sascli import claims, figures, runs
from sascli.cli import main
from sascli.errors import UserError
from sascli.studies.registry import STUDIES

DOCS = Path(__file__).parents[1] / "docs"
BLOCKS = ("provenance", "accuracy", "against_bp", "layers", "arch", "vips", "uncertain", "search")
BLOCKS += ("datasize", "perturbation", "claims")
ALL, FEW = STUDIES["credit"].figures, ("fig2a", "fig4a")
TEXT = "".join(f"<!-- BEGIN {name} made -->\n<!-- END -->\n" for name in BLOCKS)
TEXT += (
    "<!-- BEGIN figure made fig2a -->\n<!-- END -->\n<!-- BEGIN accuracy none -->\n<!-- END -->\n"
)


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """docs/build.py, drawing two figures only."""
    monkeypatch.syspath_prepend(DOCS)
    monkeypatch.setitem(STUDIES, "credit", replace(STUDIES["credit"], figures=FEW))
    return import_module("build")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A directory like that of `sas reproduce credit`, with more rows than the documents need."""
    made = maker.tables(2)
    for rule in ("gbp", "bp"):
        key = {"rule": rule, "depth": 4, "train_size": 10_000}
        rates = [
            key | {"lr": 0.1, "seed": s, "validation_accuracy": 0.9 + 0.01 * s} for s in (0, 1)
        ]
        networks = [
            key | {"replica": s, "seed": s, "sample": n, "test_accuracy": 0.9, "test_error": 0.1}
            for s in (0, 1) for n in (0, 1)
        ]  # fmt: skip
        for name, records in (("search", rates), ("ensemble", networks)):
            made[name] = pd.concat([made.get(name, pd.DataFrame()), pd.DataFrame(records)])
    made["datasize"] = pd.concat([made["datasize"], made["datasize"].assign(rule="bp")])
    made["layers"] = made["datasize_layers"].assign(n_out=100, n_in=100)
    path = maker.directory(
        tmp_path / "figures", made, rates={"gbp": {"default": 0.1}, "bp": 0.1},
        cores=2, status="finished", end="2026-11-21T01:00:00+0000", cut="three seeds, for time",
    )  # fmt: skip
    run = path / "runs" / "gbp"
    run.mkdir(parents=True)
    made["history"].query("rule == 'gbp'").to_csv(run / "history.csv", index=False)
    return path


@pytest.fixture
def docs(tmp_path: Path, source: Path, tool: ModuleType) -> Path:
    """A folder of documents, built."""
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "results.md").write_text(TEXT)
    assert tool.main(["collect", str(source), "made"], folder) == 0
    assert tool.main(["build"], folder) == 0
    return folder


@pytest.mark.slow
def test_selected_rows_give_the_same_pictures_and_claims(
    docs: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(STUDIES, "credit", replace(STUDIES["credit"], figures=ALL))
    selected = docs / "data" / "made"
    pictures = [
        figures.plot(ALL, path, tmp_path / name)
        for name, path in (("all", source), ("few", selected))
    ]
    for all_rows, few in zip(*pictures, strict=True):
        assert all_rows.read_bytes() == few.read_bytes()
    tables = [
        claims.evaluate(figures.read_tables(path), maker.REFERENCE) for path in (source, selected)
    ]
    pd.testing.assert_frame_equal(*tables)
    smaller = [
        path.name for path in selected.glob("*.csv")
        if path.name != "times.csv" and path.stat().st_size < (source / path.name).stat().st_size
    ]  # fmt: skip
    assert {"perturbation.csv", "layers.csv"} <= set(smaller)
    assert list(runs.read_table(selected / "times.csv")) == list(documented("times.csv"))


def test_generated_parts_equal_the_tables(docs: Path) -> None:
    text = (docs / "results.md").read_text()
    history = runs.read_table(docs / "data/made/history.csv").query("rule == 'gbp' & epoch == 20")
    accuracy = 100 * history["test_accuracy"]
    assert f"| gBP | 0.1 | {accuracy.mean():.2f} ± {accuracy.std():.2f} |" in text
    assert "| 10000 | 0.1 | 90.50 ± 0.71 | 90.50 ± 0.71 | 2 |" in text
    assert "| cut against the publication | three seeds, for time |" in text
    between = [line for line in text.splitlines() if line.startswith("| 10000 |")]
    final = runs.read_table(docs / "data/made/history.csv").query("epoch > 15")
    mean = 100 * final.groupby(["rule", "seed"])["test_accuracy"].mean().unstack("rule")
    difference = mean["gbp"] - mean["bp"]
    last = final.query("epoch == 20").pivot(index="seed", columns="rule")["test_accuracy_mean"]
    means = 100 * (last["gbp"] - last["bp"])
    cells = (
        f"| {difference.mean():.2f} | {difference.sem():.2f} | 5 | 0.00 | 0.00 "  # equal errors
        f"| {means.mean():.2f} | {means.sem():.2f} | 0.1 | 10000 | 2 |"
    )
    assert sum(line.endswith(cells) for line in between) == 1
    assert "from T = 1000 on the mean of gBP is not below that of BP" in text
    layers = runs.read_table(docs / "data/made/layers.csv").query("depth == 5 and layer == 4")
    vip = layers["vip_fraction"]
    vips = f"{1e4 * vip.mean():.0f} ± {1e4 * vip.std():.0f} | {100 * vip.mean():.1f}"
    assert f"| 4 | 10000 | {vips} ± " in text
    assert "![fig2a](figures/made/fig2a.png)\n\nFig. 2(a). Test accuracy" in text
    assert "there is no `docs/data/none`" in text
    assert text.count("made by `sas reproduce credit model=mnist preset=quick`") == 9


@pytest.mark.slow
def test_check_reports_differences(
    docs: Path, tool: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tool.main(["check"], docs) == 0
    text, picture = docs / "results.md", docs / "figures/made/fig2a.png"
    text.write_text(text.read_text().replace("90.50 ± 0.71 | 2", "90.51 ± 0.71 | 2"))
    picture.write_bytes((docs / "figures/made/fig4a.png").read_bytes())
    assert tool.main(["check"], docs) == 1
    out = capsys.readouterr().out
    assert "docs/results.md differs" in out and "docs/figures/made/fig2a.png differs" in out
    (docs / "figures/made/fig4a.png").unlink()
    assert tool.main(["build"], docs) == 0 and tool.main(["check"], docs) == 0


def test_unknown_block_is_an_error(docs: Path, tool: ModuleType) -> None:
    (docs / "results.md").write_text("<!-- BEGIN accuracies made -->\n<!-- END -->\n")
    with pytest.raises(UserError, match="unknown block accuracies"):
        tool.main(["build"], docs)
    assert tool.main(["what"], docs) == 2


@pytest.mark.slow
def test_ablation_gathers_its_variants(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ablation, blocks = import_module("ablation"), import_module("blocks")
    monkeypatch.setattr(ablation, "VARIANTS", ("", "lr=0.01", "depth=5"))
    small = "model=digits width=4 epochs=1 train_size=60 test_size=40 batch_size=20 replicas=2"
    words = [*small.split(), "device=cpu", f"outputs={tmp_path}"]
    out = tmp_path / "data" / "ablation.csv"
    out.parent.mkdir()
    for _ in range(2):  # the second time nothing is trained
        ablation.ablation(words, out)
        assert len(list(tmp_path.glob("train/*/*"))) == 3
    table = runs.read_table(out)
    assert list(table) == list(documented("ablation.csv"))
    assert table.groupby("setting", sort=False).size().to_dict() == {
        "as published": 2 * 3, "lr=0.01": 2 * 3, "depth=5": 2 * 4
    }  # fmt: skip
    text = blocks.BLOCKS["ablation"](blocks.Source(tmp_path, "ablation", tmp_path))
    assert "| `as published` | " in text and text.count("\n| `") == 3


def test_faults_are_counted_and_summed(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("INJECTED", "SURVIVED"):
        monkeypatch.setattr(counting, name, Counter())
    with counting.fault("b", 20), counting.fault("a"):
        pass
    with pytest.raises(OSError, match="lost"), counting.fault("b", 2):
        raise OSError("lost")
    path = tmp_path / "data" / "faults.csv"
    path.parent.mkdir()
    counting.write(path)
    assert path.read_text() == "fault,injected,survived\na,1,1\nb,22,20\n"
    assert list(runs.read_table(path)) == list(documented("faults.csv"))
    blocks = import_module("blocks")
    text = blocks.BLOCKS["faults"](blocks.Source(tmp_path, "faults", tmp_path))
    assert "| a | 1 | 1 | 0 |\n| b | 22 | 20 | 2 |\n| **all** | 23 | 21 | 2 |" in text


@pytest.mark.slow
def test_parts_of_the_use_of_credit(tool: ModuleType, tmp_path: Path) -> None:
    made = use_tables.tables()
    key = {"rule": "bp", "depth": 4, "train_size": 10_000}
    made["search"] = pd.DataFrame([key | {"lr": 0.1, "seed": 0, "validation_accuracy": 0.91}])
    made["continual_search"] = pd.DataFrame(
        {"protocol": "split", "method": "ewc", "lr": [0.1, 0.2], "strength": 1.0}
    )
    source = maker.directory(
        tmp_path / "use", made, kind="reproduce", study="use", reference=use_tables.REFERENCE
    )
    (source / "runs" / "bp").mkdir(parents=True)
    maker.tables()["history"].to_csv(source / "runs/bp/history.csv", index=False)
    blocks = ("claims", "search", "ways", "pruning", "sparse made snr", "protection")
    parts = [f"<!-- BEGIN {name if ' ' in name else f'{name} made'} -->" for name in blocks]
    (tmp_path / "results.md").write_text("".join(f"{part}\n<!-- END -->\n" for part in parts))
    assert tool.main(["collect", str(source), "made"], tmp_path) == 0
    assert tool.main(["build"], tmp_path) == 0
    selected = runs.read_table(tmp_path / "data/made/confusion.csv")
    assert len(selected) == len(made["confusion"]) / 6  # one rule and way of two and three
    text, all_names = (tmp_path / "results.md").read_text(), STUDIES["use"].figures
    pictures = [
        figures.plot(all_names, path, tmp_path / name)
        for name, path in (("all", source), ("few", tmp_path / "data/made"))
    ]
    for all_rows, few in zip(*pictures, strict=True):
        assert all_rows.read_bytes() == few.read_bytes()
    assert "holds: 10, does not hold: 0, not measured: 0." in text
    assert "| 0.1 | 91.00 | 1 |" in text
    error = made["evaluation"].query("rule == 'gbp' and way == 'ensemble'")["calibration_error"]
    assert f"{100 * error.mean():.2f} ± " in text
    cut = made["pruning"].query("rule == 'gbp' and criterion == 'pi' and level == 0.2")
    shown = 100 * cut[cut["epochs"] == 3]["test_accuracy"]
    assert f"| epochs: 3 | 20 | {shown.mean():.1f} ± {shown.std():.1f} |" in text
    assert "| 20% | csr | 18000 | 40 | 120 | 20.0 ± 0.0 | " in text
    lost = made["continual_summary"].query("protocol == 'permuted' and method == 'vip'")
    lost = 100 * lost["forgetting"]
    assert "| permuted | gBP, frozen | 0.1 | 1 | " in text
    assert ends_of_grids() == ["", "rate", "strength", "rate, strength", ""]
    assert f"| {lost.mean():.1f} ± {lost.std():.1f} | 3 |" in text


def ends_of_grids() -> list[str]:
    """The ends at which the best of grids of rates and strengths are, and of one trial."""
    ends = import_module("blocks.use").ends
    grid = pd.DataFrame(
        [(lr, s) for lr in (1, 2, 3) for s in (4, 5, 6)], columns=["lr", "strength"]
    )
    best = [
        pd.DataFrame({"lr": [lr], "strength": [s]}) for lr, s in ((2, 5), (1, 5), (2, 6), (3, 4))
    ]
    return [*(str(ends(grid, point)) for point in best), str(ends(grid[:1], best[1]))]


@pytest.mark.slow
def test_recurrent_training_is_gathered_from_run_directories(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporal, blocks = import_module("temporal"), import_module("blocks")
    small = "train_size=60 test_size=40 width=6 epochs=2 replicas=2 eval.samples=2 device=cpu"
    for name in ("rnn_rows", "multisensory"):
        settings = small if name == "rnn_rows" else "width=9 epochs=2 eval.samples=2"
        settings += " model.name=rnn_rows model.source=digits model.n_in=8" * (name == "rnn_rows")
        words = [
            "train",
            f"model={name}",
            *settings.split(),
            f"outputs={tmp_path}",
            f"name={name}",
        ]
        monkeypatch.setattr("sys.argv", ["sas", *words])
        assert main(words) == 0
    out = tmp_path / "data" / "temporal.csv"
    out.parent.mkdir()
    runs_of = [tmp_path / "train" / name / "v001" for name in ("rnn_rows", "multisensory")]
    temporal.gather(runs_of, out)
    table = runs.read_table(out)
    assert list(table) == list(documented("temporal.csv"))
    assert list(table["epoch"]) == [1, 1, 2, 2, 1, 2]
    for redraw in ("once", "step"):
        final = [False, False, True, True, False, True]
        assert table[f"{redraw}_mean"].notna().tolist() == final
    networks = runs.read_table(runs_of[0] / "ensemble.csv").groupby("seed")["test_accuracy"]
    assert table["once_mean"][2:4].tolist() == pytest.approx(networks.mean().tolist())
    assert not table["setting"].str.contains(" (?:outputs|name)=").any()
    source = blocks.Source(tmp_path, "temporal", tmp_path)
    assert blocks.BLOCKS["temporal"](source).count("\n| `sas train model=") == 2
    pd.DataFrame({"epoch": [2, 8], "test_accuracy": [0.735, 0.88]}).to_csv(
        out.with_name("other.csv"), index=False
    )


def test_epochs_of_the_study_stand_beside_a_reference(tool: ModuleType, tmp_path: Path) -> None:
    blocks, made = import_module("blocks"), temporal_tables.tables(3)
    maker.directory(
        tmp_path / "data/temporal", made, study="temporal", reference={"digits": "rnn_rows"}
    )
    reference = pd.DataFrame({"epoch": [2, 8], "test_accuracy": [0.735, 0.88]})
    reference.to_csv(tmp_path / "data/other.csv", index=False)
    source = blocks.Source(tmp_path, "temporal", tmp_path)
    text = blocks.BLOCKS["temporal_epochs"](source, "other", "1,2,999")
    rows = made["history"].query("model == 'rnn_rows' and rule == 'gbp' and epoch == 2")
    accuracy = 100 * rows["test_accuracy"]
    assert len(rows) == 3 and "| 1 | " in text and "| 999 | " not in text
    assert f"| 2 | {accuracy.mean():.2f} ± {accuracy.std():.2f} | 73.5 |" in text


COPI_BLOCKS = ("claims", "copi", "losses", "rates", "largest", "gains", "correlation",
               "compression", "provenance")  # fmt: skip


def copi_text(tool: ModuleType, folder: Path, made: maker.Tables, **entries: Any) -> str:
    """The parts generated from tables of COPI's study."""
    rates = dict.fromkeys([*copi_tables.FINAL, "bp-plain"], 0.001)
    source = maker.directory(
        folder / "copi", made, kind="reproduce", study="copi",
        reference=copi_tables.REFERENCE, rates=rates, cores=2,
        status="finished", end="2026-11-21T01:00:00+0000", **entries,
    )  # fmt: skip
    (source / "runs" / "gbp").mkdir(parents=True)
    maker.tables()["history"].to_csv(source / "runs/gbp/history.csv", index=False)
    (folder / "results.md").write_text(
        "".join(f"<!-- BEGIN {name} made -->\n<!-- END -->\n" for name in COPI_BLOCKS)
    )
    assert tool.main(["collect", str(source), "made"], folder) == 0
    assert tool.main(["build"], folder) == 0
    return (folder / "results.md").read_text()


@pytest.mark.slow
def test_parts_of_copi(tool: ModuleType, tmp_path: Path) -> None:
    made = copi_tables.tables()
    copi_tables.lose(made, "bp-adam", 2)
    gain = {"rule": "copi", "point": "copi-bp-gain100", "gain": 100.0, "diverged": 3}
    made["arms"] = pd.concat(
        [made["arms"], pd.DataFrame([gain | {"lr": 1e-3, "seed": s} for s in (0, 1)])]
    )
    text = copi_text(tool, tmp_path, made, cut="Five epochs.")
    for name in made:
        selected = runs.read_table(tmp_path / f"data/made/{name}.csv")
        assert len(selected) == len(made[name])
    assert "holds: 5, does not hold: 0, not measured: 1." in text  # not a published network
    assert "| cut against the publication | Five epochs. |" in text
    last = 100 * made["history"].query("point == 'copi-fa' and epoch == 5")["test_accuracy"]
    assert f"| {last.mean():.2f} ± {last.std():.2f} | 3 |" in text
    adam = 100 * made["history"].query("point == 'bp-adam' and epoch == 5")["test_accuracy"]
    assert f"| {adam.mean():.2f} ± {adam.std():.2f} | 2 of 3 |" in text
    assert "regression (scikit-learn) on the same images: 92.00 %" in text
    rows = [line for line in text.splitlines() if line.startswith("| 0.001 | ")]
    assert rows[0].count("| 3 of 3 diverged |") == 1 and " nan" not in text
    after = made["decorrelation"].query("epoch == 5 and layer == 2")["after"]
    assert f"| {after.mean():.3f} ± {after.std():.3f} |" in text
    assert "| BP, plain | 0.001 | diverged | diverged | 0 of 3 |" in text
    assert "| COPI-BP | 0.001 | -3 ± 0 | 0.0001 to 0.01 | 3 of 3 |" in text
    assert "| BP, plain | 0.0001 | -4 ± 0 | 0.0001 to 0.01 | 3 of 3 |" in text
    low = made["gains"].query("gain == 10 and epoch == 5")["test_accuracy"] * 100
    assert "| COPI-BP | 10 | 0.001 | " in text
    assert f"| {low.mean():.2f} ± {low.std():.2f} |" in text
    assert "| COPI-BP | 100 | 0.001 | diverged | diverged |  | 0 of 2 |" in text
    loss = made["history"].query("point == 'copi-local' and epoch == 5")["train_loss"]
    assert f"| {loss.mean():.3g} ± {loss.std():.2g} | 3 |" in text
    assert "| 1 (residual correlation) | " in text


@pytest.mark.slow
def test_copi_tables_of_earlier_versions_are_shown(tool: ModuleType, tmp_path: Path) -> None:
    assert "| cut |" not in copi_text(tool, tmp_path, copi_tables.tables())
    for name in ("arms", "gains"):
        (tmp_path / "data" / "made" / f"{name}.csv").unlink()
    assert tool.main(["build"], tmp_path) == 0
    text = (tmp_path / "results.md").read_text()
    assert "`docs/data/made` has no `gains.csv`" in text
    assert "| BP, plain | 0.001 | diverged | diverged | 0 |" in text
    assert "holds: 5, does not hold: 0, not measured: 1." in text
    assert not (tmp_path / "figures/made/copi_gains.png").exists()
    assert (tmp_path / "figures/made/copi_loss.png").exists()
