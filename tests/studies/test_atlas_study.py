"""`sas reproduce atlas`: its settings and runs, the published rows, resuming, what is skipped."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import assert_same_tables, composed, tables

from sascli import runs
from sascli.claims.atlas import PUBLISHED
from sascli.config import ReproduceAtlas, Train, check, population, training_of
from sascli.config.composition import with_words
from sascli.data import Data
from sascli.errors import UserError
from sascli.studies import atlas, base, credit
from sascli.studies.atlas import Atlas
from sascli.studies.base import reproduce
from sascli.studies.credit import Credit
from sascli.studies.directories import judge
from sascli.training import loop
from sascli.training import run as training_run
from sascli.training.population import Population, Trained
from sascli.training.progress import Part, Progress

SMALL = "model=digits preset=smoke width=6 train_size=60 test_size=30 batch_size=20 epochs=2"
SMALL += " threads=1 eval.samples=2 preset.sizes=[0.2,0.5,1] preset.depths=[4]"
SMALL += " preset.deep_sizes=[1] preset.fractions=[0,1] preset.samples=1"
VARY = {
    "learning rate": ["lr=0.05", "lr=0.1"],
    "T": ["train_size=30", "train_size=60"],
    "T at equal steps": ["train_size=12 epochs=6", "train_size=30 epochs=3", "train_size=60"],
    "optimiser": ["optim.name=sgd lr=[1,1e30]"],
    "broken": ["lr=1e30"],
    "too large": ["train_size=1298"],
}


def settings(
    outputs: Path, vary: Mapping[str, Sequence[str]] = VARY, command: str = "reproduce atlas"
) -> ReproduceAtlas:
    """A small smoke preset with these settings."""
    config: ReproduceAtlas = composed(command, *SMALL.split(), f"outputs={outputs}")
    if command != "reproduce atlas":
        return config
    factors = {factor: list(words) for factor, words in vary.items()}
    together = {"every T": [name for name in factors if name == "T at equal steps"]}
    config = replace(config, preset=replace(config.preset, vary=factors, together=together))
    check(config)
    return config


@pytest.fixture(scope="module", autouse=True)
def undrawn() -> Iterator[None]:
    """No pictures and no report: they are tested elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "present", lambda *_: None)
        yield


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of an uninterrupted study."""
    return reproduce(Atlas(settings(tmp_path_factory.mktemp("atlas"))))


@pytest.mark.slow
def test_published_rows_equal_the_credit_study(unbroken: Path, tmp_path: Path) -> None:
    directory = reproduce(Credit(settings(tmp_path, command="reproduce credit")))
    expected, rows = judge(directory).query("claim != 15"), tables(unbroken)["atlas"]
    rows = rows[rows["factor"] == PUBLISHED]
    for column in ("claim", "verdict", "statistic", "n_seeds", "detail"):
        assert rows[column].fillna("").tolist() == expected[column].fillna("").tolist(), column
    assert {"holds", "does not hold"} <= set(rows["verdict"])
    for name, table in tables(directory).items():
        pd.testing.assert_frame_equal(tables(unbroken)[name], table, check_exact=True, obj=name)


@pytest.mark.slow
def test_setting_with_the_published_numbers_is_that_run(unbroken: Path) -> None:
    names = {path.name for path in (unbroken / "runs").iterdir()}
    varied = {name for name in names if "=" in name and "search" not in name}
    assert {name for name in varied if name.startswith("gbp")} == {
        "gbp-lr=0.1-lr0.1",
        "gbp-lr=1e30-lr1e+30",
        "gbp-optim.name=sgd-lr1.0",
        "gbp-train_size=12,epochs=6-lr0.05",
        "gbp-train_size=30,epochs=3-lr0.05",
    }
    bp = {name.partition("-lr")[0] for name in varied if name.startswith("bp")}
    assert bp == {
        "bp-optim.name=sgd", "bp-train_size=12,epochs=6", "bp-train_size=30,epochs=3"
    }  # fmt: skip


@pytest.mark.slow
def test_every_run_was_planned_once(unbroken: Path) -> None:
    planned = [point.name for point in Atlas(settings(unbroken.parents[3])).planned()]
    assert len(set(planned)) == len(planned)
    trained = {path.name for path in (unbroken / "runs").iterdir()}
    rate = re.compile(r"-lr[^-=]*$")  # BP's is searched
    assert {rate.sub("", name) for name in trained} == {rate.sub("", name) for name in planned}


@pytest.mark.slow
def test_rows_of_every_setting(unbroken: Path) -> None:
    rows = tables(unbroken)["atlas"]
    order = rows[["factor", "setting"]].drop_duplicates().to_numpy().tolist()
    varied = [[factor, name] for factor, names in VARY.items() for name in names]
    assert order == [[PUBLISHED, PUBLISHED], *varied, ["every T", "all"]]
    assert len(rows) == 16 * len(order)
    same = rows[rows["setting"].isin(["lr=0.05", "train_size=60"])]
    same = same.drop(columns=["factor", "setting"])
    first = same.iloc[:16].reset_index(drop=True)
    assert len(same) == 48 and "does not hold" in set(first["verdict"])
    for start in (16, 32):
        pd.testing.assert_frame_equal(same.iloc[start : start + 16].reset_index(drop=True), first)
    together = rows[rows["factor"] == "every T"].set_index("claim")
    measured = together.index[together["verdict"] != "not measured"]
    assert list(measured) == [2, 4, 8] and together.loc[2, "n_seeds"] == 2


@pytest.mark.slow
def test_statistic_of_a_setting_is_that_of_its_run(unbroken: Path) -> None:
    rows = tables(unbroken)["atlas"].query("setting == 'lr=0.1' and claim == 4")
    layers = tables(unbroken / "runs" / "gbp-lr=0.1-lr0.1")["layers"]
    sparsity = layers.pivot(index="seed", columns="layer", values="sparsity")
    excess = sparsity[2] - sparsity[[1, 3]].max(axis=1)
    assert rows["se"].item() == pytest.approx(excess.sem(), rel=1e-9)
    gathered = tables(unbroken)["atlas_layers"].query("setting == 'lr=0.1'")
    assert gathered["sparsity"].tolist() == layers["sparsity"].tolist()


@pytest.mark.slow
def test_rate_of_a_setting_is_searched_on_held_out_images(unbroken: Path) -> None:
    search = tables(unbroken)["atlas_search"]
    sgd = search[search["factor"] == "optimiser"]
    assert set(sgd["rule"]) == {"gbp", "bp"} and set(sgd["lr"]) == {1.0}  # 1e30 diverged
    others = search[search["factor"] == "learning rate"]
    assert set(others["rule"]) == {"bp"} and set(others["lr"]) == {0.025, 0.1}
    config = runs.read_json(unbroken / "runs" / "bp-optim.name=sgd-search1.0" / runs.CONFIG)
    assert config["data"]["split"] == "validation" and config["test_size"] == 259


@pytest.mark.slow
def test_what_cannot_be_trained_has_a_note(unbroken: Path) -> None:
    rows = tables(unbroken)["atlas"]
    reasons = rows[rows["factor"].isin(["broken", "too large"])]
    assert set(reasons["verdict"]) == {"not measured"}
    assert reasons["detail"].unique().tolist() == [
        "gBP diverged", "train_size=1298, but there are 1297 training images"
    ]  # fmt: skip


@pytest.mark.slow
def test_words_are_written_beside_the_table(unbroken: Path) -> None:
    lines = (unbroken / "atlas.md").read_text().splitlines()
    assert len(lines) == 16 and all(line.startswith("- ") for line in lines)


def test_absent_data_are_skipped_with_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    load = training_run.load_data

    def absent(config: Train, *rest: Any) -> Data:
        if config.model.source == "cifar10":
            raise UserError("there is no CIFAR-10 here")
        return load(config, *rest)

    monkeypatch.setattr(training_run, "load_data", absent)
    monkeypatch.setattr(Credit, "train", lambda self, directory: {})
    study = Atlas(settings(tmp_path, {"data": ["model=cifar10"]}))
    study.train(tmp_path)
    assert [setting.problem for setting in study.settings] == ["there is no CIFAR-10 here"]
    assert "skipped: model=cifar10: there is no CIFAR-10 here" in capsys.readouterr().out
    assert study.of_gbp(tmp_path, study.settings[0]) == [] and not list(tmp_path.iterdir())


def test_settings_with_lists_have_different_names(tmp_path: Path) -> None:
    words = ["width=[5,6]", "width=[6,5]", "decay=0 lr=[1,2]"]
    study = Atlas(settings(tmp_path, {"width": words}))
    names = [
        study.at_rate({}, s, replace(s.gbp, lr={"default": 0.1})).name for s in study.settings
    ]
    assert names == ["gbp-width=5,6-lr0.1", "gbp-width=6,5-lr0.1", "gbp-decay=0-lr0.1"]


@pytest.mark.slow
def test_interrupted_study_resumes_with_the_same_tables(
    unbroken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, moments = loop.train, iter(range(99))

    def interrupted(population: Population, progress: Progress | Part) -> Trained:
        if next(moments) in (16, 21):  # in the searches and the settings of the atlas
            raise KeyboardInterrupt
        return train(population, progress)

    monkeypatch.setattr(loop, "train", interrupted)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            reproduce(Atlas(settings(tmp_path)))
    (directory,) = tmp_path.glob("reproduce/atlas/*/v*")
    assert runs.manifest_of(directory)["status"] == "interrupted"
    assert reproduce(Atlas(settings(tmp_path))) == directory
    assert_same_tables(unbroken, directory)


@pytest.mark.slow
def test_workers_share_the_settings(tmp_path: Path) -> None:
    """The second worker trains nothing again that the first has trained, and finishes."""
    config = replace(settings(tmp_path, {"learning rate": ["lr=0.1"]}), worker=1)
    directory = base.claim(Atlas(config))
    base.begin(directory, Atlas(config))
    Atlas(config).train(directory)  # a worker that has not finished
    trained = {path: path.stat().st_mtime_ns for path in directory.glob("runs/*/weights*")}
    assert reproduce(Atlas(replace(config, worker=2))) == directory
    assert "gbp-lr=0.1-lr0.1" in {path.parent.name for path in trained}
    assert all(path.stat().st_mtime_ns == time for path, time in trained.items())
    assert runs.manifest_of(directory)["status"] == "finished" and "atlas" in tables(directory)


# ---------------------------------------------------------------- settings as words


@pytest.mark.slow
def test_words_change_settings_as_on_the_command_line() -> None:
    train = training_of(composed("reproduce atlas", "model=mnist", "preset=paper"))
    train = replace(train, seeds=None)
    for words in (
        "lr=0.03", "decay.pi=0", "decay=0", "init.m_var=fan_in", "optim.name=sgd lr=[1,3]",
        "train_size=60000 batches=20", "model.prefactor=false", "model=cifar10",
    ):  # fmt: skip
        expected = composed("train", *(f"model=mnist {words}".split())[words[:6] == "model=" :])
        assert with_words(train, words.split()) == replace(expected, data=train.data), words


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("lrr=1", "lrr"),
        ("optim.nam=sgd", "optim.nam"),
        ("lr=-1", "lr.m must be a number >= 0"),
        ("model=mnits", "there is no model 'mnits'; did you mean 'mnist'?"),
        ("epochs=0", "epochs must be at least 1, not 0"),
    ],
)
def test_invalid_setting_is_refused_before_any_work(
    word: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message.replace("?", r"\?")):
        Atlas(settings(tmp_path, {"factor": [word]}))
    assert not list(tmp_path.iterdir())


def test_factor_that_does_not_exist(tmp_path: Path) -> None:
    config = settings(tmp_path)
    preset = replace(config.preset, together={"every": ["TT"]})
    with pytest.raises(UserError, match=r"there is no factor in preset\.vary 'TT'"):
        check(replace(config, preset=preset))


@pytest.mark.parametrize(("preset", "number"), [("quick", 600), ("paper", 2000)])
@pytest.mark.slow
def test_settings_of_a_preset(preset: str, number: int, tmp_path: Path) -> None:
    config: ReproduceAtlas = composed("reproduce atlas", f"preset={preset}", "model=mnist")
    check(config)
    published = replace(training_of(config), seeds=[0])
    for factor, names in config.preset.vary.items():
        settings = [with_words(published, name.split()) for name in names]
        if factor.startswith("T at equal steps"):
            assert {training_run.steps(setting, setting.train_size) for setting in settings} == {
                number
            }
            sizes = [setting.train_size for setting in settings]
            assert sizes == sorted(set(sizes)) and 10_000 in sizes
        elif factor != "falling rate":  # every factor has the published setting
            same = [atlas.identity(s) == atlas.identity(published) for s in settings]
            assert sum(same) == 1, factor
        assert all(len({m.seed for m in population(setting)}) == 1 for setting in settings)
    sizes = {round(10_000 * size) for size in config.preset.sizes}
    assert sizes == {int(name.removeprefix("train_size=")) for name in config.preset.vary["T"]}


@pytest.mark.parametrize(("published", "asked"), [(6, True), (12, False)])
def test_claims_about_enough_steps_are_asked_where_the_published_network_has_them(
    published: int, asked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (atlas, credit):
        monkeypatch.setattr(module, "PUBLISHED_STEPS", {"digits": published})
    study = Atlas(settings(tmp_path, {"epochs": ["epochs=1", "epochs=2", "depth=6"]}))
    for setting, number in zip(study.settings, (3, 6, 6), strict=True):
        reference = study.reference_of(setting.gbp)
        assert reference["steps"] == number
        assert (reference["steps"] >= reference["published_steps"]) is asked
    assert [study.reference_of(s.gbp)["deep"] for s in study.settings] == [5, 5, 6]
