"""`sas reproduce use`: its tables, resuming, invalid settings."""

from pathlib import Path
from shutil import copytree, rmtree

import pandas as pd
import pytest
import torch
from conftest import assert_same_tables, composed

from sascli import continual, runs
from sascli.cli import main
from sascli.config import METHODS, Prune, ReproduceUse, check, strengths
from sascli.continual import matrix
from sascli.measure import prune
from sascli.measure.evaluate import evaluate
from sascli.measure.record import Results
from sascli.measure.run import TrainedRun
from sascli.studies.base import reproduce
from sascli.studies.pieces import once
from sascli.studies.registry import STUDIES
from sascli.studies.use import Use
from sascli.training import run as training_run

SMALL = "model=digits preset=smoke width=6 train_size=600 test_size=60 batch_size=50 threads=1"


def settings(outputs: Path, *words: str) -> ReproduceUse:
    """A small smoke preset."""
    config: ReproduceUse = composed("reproduce use", *SMALL.split(), f"outputs={outputs}", *words)
    check(config)
    return config


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of an uninterrupted study."""
    return reproduce(Use(settings(tmp_path_factory.mktemp("use"))))


@pytest.mark.slow
def test_tables_pictures_claims_and_report(unbroken: Path) -> None:
    study = STUDIES["use"]
    assert {path.stem for path in unbroken.glob("pictures/*.png")} == set(study.figures)
    claims = pd.read_csv(unbroken / "claims.csv")
    assert len(claims) == 10 and "not measured" not in set(claims["verdict"])
    assert study.title in (unbroken / "report.html").read_text()
    about = runs.manifest_of(unbroken)
    assert (about["kind"], about["status"]) == ("reproduce", "finished")
    assert about["reference"] == {"depth": 4, "train_size": 600}


@pytest.mark.slow
def test_tables_are_those_of_the_commands(unbroken: Path) -> None:
    config = settings(unbroken.parents[2])
    evaluation, pruning = (
        runs.read_table(unbroken / f"{name}.csv") for name in ("evaluation", "pruning")
    )
    directories = [path.parent for path in unbroken.glob("runs/*/pruning.csv")]
    assert len(directories) == 2
    for path in directories:
        run = TrainedRun(path, torch.device("cpu"))
        rule = run.config.rule.name
        expected = evaluate(run, config.evaluate)["evaluation"]
        rows = evaluation[evaluation["rule"] == rule].reset_index(drop=True)
        pd.testing.assert_frame_equal(rows, expected, rtol=1e-12)
        assert all((path / file).exists() for file in pruning[pruning["rule"] == rule]["file"])
    assert pruning["level"].unique().tolist() == [1, *config.preset.keep]
    assert set(pruning[pruning["rule"] == "bp"]["criterion"]) == {"none", "magnitude"}


@pytest.mark.slow
def test_pruning_resumes_by_criterion(
    unbroken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at its third criterion: the first two are not measured again, the files the same."""
    (source,) = {path.parent for path in unbroken.glob("runs/*gbp*/pruning.csv")}
    expected = runs.read_table(source / "pruning.csv").drop(columns="seconds")
    copy = tmp_path / "run"
    copytree(source, copy)
    (copy / "pruning.csv").unlink()
    rmtree(copy / "networks")
    measured, piece = list[str](), prune.piece

    def killed(run: TrainedRun, config: Prune, labels: prune.Labels, criterion: str) -> Results:
        if len(measured) == 2:
            raise KeyboardInterrupt
        measured.append(criterion)
        return piece(run, config, labels, criterion)

    def resume() -> None:
        run = TrainedRun(copy, torch.device("cpu"))
        once(copy, "pruning", prune.pieces(run, settings(tmp_path).prune))

    monkeypatch.setattr(prune, "piece", killed)
    with pytest.raises(KeyboardInterrupt):
        resume()
    assert measured == ["none", "pi"] and not (copy / "pruning.csv").exists()
    measured.clear()
    monkeypatch.setattr(prune, "piece", lambda *rest: measured.append(rest[-1]) or piece(*rest))
    resume()
    assert measured == ["snr", "magnitude", "threshold"]
    resumed = runs.read_table(copy / "pruning.csv").drop(columns="seconds")
    pd.testing.assert_frame_equal(resumed, expected, check_exact=True)
    for file in expected["file"]:
        assert (copy / file).read_bytes() == (source / file).read_bytes()


def test_searches_are_tested_on_held_out_training_images(tmp_path: Path) -> None:
    study = Use(settings(tmp_path))
    searched = study.plan.search("bp", study.plan.reference).config
    assert searched.data.split == "validation" and searched.lr == {"default": [0.025, 0.1]}
    sets = [continual.images_of(protocol) for protocol in study.config.continual]
    digits = training_run.load_data(composed("train"), torch.device("cpu"))
    test = {tuple(x) for x in digits.test_x.tolist()}
    for images, held_out in sets:
        assert {tuple(x) for x in images.test_x.tolist()} <= test
        assert not {tuple(x) for x in held_out.test_x.tolist()} & test
        assert not {tuple(x) for x in held_out.train_x.tolist()} & test


@pytest.mark.parametrize("preset", ["smoke", "quick", "paper"])
def test_every_preset_measures_every_claim(preset: str) -> None:
    config: ReproduceUse = composed("reproduce use", f"preset={preset}")
    check(config)
    assert config.prune.threshold[0] == 1 and min(config.prune.keep) <= 0.5
    assert config.prune.tune.epochs > 0 and "shuffled" in config.evaluate.against
    assert [protocol.task for protocol in config.continual] == ["split", "permuted"]
    assert all(
        protocol.methods == list(METHODS) and protocol.rule is None
        for protocol in config.continual
    )


def test_paper_preset_searches_beyond_the_quick_preset() -> None:
    quick, paper = (
        composed("reproduce use", "model=mnist", f"preset={name}").continual[0]
        for name in ("quick", "paper")
    )
    for method in METHODS:
        quick_values, paper_values = (strengths(config, method) for config in (quick, paper))
        assert set(quick_values) <= set(paper_values)
        assert method in ("bp", "gbp", "ewc") or max(paper_values) > max(quick_values)
    low, high = min(quick.lr), max(quick.lr)
    assert min(paper.lr) < low / 3 and high * 2 < max(paper.lr)


@pytest.mark.slow
def test_interrupted_study_resumes_with_the_same_tables(
    unbroken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = iter(range(9))

    def stopped(*args: object, **kwargs: object) -> pd.DataFrame:
        if next(count) == 8:
            raise KeyboardInterrupt
        return matrix(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(continual, "matrix", stopped)
    with pytest.raises(KeyboardInterrupt):
        reproduce(Use(settings(tmp_path)))
    (directory,) = tmp_path.glob("reproduce/use/*/v*")
    assert runs.manifest_of(directory)["status"] == "interrupted"
    monkeypatch.setattr(continual, "matrix", matrix)
    assert reproduce(Use(settings(tmp_path))) == directory
    assert_same_tables(unbroken, directory)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("model=rnn_rows", "only feed-forward networks learn tasks"),
        ("train_size=1298", "train_size=1298, but there are 1297 training images"),
        ("train_size=1297", "train_size=1297 must be between 1 and 1237"),  # of the strengths
        ("preset.continual.tasks=6", "task=split has at most 5 tasks with digits"),
        ("preset.continual.tasks=1", "tasks must be at least 2"),
        ("preset.continual.rates=[]", "preset.continual.rates needs at least one value"),
        ("preset.continual.strength.vip=[-1]", "strength.vip must be at least 0, not [-1]"),
        ("preset.rates=[0]", "preset.rates must be above 0, not [0.0]"),
        ("preset.search_seeds=0", "preset.search_seeds must be at least 1"),
        ("preset.samples=0", "preset.samples must be at least 1, not 0"),
        ("preset.keep=[2]", "preset.keep must lie in (0, 1], not [2.0]"),
        ("preset.keeps=[2]", "there is no setting 'preset.keeps'; did you mean 'preset.keep'?"),
        ("preset=papre", "'papre'; did you mean 'paper'?"),
    ],
)
def test_invalid_settings_are_refused_before_any_work(
    words: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = [*SMALL.split(), f"outputs={tmp_path}/outputs", words]
    assert main(["reproduce", "use", *line]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "outputs").exists()
