"""`sas reproduce copi`: what a preset asks for, divergence on the way, what is done already."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import assert_same_tables, composed, tables

from sascli import runs, training
from sascli.cli import main
from sascli.config import FiguresCopi
from sascli.errors import UserError
from sascli.reproduction import copi, reproduce
from sascli.reproduction.copi import ARMS, Comparison, Copi, best
from sascli.stopping import Stopped
from sascli.studies import STUDIES

SMALL = "model=digits preset=smoke train_size=200 test_size=60 width=6 threads=1 device=cpu"


def settings(outputs: Path, *words: str) -> FiguresCopi:
    """A small smoke preset, at whose largest rate plain BP diverges."""
    rates = ["preset.rates=[0.03,1,30]", "preset.rate_seeds=2"]
    config: FiguresCopi = composed(
        "reproduce copi", *SMALL.split(), *rates, f"outputs={outputs}", *words
    )
    return config


def comparison(model: str, preset: str, available: int, *words: str) -> Comparison:
    """The points of a preset for a data set of so many training images."""
    line = (f"model={model}", f"preset={preset}", *words)
    return Comparison(composed("reproduce copi", *line), available)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run without a break."""
    return reproduce(Copi(settings(tmp_path_factory.mktemp("unbroken"))))


# ---------------------------------------------------------------- what a preset asks for


@pytest.mark.parametrize(
    ("model", "preset", "available", "network", "size"),
    [
        ("mnist", "paper", 60_000, (8, 500), 60_000),
        ("mnist", "quick", 60_000, (5, 200), 10_000),
        ("cifar10", "paper", 50_000, (6, 1000), 50_000),
        ("cifar10", "quick", 20_000, (5, 200), 10_000),
        ("digits", "paper", 1297, (4, 30), 1297),
        ("digits", "smoke", 1297, (4, 30), 500),
    ],
)
def test_the_published_network_or_less(
    model: str, preset: str, available: int, network: tuple[int, int], size: int
) -> None:
    own = comparison(model, preset, available)
    points = own.points(dict.fromkeys(ARMS, 1.0))
    assert [p.name for p in points] == list(ARMS)
    assert {(p.config.depth, p.config.width) for p in points} == {network}
    assert {p.config.train_size for p in points} == {size}
    assert {p.config.batch_size for p in points} == {50}
    assert {p.config.epochs for p in points} == {own.config.epochs}


def test_every_rule_has_its_own_settings() -> None:
    factors = dict.fromkeys(ARMS, 1.0) | {"bp-plain": 0.1, "bp-adam": 0.3}
    own = {p.name: p.config for p in comparison("mnist", "paper", 60_000).points(factors)}
    told = {name: config.rule | {"lr": config.lr} for name, config in own.items()}
    for name in ("copi-bp", "copi-fa", "copi-local", "bp-decor"):
        assert told[name]["lr"] == {"default": 1e-3, "r": 1e-3}
        assert (told[name]["gain"], told[name]["decorrelation_epochs"]) == (1000, 1)
        assert own[name].decay["default"] == 0
    assert told["copi-fa"]["credit"] == "fa" and told["copi-bp"]["credit"] == "bp"
    assert told["copi-local"]["decorrelation"] == "local"
    for name, rate in (("bp-plain", 1e-4), ("bp-adam", 3e-4)):  # nothing decorrelates
        assert told[name]["lr"] == {"default": rate, "r": 0.0}
        assert (told[name]["name"], told[name]["decorrelation_epochs"]) == ("bp_decor", 0)
    assert told["bp-adam"]["adam"] and not told["bp-plain"].get("adam")
    assert told["gbp"] == {"name": "gbp", "lr": {"default": 1e-2, "r": 0.0}}
    assert own["gbp"].decay == {"default": 1e-4}


def test_a_rate_of_r_is_kept_while_that_of_w_is_tried() -> None:
    words = ("lr=0.02", "lr.r=0.005", "preset.rates=[1,10]", "preset.rate_seeds=1")
    trials = {
        own.name: (key, own.config)
        for key, own in comparison("digits", "smoke", 1297, *words).trials()
    }
    key, config = trials["copi-bp-x10-s0"]
    assert config.lr == {"default": 0.2, "r": 0.005}
    assert key == {"point": "copi-bp", "factor": 10, "lr": 0.2, "seed": 0}
    assert {name.rsplit("-x")[0] for name in trials} == {
        "copi-bp", "copi-fa", "bp-decor", "bp-plain", "bp-adam", "gbp"
    }  # fmt: skip


@pytest.mark.parametrize(("available", "size", "held_out"), [(1297, 200, 259), (230, 184, 46)])
def test_trials_see_held_out_training_images_and_never_the_test_set(
    available: int, size: int, held_out: int
) -> None:
    for _, own in comparison("digits", "smoke", available, "train_size=200").trials():
        config = own.config
        assert (config.data.split, config.train_size) == ("validation", size)
        assert (config.test_size, config.epochs, config.seeds) == (held_out, 2, [0])


def test_the_best_rate_is_that_of_the_highest_mean_and_not_one_that_diverged() -> None:
    found = {0.1: [0.5, 0.6], 1.0: [0.7, 0.7], 10.0: [0.9, None], 30.0: [None, None]}
    rows = [
        {"point": "x", "factor": factor, "validation_accuracy": value}
        for factor, values in found.items() for value in values
    ]  # fmt: skip
    assert best(pd.DataFrame(rows).astype({"validation_accuracy": float}), "x") == 1.0


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("preset.rates=[]", "preset.rates must be a list of numbers > 0, not []"),
        ("preset.rates=[0.1]", "preset.rates must contain 1"),
        ("preset.depth=1", "preset.depth must be at least 2, not 1"),
        ("preset.rate_epochs=1", "preset.rate_epochs must be at least 2, not 1"),
        ("preset.units=0", "preset.units must be at least 1, not 0"),
        ("train_size=1298", "train_size=1298, but there are 1297 training images"),
        ("preset=smok", "there is no preset 'smok'; did you mean 'smoke'?"),
        ("preset=1", "there is no preset '1'"),
        ("preset.deep=5", "no setting 'preset.deep'"),
        ("rule=bp", "the study is of rule=copi, not of rule=bp"),
        ("lr=[0.1,0.2]", "lr must be one number here"),
    ],
)
def test_mistakes(
    word: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = [
        "reproduce",
        "copi",
        "model=digits",
        f"outputs={tmp_path}",
        "preset.train_size=null",
        word,
    ]
    assert main(line) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------- what it leaves


def test_tables_pictures_claims_and_page(unbroken: Path) -> None:
    study = STUDIES["copi"]
    found = tables(unbroken)
    assert set(found) == {
        "history", "rates", "decorrelation", "decorrelated", "features", "compression", "linear",
        "claims",
    }  # fmt: skip
    pictures = {path.name for path in (unbroken / "pictures").iterdir()}
    assert pictures == {f"{name}.{kind}" for name in study.figures for kind in ("pdf", "png")}
    assert list(found["claims"]["claim"]) == [1, 2, 3, 4, 5, 6]
    assert (found["claims"]["verdict"] != "not measured").all()
    page = (unbroken / "report.html").read_text()
    assert study.title in page and "Ahmad" in page
    about = runs.manifest_of(unbroken)
    assert about["reference"] == {"depth": 4, "width": 6, "train_size": 200}
    assert about["status"] == "finished" and about["diverged"] == []
    assert set(about["rates"]) == set(ARMS)


def test_what_diverged_is_told_and_the_study_goes_on(unbroken: Path) -> None:
    rates = tables(unbroken)["rates"]
    assert len(rates) == 6 * 3 * 2
    plain = rates[(rates["point"] == "bp-plain") & (rates["factor"] == 30)]
    assert len(plain) == 2 and plain["validation_accuracy"].isna().all()
    assert (plain["diverged"] >= 1).all()
    run = unbroken / "runs" / "bp-plain-x30-s1"
    assert runs.manifest_of(run)["error"].startswith("training diverged in epoch")
    learnt = rates[rates["diverged"].isna()]
    assert learnt["validation_accuracy"].notna().all()
    history = tables(unbroken)["history"]
    assert set(history["point"]) == set(ARMS) and set(history["seed"]) == {0, 1}


def test_correlations_are_of_the_rules_that_decorrelate(unbroken: Path) -> None:
    table = tables(unbroken)["decorrelation"]
    assert set(table["point"]) == {"copi-bp", "copi-fa", "copi-local", "bp-decor"}
    start = table[table["epoch"] == 0]
    assert (start["before"] == start["after"]).all()
    end = table[(table["epoch"] == 3) & (table["layer"] == 1)]
    assert len(end) == 4 * 2 and (end["after"] < end["before"]).all()


def test_a_rule_that_diverges_in_full_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copi, "best", lambda rates, arm: 300.0 if arm == "bp-plain" else 1.0)
    few = ["preset.rates=[1]", "preset.rate_seeds=1", "seeds=1"]
    directory = reproduce(Copi(settings(tmp_path, *few)))
    assert runs.manifest_of(directory)["diverged"] == ["bp-plain"]
    assert "bp-plain: training diverged in epoch 1" in capsys.readouterr().out
    history = tables(directory)["history"]
    assert set(history["point"]) == set(ARMS) - {"bp-plain"}
    assert (directory / "pictures" / "copi_accuracy.png").exists()


def test_nothing_is_left_to_look_into_where_copi_diverges(tmp_path: Path) -> None:
    few = ["lr=300", "preset.rates=[1]", "preset.rate_seeds=1", "seeds=1"]
    with pytest.raises(UserError, match="copi-bp diverged"):
        reproduce(Copi(settings(tmp_path, *few)))


def test_what_is_done_is_not_done_twice(
    unbroken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    signal_in: Callable[..., None],
) -> None:  # fmt: skip
    config = settings(tmp_path)
    signal_in(3)  # in the last epoch of the first full run, whose tables are still to come
    with pytest.raises(Stopped):
        reproduce(Copi(config))
    (directory,) = (tmp_path / "reproduce/copi/digits-smoke").iterdir()
    assert runs.manifest_of(directory)["status"] == "interrupted"
    trained: list[str] = []
    work = training.train

    def counted(config: Any, *rest: Any) -> None:
        trained.append(config.name)
        work(config, *rest)

    monkeypatch.setattr(training, "train", counted)
    assert reproduce(Copi(config)) == directory
    assert trained == [*ARMS]  # and no trial again, those that diverged neither
    assert_same_tables(unbroken, directory)
    trained.clear()
    (directory / "linear.csv").unlink()
    assert reproduce(Copi(config)) == directory
    assert trained == [] and (directory / "linear.csv").exists()


def test_plot_and_claims_read_the_study(
    unbroken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = unbroken.parents[3]
    words = ["study=copi", f"outputs={outputs}"]
    assert main(["plot", *words, "figure=copi_rates", f"out={tmp_path}"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"copi_rates.pdf", "copi_rates.png"}
    assert main(["claims", *words]) == 0
    assert "COPI-BP comes within one point" in capsys.readouterr().out


def test_help_lists_the_presets_of_the_study(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "copi", "--help"]) == 0
    said = capsys.readouterr().out
    assert "preset=quick*" in said and "The published networks, all training images" in said
    assert "preset.rate_epochs=5" in said and "preset.deep=" not in said
    assert main(["reproduce", "credit", "--help"]) == 0
    said = capsys.readouterr().out
    assert "preset=quick*" in said and "The paper's settings, five seeds" in said


def test_a_sweep_over_presets_takes_the_studys_own(capsys: pytest.CaptureFixture[str]) -> None:
    own = [composed("reproduce copi", f"preset={name}").preset for name in ("smoke", "paper")]
    assert [preset.name for preset in own] == ["smoke", "paper"]
    assert [preset.rate_size for preset in own] == [200, 10_000]
    assert main(["reproduce", "copi", "preset=smoke,paper", "--cfg", "job"]) == 2
    said = capsys.readouterr().err
    assert "has several values" in said
