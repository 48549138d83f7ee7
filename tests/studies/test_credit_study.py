"""`sas reproduce credit`: the runs of a preset, resuming, kills at any moment."""

import random
import re
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from multiprocessing.context import ForkServerContext
from pathlib import Path
from shutil import copytree
from typing import Any

import pandas as pd
import pytest
import torch
from conftest import assert_same_tables, composed, run_killed, tables
from counting import Fault

from sascli import runs
from sascli.analysis.perturbation import perturbation
from sascli.cli import main
from sascli.config import ReproduceCredit, config_hash
from sascli.errors import UserError
from sascli.measure.run import TrainedRun
from sascli.studies import base, credit
from sascli.studies.base import reproduce
from sascli.studies.credit import Credit, Grid
from sascli.studies.pieces import PIECES, measured, once
from sascli.studies.registry import STUDIES
from sascli.studies.search import Plan
from sascli.training import loop
from sascli.training import run as training_run
from sascli.training.signals import Stopped

SMALL = "model=digits preset=smoke width=6 test_size=60 batch_size=20 threads=1"


def settings(outputs: Path, *words: str) -> ReproduceCredit:
    """A small smoke preset."""
    config: ReproduceCredit = composed(
        "reproduce credit", *SMALL.split(), f"outputs={outputs}", *words
    )
    return config


def few(outputs: Path, *words: str) -> ReproduceCredit:
    """The fewest possible points."""
    less = ["preset.depths=[4]", "preset.sizes=[1]", "preset.deep_sizes=[1]", *words]
    return settings(outputs, "train_size=60", "seeds=1", "epochs=1", *less)


def reproduced(config: ReproduceCredit) -> Path:
    """`sas reproduce credit`."""
    return reproduce(Credit(config))


def grid(model: str, preset: str, available: int) -> Grid:
    """The grid of a preset for a data set of `available` training images."""
    return Grid(composed("reproduce credit", f"model={model}", f"preset={preset}"), available)


def places(grid: Grid) -> list[tuple[int, int]]:
    """Depth and T of every point of gBP."""
    return [(p.config.depth, p.config.train_size) for p in grid.gbp()]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """The directory of an uninterrupted study, and its seconds."""
    config = settings(tmp_path_factory.mktemp("unbroken"))
    start = time.perf_counter()
    directory = reproduce(Credit(config))
    return directory, time.perf_counter() - start


# ---------------------------------------------------------------- the runs of a preset


def test_grid_of_the_paper_preset() -> None:
    paper = grid("mnist", "paper", 60_000)
    at_depth_4 = [(4, 1000 * t) for t in (1, 2, 5, 10, 20, 40, 60)]
    at_depth_5 = [(5, 1000 * t) for t in (10, 20, 30, 40)]
    assert places(paper) == [*at_depth_4, *at_depth_5, (6, 10_000), (7, 10_000)]
    bp = paper.bp(lambda size: 1 / size)
    assert [(p.config.depth, p.config.train_size) for p in bp] == at_depth_4
    assert all(p.config.lr == {"default": 1 / p.config.train_size} for p in bp)
    for rule, points in ("gbp", paper.gbp()), ("bp", bp):
        assert {p.config.rule.name for p in points} == {rule}
        assert all(p.config.seeds == [0, 1, 2, 3, 4] and p.config.epochs == 100 for p in points)
    assert all(p.config.lr["default"] == 0.1 for p in paper.gbp())


@pytest.mark.parametrize("available", [50_000, 20_000])
def test_grid_of_the_paper_preset_with_cifar10(available: int) -> None:
    """The published network with all images and steps, five seeds by each rule."""
    paper = grid("cifar10", "paper", available)
    assert paper.reference == available
    for points in paper.gbp(), paper.bp(lambda size: 0.02):
        seeds = {(p.config.depth, p.config.train_size): p.config.seeds for p in points}
        assert seeds.pop((4, available)) == [0, 1, 2, 3, 4]
        assert set(map(tuple, seeds.values())) == {(0, 1, 2)}
        assert len({size for depth, size in seeds if depth == 4}) >= 4
        for p in points:
            config = p.config
            assert (config.width, config.batch_size, config.epochs) == (200, 200, 100)
            assert config.init.m_var == pytest.approx(2 / 784, rel=1e-12)
    assert paper.config.lr["default"] == 0.006 and paper.config.preset.cut
    if available == 50_000:
        assert (
            training_run.steps(paper.config, paper.reference) == credit.PUBLISHED_STEPS["cifar10"]
        )


@pytest.mark.parametrize(("model", "steps"), [("mnist", 2_000), ("cifar10", 25_000)])
def test_published_steps_follow_from_the_settings(model: str, steps: int) -> None:
    config = composed("reproduce credit", f"model={model}", "preset=paper")
    size = {"mnist": 10_000, "cifar10": 50_000}[model]
    assert credit.PUBLISHED_STEPS[model] == training_run.steps(config, size) == steps
    assert training_run.steps(config, 1) == 100  # a batch may be larger than T
    short = composed("reproduce credit", f"model={model}", "preset=quick")
    assert training_run.steps(short, 10_000) < steps


def test_text_of_a_preset_does_not_change_the_hash() -> None:
    config = composed("reproduce credit", "model=cifar10", "preset=paper")
    other = replace(config, preset=replace(config.preset, cut="other words"))
    assert config_hash(other) == config_hash(config)
    fewer = replace(config, preset=replace(config.preset, other_seeds=2))
    assert config_hash(fewer) != config_hash(config)


@pytest.mark.parametrize("preset", ["smoke", "quick"])
def test_short_presets_of_cifar10_use_fewer_images(preset: str) -> None:
    for command in ("reproduce credit", "reproduce use"):
        config = composed(command, "model=cifar10", f"preset={preset}")
        assert (config.train_size, config.preset.name) == (10_000, preset)
        assert config.preset.cut != composed(command, "preset=paper").preset.cut


def test_sizes_are_scaled_down_for_small_data_sets() -> None:
    unit = 1297 / 6
    sizes = [(4, round(unit * f)) for f in (0.1, 0.2, 0.5, 1, 2, 4, 6)]
    deep = [(5, round(unit * f)) for f in (1, 2, 3, 4)]
    expected = [*sizes, *deep, (5, 1297), (6, 1297), (7, 1297)]
    assert places(grid("digits", "paper", 1297)) == expected


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["smoke", "quick", "paper"])
@pytest.mark.parametrize(("model", "available"), [("digits", 1297), ("mnist", 60_000)])
def test_every_preset_has_the_points_of_every_figure(
    preset: str, model: str, available: int
) -> None:
    reference = grid(model, preset, available).reference
    points = places(grid(model, preset, available))
    assert len(set(points)) == len(points) and (4, reference) in points
    assert len({t for d, t in points if d == 4}) >= 3
    assert len({d for d, t in points if t == reference}) >= 3
    assert len({t for d, t in points if d == 5}) >= 2
    assert all(1 <= t <= available for _, t in points)


@pytest.mark.parametrize("rule", ["gbp", "bp"])
def test_search_is_tested_on_held_out_training_images(rule: str) -> None:
    points = [p for p in grid("digits", "smoke", 1297).searches() if p.config.rule.name == rule]
    sizes = {"gbp": [1038], "bp": [324, 648, 1038]}[rule]  # every compared T, up to the largest
    assert [p.config.train_size for p in points] == sizes
    config = points[-1].config
    assert (config.rule.name, config.data.split) == (rule, "validation")
    assert config.lr == {"default": [0.025, 0.1]}  # in units of the model's rate
    cpu = torch.device("cpu")
    split = training_run.load_data(config, cpu)
    every = training_run.load_data(composed("train"), cpu)
    assert torch.equal(split.test_x, every.train_x[-259:])
    assert torch.equal(split.train_x, every.train_x[:1038])


def test_best_rate_has_the_highest_mean_over_seeds() -> None:
    trials = {"bp": {0.1: [0.9, 0.5], 0.3: [0.7, 0.8]}, "gbp": {0.1: [0.4], 0.3: [0.3]}}
    rows = [
        (rule, 50, lr, seed, accuracy)
        for rule, rates in trials.items()
        for lr, accuracies in rates.items()
        for seed, accuracy in enumerate(accuracies)
    ]
    rows += [("bp", 60, 0.1, 0, 0.9), ("bp", 60, 0.3, 0, 0.8)]
    columns = ["rule", "train_size", "lr", "seed", "validation_accuracy"]
    search = pd.DataFrame(rows, columns=columns)
    best = partial(grid("digits", "paper", 1297).best, search)
    assert (best("bp", 50), best("gbp", 50), best("bp", 60)) == (0.3, 0.1, 0.1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("train_size=1298", "train_size=1298, but there are 1297 training images"),
        ("width=[5,5]", "width lists 2 hidden layers, but depth=5 has 3"),
        ("preset.depths=[4,1]", "preset.depths must be at least 2, not [4, 1]"),
        ("preset.sizes=[0.00001,1]", "train_size must be a whole number >= 1"),
        ("preset.rates=[]", "preset.rates needs at least one value"),
        ("preset.deep_sizes=[1,-1]", "preset.deep_sizes must be above 0, not [1.0, -1.0]"),
        ("preset.fractions=[0,2]", "preset.fractions must lie in [0, 1]"),
        ("preset.samples=0", "preset.samples must be at least 1, not 0"),
        ("preset.other_seeds=0", "preset.other_seeds must be at least 1, not 0"),
        ("decay=[0,0.1]", "decay must be one number here"),
        ("preset=papre", "'papre'; did you mean 'paper'?"),
    ],
)
def test_invalid_settings_are_refused_before_any_work(
    words: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(
            ["reproduce", "credit", *SMALL.split(), f"outputs={tmp_path}/outputs", *words.split()]
        )
        == 2
    )
    assert message in capsys.readouterr().err and not (tmp_path / "outputs").exists()


# ---------------------------------------------------------------- its directory


@pytest.mark.slow
def test_tables_of_a_study(unbroken: tuple[Path, float]) -> None:
    directory, _ = unbroken
    made = tables(directory)
    keys = ["rule", "depth", "train_size"]
    assert all(list(made[name])[:3] == keys for name in set(made) - {"claims", "search"})
    points = [(4, 324), (4, 648), (4, 1297), (5, 648), (5, 1297), (6, 1297)]
    for name in ("history", "layers", "histograms", "ensemble", "datasize", "datasize_layers"):
        rows = made[name][keys].drop_duplicates().itertuples(index=False, name=None)
        bp = [("bp", *p) for p in points if p[0] == 4]
        assert sorted(rows) == [*bp, *(("gbp", *p) for p in points)], name
    rows = made["entropy"][keys].drop_duplicates().itertuples(index=False, name=None)
    assert sorted(rows) == [("gbp", *p) for p in points]
    perturbation = made["perturbation"]
    assert perturbation[keys].drop_duplicates().to_numpy().tolist() == [["gbp", 4, 1297]]
    assert set(perturbation["layer"]) == {1, 2, 3} and set(perturbation["fraction"]) == {0, 0.5, 1}
    assert len(perturbation) == 2 * 3 * 4 * 3 * 2  # seeds, layers, kinds, fractions, samples
    assert len(made["search"]) == 4 * 2 and set(made["search"]["lr"]) == {0.025, 0.1}
    manifest = runs.manifest_of(directory)
    reference = {"depth": 4, "train_size": 1297, "deep": 5, "steps": 3 * 65}
    assert manifest["reference"] == reference and "seconds" in manifest["cut"]
    plan = Plan(settings(directory), 1297)
    best = {t: plan.best(made["search"], "bp", t) for t in (324, 648, 1297)}
    assert manifest["rates"]["bp"] == best[1297]
    bp = made["history"].query("rule == 'bp'")
    rates = bp["point"].str.split("-lr").str[1].astype(float)
    assert rates.to_list() == bp["train_size"].map(best).to_list()
    pictures = {path.name for path in (directory / "pictures").iterdir()}
    assert pictures == {
        f"{name}.{kind}" for name in STUDIES["credit"].figures for kind in ("pdf", "png")
    }
    assert (
        list(made["claims"]["claim"]) == list(range(1, 18))
        and (directory / "report.html").stat().st_size > 100_000
    )


@pytest.mark.slow
def test_every_run_of_a_study_was_planned(unbroken: tuple[Path, float]) -> None:
    directory, _ = unbroken
    planned = {point.name for point in Credit(settings(directory.parents[3])).planned()}
    trained = {path.name for path in (directory / "runs").iterdir()}
    rate = re.compile(r"-lr.*")  # BP's is searched
    assert {rate.sub("", name) for name in trained} == {rate.sub("", name) for name in planned}


@pytest.mark.slow
def test_search_averages_the_last_epochs(unbroken: tuple[Path, float]) -> None:
    directory, _ = unbroken
    history = tables(directory / "runs" / "bp-L4-T1038-search")["history"]
    mean = history.groupby("lr")["test_accuracy"].mean()  # fewer than LAST epochs: all
    search = tables(directory)["search"].query("rule == 'bp' and train_size == 1038")
    by_rate = search.set_index("lr")
    assert by_rate["validation_accuracy"].to_dict() == pytest.approx(mean.to_dict(), rel=1e-12)


# ---------------------------------------------------------------- resuming


@pytest.mark.slow
def test_interrupted_study_resumes_without_repetition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signal_in: Callable[..., None]
) -> None:
    done: list[str] = []

    def counted(module: Any, name: str, label: Callable[..., object]) -> None:
        work = getattr(module, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            done.append(f"{name} {label(*args, **kwargs)}")
            return work(*args, **kwargs)

        monkeypatch.setattr(module, name, call)

    counted(loop, "train", lambda config, directory, *_: directory.name)
    counted(credit, "entropy", lambda run: run.directory.name)
    counted(credit, "perturbation", lambda *_, layer, draw, **__: (layer, draw))
    monkeypatch.setattr(base, "present", lambda *_: None)
    config = few(tmp_path)
    signal_in(1)
    with pytest.raises(Stopped):
        reproduce(Credit(config))
    (directory,) = (tmp_path / "reproduce/credit/digits-smoke").iterdir()
    assert runs.manifest_of(directory)["status"] == "interrupted"
    assert done == ["train gbp-L4-T60-search"]

    done.clear()
    assert reproduce(Credit(config)) == directory
    kinds = [name.split()[0] for name in done]
    assert kinds == ["train"] * 5 + ["entropy"] * 2 + ["perturbation"] * 6
    assert len(set(done)) == len(done) and done[0] == "train gbp-L4-T60-search"

    done.clear()
    (directory / "perturbation.csv").unlink()
    (directory / "runs/gbp-L5-T60-lr0.05/entropy.csv").unlink()
    assert reproduce(Credit(config)) == directory
    assert done == ["entropy gbp-L5-T60-lr0.05"]
    assert (directory / "perturbation.csv").exists()
    assert runs.manifest_of(directory)["status"] == "finished"


@pytest.mark.slow
def test_perturbation_resumes_by_layer_and_sample(
    unbroken: tuple[Path, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run,) = unbroken[0].glob("runs/gbp-L4-T1297-lr*")
    expected = runs.read_table(run / "perturbation.csv")
    trained = TrainedRun(run, torch.device("cpu"))
    table = perturbation(
        trained.network, [0, 1], trained.data.accuracy, layer=2,
        fractions=[0, 0.5, 1], samples=2,
    )  # fmt: skip
    layer = expected.query("layer == 2").reset_index(drop=True)
    pd.testing.assert_frame_equal(layer, table, check_dtype=False, rtol=1e-12)
    calls, preset = list[tuple[int, int]](), settings(tmp_path).preset

    def counted(*args: Any, **kwargs: Any) -> pd.DataFrame:
        if len(calls) == 3:
            raise KeyboardInterrupt
        calls.append((kwargs["layer"], kwargs["draw"]))
        return perturbation(*args, **kwargs)

    def resume() -> None:
        pieces = credit.perturbations(TrainedRun(copy, torch.device("cpu")), preset)
        once(copy, "perturbation", partial(measured, copy, "perturbation", pieces))

    copy = tmp_path / "run"
    copytree(run, copy)
    (copy / "perturbation.csv").unlink()
    monkeypatch.setattr(credit, "perturbation", counted)
    with pytest.raises(KeyboardInterrupt):
        resume()
    assert calls == [(1, 0), (1, 1), (2, 0)] and (copy / PIECES).exists()
    calls.clear()
    resume()
    assert calls == [(2, 1), (3, 0), (3, 1)] and not (copy / PIECES).exists()
    resumed = runs.read_table(copy / "perturbation.csv")
    pd.testing.assert_frame_equal(resumed, expected, check_exact=True)


def test_other_settings_start_a_new_version(tmp_path: Path) -> None:
    first = base.claim(Credit(few(tmp_path)))
    runs.describe(first, format=runs.FORMAT, start=runs.now(), config_hash="other")
    assert (first.name, base.claim(Credit(few(tmp_path))).name) == ("v001", "v002")


def test_other_images_start_a_new_version(tmp_path: Path) -> None:
    work = Credit(few(tmp_path))
    first = base.claim(work)
    base.begin(first, work)
    assert base.claim(work) == first
    runs.describe(first, data={"name": "digits", "checksum": "sha256:others"})
    assert base.claim(work).name == "v002"


def test_second_process_cannot_write_to_a_directory(tmp_path: Path) -> None:
    config = few(tmp_path)
    directory = base.claim(Credit(config))
    hashed = config_hash(config)
    runs.describe(directory, format=runs.FORMAT, start=runs.now(), config_hash=hashed)
    with runs.lock(directory), pytest.raises(UserError, match="another process is writing to"):
        reproduce(Credit(config))


@pytest.mark.slow
def test_study_killed_five_times_has_the_same_tables(
    tmp_path: Path, forks: ForkServerContext, unbroken: tuple[Path, float], fault: Fault
) -> None:
    expected, took = unbroken
    config = settings(tmp_path)
    hits = 0
    for _ in range(5):
        moment = random.uniform(0.1, took / 3)
        hits += run_killed(forks, reproduced, (config,), moment)
    assert hits >= 2
    with fault("SIGKILL at a random moment of `sas reproduce credit`", hits):
        directory = reproduce(Credit(config))
        assert_same_tables(expected, directory)
        for run in (expected / "runs").iterdir():
            assert_same_tables(run, directory / "runs" / run.name)
        assert runs.manifest_of(directory)["status"] == "finished"


# ---------------------------------------------------------------- sas plot, sas claims


@pytest.mark.slow
def test_plot_names_the_command_that_makes_a_missing_table(
    unbroken: tuple[Path, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    copy = tmp_path / "reproduce/credit/digits-smoke/v001"
    copy.mkdir(parents=True)
    for path in [*unbroken[0].glob("*.csv"), unbroken[0] / runs.MANIFEST]:
        (copy / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(loop, "train", lambda *_: pytest.fail("trained"))
    line = ["plot", f"outputs={tmp_path}", "figure=[fig2a,fig4b]", f"out={tmp_path}/here"]
    assert main(line) == 0
    drawn = {path.name for path in (tmp_path / "here").iterdir()}
    assert drawn == {f"{name}.{kind}" for name in ("fig2a", "fig4b") for kind in ("pdf", "png")}
    assert sorted(capsys.readouterr().out.split()) == sorted(
        str(tmp_path / "here" / name) for name in drawn
    )
    (copy / "history.csv").unlink()
    assert main(["plot", f"from={copy}"]) == 2
    output = capsys.readouterr().err
    assert "history.csv; `sas reproduce credit model=digits preset=smoke` makes it" in output
    assert not (copy / "runs").exists()


def test_plot_and_claims_without_a_study(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("plot", "claims"):
        assert main([command, f"outputs={tmp_path}"]) == 2
        assert "`sas reproduce STUDY` makes it" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "begins"),
    [("text", " 1 "), ("csv", "claim,"), ("markdown", "|")],
)
def test_claims_as_text_csv_and_markdown(
    form: str, begins: str, unbroken: tuple[Path, float], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["claims", f"from={unbroken[0]}", f"format={form}"]) == 0
    output = capsys.readouterr().out
    assert output.startswith(begins) and output.count("\n") > 14
    assert main(["claims", f"from={unbroken[0]}", "format=tex"]) == 2
    assert "there is no format 'tex'; did you mean 'text'?" in capsys.readouterr().err
