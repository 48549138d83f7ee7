"""`sas reproduce copi`: the runs of a preset, divergence, resuming."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import assert_same_tables, composed, tables

from sascli import runs
from sascli.cli import main
from sascli.config import Compress, ReproduceCopi, config_hash, plain
from sascli.errors import DivergedError, UserError
from sascli.measure import copi as measures
from sascli.measure.record import Results
from sascli.measure.run import TrainedRun
from sascli.studies.base import reproduce
from sascli.studies.copi import Comparison, Copi, best_name
from sascli.studies.registry import STUDIES
from sascli.studies.search import best
from sascli.training import loop
from sascli.training.population import Population, Trained
from sascli.training.signals import Stopped

SMALL = "model=digits preset=smoke train_size=200 test_size=60 width=6 threads=1 device=cpu"


def settings(outputs: Path, *words: str) -> ReproduceCopi:
    """A small smoke preset, at whose largest rate plain BP diverges."""
    rates = ["preset.rates=[0.03,1,30]", "preset.rate_seeds=2", "preset.search_seeds=2"]
    config: ReproduceCopi = composed(
        "reproduce copi", *SMALL.split(), *rates, f"outputs={outputs}", *words
    )
    return config


def comparison(model: str, preset: str, available: int, *words: str) -> Comparison:
    """The points of a preset for a data set of `available` training images."""
    line = (f"model={model}", f"preset={preset}", *words)
    return Comparison(composed("reproduce copi", *line), available)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of an uninterrupted study."""
    return reproduce(Copi(settings(tmp_path_factory.mktemp("unbroken"))))


# ---------------------------------------------------------------- the runs of a preset


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
def test_networks_are_the_published_ones_or_smaller(
    model: str, preset: str, available: int, network: tuple[int, int], size: int
) -> None:
    study = comparison(model, preset, available)
    arms = study.arms(dict.fromkeys(study.config.preset.searched, 0.3))
    published = ["copi-bp", "copi-fa", "copi-local", "bp-decor", "bp-adam"]
    assert list(arms)[:5] == published
    assert list(arms)[5:] == [best_name(arm) for arm in study.config.preset.searched]
    for config in arms.values():
        assert (config.depth, config.width) == network
        assert (config.train_size, config.batch_size) == (size, 50)
        assert config.epochs == study.config.epochs


@pytest.mark.parametrize(
    ("model", "epochs", "seeds", "trials"),
    [("mnist", 50, 3, 5), ("cifar10", 12, 2, 3), ("digits", 50, 3, 5)],
)
def test_paper_preset_has_epochs_and_seeds_of_the_model(
    model: str, epochs: int, seeds: int, trials: int
) -> None:
    config = composed("reproduce copi", f"model={model}", "preset=paper")
    assert (config.epochs, config.seeds, config.preset.rate_seeds) == (epochs, seeds, trials)
    assert config.preset.maps == "all" and config.preset.cut.startswith(f"{epochs} epochs")
    changed = composed("reproduce copi", f"model={model}", "preset=paper", "epochs=3", "seeds=1")
    assert (changed.epochs, changed.seeds) == (3, 1)
    quick = composed("reproduce copi", f"model={model}")
    assert (quick.epochs, quick.seeds) == (10, 3)


def test_text_of_a_preset_does_not_change_the_hash() -> None:
    first, other, shorter = (
        composed("reproduce copi", *words) for words in ((), ("preset.cut=other",), ("epochs=9",))
    )
    assert config_hash(first) == config_hash(other) != config_hash(shorter)


def test_settings_of_every_rule() -> None:
    arms = comparison("mnist", "paper", 60_000).arms(
        {"copi-bp": 1.0, "copi-fa": 0.3, "bp-decor": 3.0, "bp-plain": 0.1, "bp-adam": 10.0}
    )
    assert list(arms) == [
        "copi-bp", "copi-fa", "copi-local", "bp-decor", "bp-adam", "copi-fa-best",
        "bp-decor-best", "bp-plain", "bp-adam-best",
    ]  # fmt: skip
    rules = {name: plain(config.rule) | {"lr": config.lr} for name, config in arms.items()}
    rates = {"copi-fa-best": 3e-4, "bp-decor-best": 3e-3}
    for name in ("copi-bp", "copi-fa", "copi-local", "bp-decor", *rates):
        assert rules[name]["lr"] == {"default": rates.get(name, 1e-3), "r": 1e-3}
        assert (rules[name]["gain"], rules[name]["decorrelation_epochs"]) == (1000, 1)
        assert arms[name].decay["default"] == 0
    assert rules["copi-fa"]["credit"] == "fa" and rules["copi-bp"]["credit"] == "bp"
    assert rules["copi-local"]["decorrelation"] == "local"
    for name, rate in (("bp-plain", 1e-4), ("bp-adam", 1e-4), ("bp-adam-best", 1e-3)):
        assert rules[name]["lr"] == {"default": rate, "r": 0.0}  # nothing decorrelates
        assert (rules[name]["name"], rules[name]["decorrelation_epochs"]) == ("bp_decor", 0)
        assert bool(rules[name].get("adam")) is (name != "bp-plain")
    gbp = comparison("mnist", "quick", 60_000).arms({"gbp": 1.0})["gbp"]
    assert plain(gbp.rule) == {"name": "gbp"} and gbp.lr == {"default": 1e-2, "r": 0.0}
    assert gbp.decay == {"default": 1e-4}


def test_every_seed_has_its_run_directory() -> None:
    study = comparison("digits", "smoke", 1297, "seeds=[4,7]")
    points = study.points("bp-adam", study.arms({})["bp-adam"], study.seeds)
    assert [(p.name, p.key["point"], p.config.name, p.config.seeds) for p in points] == [
        (f"bp-adam-s{seed}", "bp-adam", f"bp-adam-s{seed}", [seed]) for seed in (4, 7)
    ]


def test_comparison_of_gains_reuses_arms_of_the_same_settings() -> None:
    study = comparison("mnist", "paper", 60_000)
    arms = study.arms({"bp-adam": 10.0, "copi-bp": 3.0})
    points = {p.name: p for p in study.compared(arms)}
    assert list(points) == [
        f"{name}-s{seed}"
        for name in ("copi-bp-gain10", "copi-bp-gain100", "copi-bp", "bp-adam-lr1e-05",
                     "bp-adam", "bp-adam-best")
        for seed in (0, 1)
    ]  # fmt: skip
    config = points["copi-bp-gain10-s1"].config
    assert (config.rule.gain, config.lr["default"], config.epochs) == (10, 1e-3, 10)
    assert points["bp-adam-lr1e-05-s0"].config.lr["default"] == 1e-5
    taken = points["bp-adam-best-s1"]
    assert taken in study.points("bp-adam-best", arms["bp-adam-best"], study.seeds)
    assert taken.config.epochs == 50
    digits = comparison("digits", "smoke", 1297)
    assert {p.config.rule.gain for p in digits.compared(digits.arms({}))} == {10, 100}


def test_trials_change_the_rate_of_w_alone() -> None:
    words = ("lr=0.02", "lr.r=0.005", "preset.rates=[1,10]", "preset.searched=[copi-fa]")
    words += ("preset.rate_seeds=2",)
    trials = {
        point.name: (key, point.config)
        for key, point in comparison("digits", "smoke", 1297, *words).trials()
    }
    key, config = trials["copi-bp-x10-s1"]
    assert config.lr == {"default": 0.2, "r": 0.005} and config.seeds == [1]
    assert key == {"point": "copi-bp", "factor": 10, "lr": 0.2, "seed": 1}
    count = {name.rsplit("-x")[0]: 0 for name in trials}
    for name in trials:
        count[name.rsplit("-x")[0]] += 1
    assert count == {"copi-bp": 4, "bp-plain": 4, "copi-fa": 2}  # both are always compared


@pytest.mark.parametrize(("available", "size", "held_out"), [(1297, 200, 259), (230, 184, 46)])
def test_trials_are_tested_on_held_out_training_images(
    available: int, size: int, held_out: int
) -> None:
    for _, point in comparison("digits", "smoke", available, "train_size=200").trials():
        config = point.config
        assert (config.data.split, config.train_size) == ("validation", size)
        assert (config.test_size, config.epochs, config.seeds) == (held_out, 2, [0])


def test_best_rate_has_the_highest_mean_without_divergence() -> None:
    accuracies = {0.1: [0.5, 0.6], 1.0: [0.7, 0.7], 10.0: [0.9, None], 30.0: [None, None]}
    rows = [
        {"point": "x", "factor": factor, "validation_accuracy": value}
        for factor, values in accuracies.items() for value in values
    ]  # fmt: skip
    assert best(pd.DataFrame(rows), "factor") == 1.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("preset.rates=[]", "preset.rates needs at least one value"),
        ("preset.rates=[0.1]", "preset.rates must contain 1"),
        ("preset.depth=1", "preset.depth must be at least 2, not 1"),
        ("preset.rate_epochs=1", "preset.rate_epochs must be at least 2, not 1"),
        ("preset.units=0", "preset.units must be at least 1, not 0"),
        ("preset.gain_seeds=0", "preset.gain_seeds must be at least 1, not 0"),
        ("preset.gain_epochs=1", "preset.gain_epochs must be at least 2, not 1"),
        ("preset.gains=[0]", "preset.gains must be above 0, not [0.0]"),
        ("preset.maps=some", "preset.maps must be a whole number >= 1 or 'all', not 'some'"),
        ("preset.searched=[copi-bq]", "no preset.searched 'copi-bq'; did you mean 'copi-bp'?"),
        ("train_size=1298", "train_size=1298, but there are 1297 training images"),
        ("preset=smok", "'smok'; did you mean 'smoke'?"),
        ("preset=1", "there is no preset '1'"),
        ("preset.deep=5", "no setting 'preset.deep'"),
        ("rule=bp", "the study is of rule=copi, not of rule=bp\n"),
        ("rule=bp_decor", "the study is of rule=copi, not of rule=bp_decor\n"),
        ("lr=[0.1,0.2]", "lr must be one number here"),
        ("lr.r=0", "lr.r=0: the networks of COPI decorrelate"),
        ("rule.credit=fa", "rule.credit=fa has no effect here: the study compares both"),
        ("rule.decorrelation=local", "no effect here: the study compares both"),
    ],
)
def test_invalid_settings_are_refused(
    word: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
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
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------- its directory


PUBLISHED = ("copi-bp", "copi-fa", "copi-local", "bp-decor", "bp-adam")


@pytest.mark.slow
def test_tables_pictures_claims_and_report(unbroken: Path) -> None:
    study = STUDIES["copi"]
    made = tables(unbroken)
    assert set(made) == {
        "history", "arms", "rates", "gains", "decorrelation", "decorrelated", "features",
        "compression", "linear", "claims",
    }  # fmt: skip
    pictures = {path.name for path in (unbroken / "pictures").iterdir()}
    assert pictures == {f"{name}.{kind}" for name in study.figures for kind in ("pdf", "png")}
    verdicts = made["claims"].set_index("claim")["verdict"]
    assert list(verdicts.index) == [1, 2, 3, 4, 5, 6]
    assert list(verdicts.index[verdicts == "not measured"]) == [5]  # not a published network
    page = (unbroken / "report.html").read_text()
    assert study.title in page and "Ahmad" in page and "the numbers mean nothing" in page
    about = runs.manifest_of(unbroken)
    assert about["reference"] == {"depth": 4, "width": 6, "train_size": 200}
    assert about["status"] == "finished" and about["diverged"] == []
    points = set(made["arms"]["point"])
    assert set(about["rates"]) == {p for p in points if "-gain" not in p and "-lr" not in p}
    assert {*PUBLISHED, "bp-plain", "gbp"} <= set(about["rates"])
    assert about["cut"].startswith("Width 30")


@pytest.mark.slow
def test_diverged_trial_has_no_accuracy(unbroken: Path) -> None:
    rates = tables(unbroken)["rates"]
    assert len(rates) == 6 * 3 * 2
    plain = rates[(rates["point"] == "bp-plain") & (rates["factor"] == 30)]
    assert len(plain) == 2 and plain["validation_accuracy"].isna().all()
    assert (plain["diverged"] >= 1).all()
    run = unbroken / "runs" / "bp-plain-x30-s1"
    assert runs.manifest_of(run)["error"].startswith("training diverged in epoch")
    finished = rates[rates["diverged"].isna()]
    assert finished["validation_accuracy"].notna().all()


@pytest.mark.slow
def test_trials_keep_tables_and_discard_weights(unbroken: Path) -> None:
    files = {path.name for path in (unbroken / "runs" / "copi-bp-x1-s0").iterdir()}
    assert {"history.csv", "manifest.json"} <= files
    assert not [name for name in files if name.endswith((".safetensors", ".pt"))]
    assert "checkpoint.json" not in files
    assert (unbroken / "runs" / "copi-bp-s0" / "weights.safetensors").exists()


@pytest.mark.slow
def test_every_run_of_a_study_was_planned(unbroken: Path) -> None:
    planned = {point.name for point in Copi(settings(unbroken.parents[3])).planned()}
    assert {path.name for path in (unbroken / "runs").iterdir()} <= planned


@pytest.mark.slow
def test_every_network_is_listed_with_its_rate(unbroken: Path) -> None:
    made = tables(unbroken)
    arms, history = made["arms"], made["history"]
    assert arms["diverged"].isna().all() and arms.groupby("point").size().loc["copi-bp"] == 2
    last = history[history["epoch"] == 3].set_index(["point", "seed"])["test_accuracy"]
    main = arms[~arms["point"].str.contains("-gain|-lr")].set_index(["point", "seed"])
    pd.testing.assert_series_equal(main["test_accuracy"], last[main.index])
    rates = runs.manifest_of(unbroken)["rates"]
    assert {point: lr for (point, _), lr in main["lr"].items()} == rates
    assert (rates["copi-bp"], rates["bp-adam"]) == (0.03, 1e-4)


@pytest.mark.slow
def test_gains_are_of_the_first_epochs_of_the_runs(unbroken: Path) -> None:
    made = tables(unbroken)
    table = made["gains"]
    assert set(table["epoch"]) == {1, 2} and set(table["seed"]) == {0}
    copi = table[table["rule"] == "copi"]
    assert dict(zip(copi["gain"], copi["point"], strict=True)) == {
        10: "copi-bp-gain10", 100: "copi-bp"
    }  # fmt: skip
    history = made["history"].query("point == 'copi-bp' and seed == 0 and epoch < 3")
    published = copi[copi["gain"] == 100]
    assert published["train_loss"].tolist() == history["train_loss"].tolist()
    assert sorted(set(table.loc[table["rule"] == "bp_decor", "lr"])) == [1e-4, 1e-3]


@pytest.mark.slow
def test_correlations_are_of_decorrelating_rules(unbroken: Path) -> None:
    table = tables(unbroken)["decorrelation"]
    assert {*PUBLISHED[:4]} <= set(table["point"])
    assert not {"bp-adam", "bp-plain", "gbp"} & set(table["point"])
    start = table[table["epoch"] == 0]
    assert (start["before"] == start["after"]).all()
    end = table[(table["epoch"] == 3) & (table["layer"] == 1) & table["point"].isin(PUBLISHED)]
    assert len(end) == 4 * 2 and (end["after"] < end["before"]).all()


def diverging(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let the runs of these names diverge in their second epoch."""
    evaluate, train = loop.evaluate, loop.train

    def diverging(population: Population, *rest: Any) -> Trained:
        def diverged(data: Any, rule: Any, epoch: int, *settings: Any) -> Any:
            if population.run.name in names and epoch == 2:
                raise DivergedError(epoch, "the largest parameter is m of layer 1")
            return evaluate(data, rule, epoch, *settings)

        monkeypatch.setattr(loop, "evaluate", diverged)
        return train(population, *rest)

    monkeypatch.setattr(loop, "train", diverging)


@pytest.mark.slow
def test_diverged_seed_does_not_stop_the_study(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    diverged = ["copi-bp-s0", "copi-bp-gain10-s1", "copi-fa-s0", "copi-fa-s1"]
    diverging(monkeypatch, *diverged)
    few = ["preset.rates=[1]", "preset.rate_seeds=1", "preset.search_seeds=1"]
    few += ["preset.gain_seeds=2", "preset.searched=[]"]
    directory = reproduce(Copi(settings(tmp_path, *few)))
    assert sorted(runs.manifest_of(directory)["diverged"]) == sorted(diverged)
    assert "copi-bp-s0: training diverged in epoch 2" in capsys.readouterr().out
    made = tables(directory)
    seeds = made["history"].groupby("point")["seed"].unique().map(list).to_dict()
    assert seeds["copi-bp"] == [1] and seeds["copi-local"] == [0, 1] and "copi-fa" not in seeds
    assert set(made["compression"]["seed"]) == {1}
    arms = made["arms"].set_index(["point", "seed"])
    assert arms.loc[("copi-bp", 0), "diverged"] == 2 and arms["diverged"].notna().sum() == 4
    assert arms.loc[("copi-bp", 0)].isna()["test_accuracy"]
    pairs = set(zip(made["gains"]["point"], made["gains"]["seed"], strict=True))
    assert ("copi-bp-gain10", 0) in pairs and not {("copi-bp-gain10", 1), ("copi-bp", 0)} & pairs
    assert (directory / "pictures" / "copi_accuracy.png").exists()


@pytest.mark.slow
def test_study_fails_where_copi_diverges_with_every_seed(tmp_path: Path) -> None:
    few = ["lr=300", "preset.rates=[1]", "preset.rate_seeds=1", "seeds=1"]
    with pytest.raises(UserError, match="copi-bp diverged"):
        reproduce(Copi(settings(tmp_path, *few)))


@pytest.mark.slow
def test_interrupted_study_resumes_without_repetition(
    unbroken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    signal_in: Callable[..., None],
) -> None:  # fmt: skip
    config = settings(tmp_path)
    signal_in(3)  # in the last epoch of the first full run, before its tables
    with pytest.raises(Stopped):
        reproduce(Copi(config))
    (directory,) = (tmp_path / "reproduce/copi/digits-smoke").iterdir()
    assert runs.manifest_of(directory)["status"] == "interrupted"
    trained: list[str] = []
    train = loop.train

    def counted(population: Population, *rest: Any) -> Trained:
        trained.append(population.run.name)
        return train(population, *rest)

    monkeypatch.setattr(loop, "train", counted)
    assert reproduce(Copi(config)) == directory
    arms = tables(directory)["arms"]
    # no trial is repeated, not even one that diverged
    assert trained == [
        f"{point}-s{seed}" for point, seed in zip(arms["point"], arms["seed"], strict=True)
    ]
    assert_same_tables(unbroken, directory)
    trained.clear()
    (directory / "linear.csv").unlink()
    assert reproduce(Copi(config)) == directory
    assert trained == [] and (directory / "linear.csv").exists()


@pytest.mark.slow
def test_compression_resumes_seed_by_seed(
    unbroken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "study"
    shutil.copytree(unbroken, directory)
    (directory / "compression.csv").unlink()
    (directory / "runs" / "copi-bp-s1" / "compression.csv").unlink()
    measured: list[list[int]] = []
    compress = measures.compress

    def counted(run: TrainedRun, config: Compress) -> Results:
        measured.append(run.seeds)
        return compress(run, config)

    monkeypatch.setattr(measures, "compress", counted)
    Copi(settings(tmp_path)).measure(directory)
    assert measured == [[1]]
    assert_same_tables(unbroken, directory)


@pytest.mark.slow
def test_second_worker_finds_the_study_finished(unbroken: Path, tmp_path: Path) -> None:
    config = settings(tmp_path)
    first = reproduce(Copi(replace(config, worker=1)))
    assert reproduce(Copi(replace(config, worker=2))) == first
    assert_same_tables(unbroken, first)


@pytest.mark.slow
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
    output = capsys.readouterr().out
    assert "preset=quick*" in output and "The published networks, all training images" in output
    assert "preset.rate_epochs=5" in output and "preset.deep=" not in output
    assert main(["reproduce", "credit", "--help"]) == 0
    output = capsys.readouterr().out
    assert "preset=quick*" in output and "The paper's settings, five seeds" in output


def test_sweep_over_presets_takes_those_of_the_study(capsys: pytest.CaptureFixture[str]) -> None:
    presets = [composed("reproduce copi", f"preset={name}").preset for name in ("smoke", "paper")]
    assert [preset.name for preset in presets] == ["smoke", "paper"]
    assert [preset.rate_size for preset in presets] == [200, 10_000]
    assert main(["reproduce", "copi", "preset=smoke,paper", "--cfg", "job"]) == 2
    assert "has several values" in capsys.readouterr().err
