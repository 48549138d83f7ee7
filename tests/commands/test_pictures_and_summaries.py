"""`sas train`, `perturb`, `entropy`, `plot` and `compare`: what they print, draw and refuse."""

from pathlib import Path

import pandas as pd
import pytest
import tables
from PIL import Image

from sascli import runs
from sascli.analysis import rates
from sascli.cli import main

TINY = ("width=6", "train_size=60", "test_size=40", "batch_size=30", "epochs=2")
TINY += ("eval.samples=2", "threads=1")
Screen = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs: two seeds by gBP, one by BP, and two learning rates."""
    folder = tmp_path_factory.mktemp("compared") / "outputs"
    for words in ("name=a replicas=2", "name=b rule=bp", "name=rates lr=[0.02,0.2] seeds=[0,1]"):
        assert main(["train", *TINY, *words.split(), f"outputs={folder}"]) == 0
    return folder


def test_train_ends_with_a_line_per_rate_and_the_best(outputs: Path) -> None:
    table = pd.read_csv(outputs / "train/rates/v001/history.csv")
    *lines, last = rates.overview({"history": table}).splitlines()
    final = 100 * table[table["epoch"] == 2].groupby("lr")["test_accuracy"].agg(["mean", "std"])
    assert lines == [
        f"lr {lr:g}: test accuracy {row['mean']:.2f} ± {row['std']:.2f} %"
        for lr, row in final.iterrows()
    ]
    assert last.endswith(f"highest: lr {final['mean'].idxmax():g}")
    one = pd.read_csv(outputs / "train/a/v001/history.csv")
    assert rates.overview({"history": one}) == ""


def test_train_with_rates_prints_them_last(tmp_path: Path, capsys: Screen) -> None:
    words = [*TINY, "lr=[0.02,0.2]", "figures.format=svg", f"outputs={tmp_path}"]
    assert main(["train", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3].startswith("lr 0.02: test accuracy ") and " ± " not in lines[-3]
    assert lines[-1].startswith("highest: lr 0.")
    (run,) = tmp_path.glob("train/*/v001")
    assert {path.name for path in run.glob("overview.*")} == {"overview.svg"}


def test_perturb_prints_a_summary_and_draws(outputs: Path, capsys: Screen) -> None:
    words = ["run=a", "samples=1", "fractions=[0,0.5,1]", "layer=[1,2]", f"outputs={outputs}"]
    assert main(["perturb", *words]) == 0
    out, made = capsys.readouterr().out, outputs / "perturb/a/v001"
    table = pd.read_csv(made / "perturbation.csv")
    shown = table.query("layer == 2 and fraction == 1 and kind == 'random_off'")["test_error"]
    assert f"{round(shown.mean(), 4):g}" in out.splitlines()[-1]
    assert "0.5 " not in "".join(line[:16] for line in out.splitlines()[-5:])  # the ends alone
    assert {*table["layer_name"]} == {"input", "hidden"}
    with Image.open(made / "perturbation.png") as image:
        assert "f times the number of VIPs" in image.info["Description"]


def test_entropy_prints_a_summary_and_draws(outputs: Path, capsys: Screen) -> None:
    assert main(["entropy", "run=a", f"outputs={outputs}", "figures.format=[png]"]) == 0
    out, made = capsys.readouterr().out, outputs / "entropy/a/v001"
    table = pd.read_csv(made / "entropy.csv").query("layer == 3 and estimator == 'mixed'")
    assert f"{table['mean'].mean():.4f}" in out.splitlines()[-1]
    histograms = pd.read_csv(made / "histograms.csv")
    trained = pd.read_csv(outputs / "train/a/v001/histograms.csv")
    same = trained[trained["parameter"] == "entropy"].reset_index(drop=True)
    pd.testing.assert_frame_equal(histograms, same)
    assert {path.name for path in made.glob("entropy.p*")} == {"entropy.png"}


def test_plot_draws_what_a_run_has(
    outputs: Path, tmp_path: Path, capsys: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = f"outputs={outputs}"
    run = outputs / "train/rates/v001"
    (run / "overview.png").unlink()
    assert main(["plot", "from=rates", place]) == 0 and (run / "overview.png").exists()
    assert main(["plot", f"from={run}", f"out={tmp_path}", "figures.format=svg"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["overview.svg"]
    capsys.readouterr()
    assert main(["plot", f"from={run}", "figure=fig2a"]) == 2
    assert "figures and claims need one of `sas reproduce`" in capsys.readouterr().err
    (tmp_path / "manifest.json").write_text((run / "manifest.json").read_text())
    assert main(["plot", f"from={tmp_path}"]) == 2
    assert "has no table that a figure shows" in capsys.readouterr().err
    assert main(["plot", "from=nothing", place]) == 2
    assert "there is no finished run 'nothing'" in capsys.readouterr().err


def test_compare_joins_runs_in_one_table_and_one_picture(outputs: Path, capsys: Screen) -> None:
    place = f"outputs={outputs}"
    assert main(["compare", "a", str(outputs / "train/b/v001"), "rates", place]) == 0
    out, made = capsys.readouterr().out, outputs / "compare/default/v001"
    table = pd.read_csv(made / "comparison.csv", keep_default_na=False)
    assert list(zip(table["run"], table["rates"], strict=True)) == [
        ("a", ""), ("b", ""), ("rates", "lr 0.02"), ("rates", "lr 0.2")
    ]  # fmt: skip
    history = pd.read_csv(outputs / "train/a/v001/history.csv").query("epoch == 2")
    first = table.iloc[0]
    assert first["test_accuracy"] == pytest.approx(history["test_accuracy"].mean())
    assert float(first["test_accuracy_std"]) == pytest.approx(history["test_accuracy"].std())
    assert first["networks"] == 2 and table["sparsity"][1] == 0
    layers = pd.read_csv(outputs / "train/a/v001/layers.csv")
    weights = layers["n_in"] * layers["n_out"]
    mean = (layers["sparsity"] * weights).sum() / weights.sum()
    assert first["sparsity"] == pytest.approx(mean)
    assert max(map(len, out.splitlines()[-5:])) <= 80 and out.splitlines()[-5].split()[0] == "rule"
    joined = pd.read_csv(made / "history.csv")
    assert len(joined) == sum(
        len(pd.read_csv(outputs / f"train/{name}/v001/history.csv"))
        for name in ("a", "b", "rates")
    )
    with Image.open(made / "comparison.png") as image:
        assert image.info["Description"].startswith("4 runs.")
    assert runs.manifest_of(made)["runs"]["b"] == str((outputs / "train/b/v001").resolve())
    (made / "comparison.png").unlink()
    assert main(["plot", f"from={made}"]) == 0 and (made / "comparison.png").exists()
    (made / "comparison.png").unlink()
    assert main(["plot", f"from={made.parent}"]) == 0 and (made / "comparison.png").exists()


@pytest.mark.slow
def test_compare_names_versions_and_refuses_one_run(outputs: Path, capsys: Screen) -> None:
    place = f"outputs={outputs}"
    assert main(["train", *TINY, "name=b", "rule=bp", "seed=4", place]) == 0
    versions = [str(outputs / f"train/b/v00{number}") for number in (1, 2)]
    assert main(["compare", *versions, "name=versions", place]) == 0
    table = pd.read_csv(outputs / "compare/versions/v001/comparison.csv")
    assert list(table["run"]) == ["b/v001", "b/v002"]
    capsys.readouterr()
    for words in (["a"], ["a", "a"], []):
        assert main(["compare", *words, place]) == 2
        assert "needs two or more different runs" in capsys.readouterr().err
    assert main(["compare", "a", "missing", place]) == 2
    assert "there is no finished run 'missing'" in capsys.readouterr().err


def test_study_beside_from_must_be_that_of_the_directory(
    outputs: Path, tmp_path: Path, capsys: Screen
) -> None:
    study = tables.directory(tmp_path / "study", {})
    for command in ("claims", "plot"):
        assert main([command, f"from={study}", "study=copi"]) == 2
        message = f"{study} is a directory of the study credit, not of copi: leave study out"
        assert capsys.readouterr().err == f"sas: {message}\n"
    assert main(["plot", f"from={outputs}/train/a/v001", "study=credit"]) == 2
    assert "v001 is a directory of no study, not of credit" in capsys.readouterr().err
    assert main(["plot", f"from={study}", "figure=copi_rates"]) == 2
    message = "copi_rates is a figure of another study: write study=copi instead of from"
    assert capsys.readouterr().err == f"sas: {message}\n"
