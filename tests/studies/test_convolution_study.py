"""`sas reproduce convolution`: its tables, resuming, invalid settings."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from conftest import assert_same_tables, composed

from sascli import runs
from sascli.claims import UNMEASURED
from sascli.claims.convolution import ASKED, BARS
from sascli.cli import main
from sascli.config import ReproduceConvolution, check
from sascli.measure.run import TrainedRun
from sascli.studies import convolution
from sascli.studies.base import reproduce
from sascli.studies.convolution import Convolution, first_filters
from sascli.studies.registry import STUDIES

SMALL = "model=digits_conv preset=smoke width=[4,5,6] train_size=400 test_size=60 threads=1"


def settings(outputs: Path, *words: str) -> ReproduceConvolution:
    """A small smoke preset."""
    line = [*SMALL.split(), f"outputs={outputs}", *words]
    config: ReproduceConvolution = composed("reproduce convolution", *line)
    check(config)
    return config


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of an uninterrupted study."""
    return reproduce(Convolution(settings(tmp_path_factory.mktemp("convolution"))))


@pytest.mark.slow
def test_tables_pictures_claims_and_report(unbroken: Path) -> None:
    study = STUDIES["convolution"]
    assert {path.stem for path in unbroken.glob("pictures/*.png")} == set(study.figures)
    claims = pd.read_csv(unbroken / "claims.csv").set_index("claim")
    assert list(claims.index) == [*ASKED, 18, 19]
    assert (claims["verdict"] == UNMEASURED).tolist() == [False] * len(ASKED) + [True] * 2
    assert study.title in (unbroken / "report.html").read_text()
    about = runs.manifest_of(unbroken)
    assert about["rates"].keys() == {"gbp", "bp"}
    assert about["reference"] == {"depth": 5, "train_size": 400, "deep": 5, "steps": 24}


@pytest.mark.slow
def test_tables_are_those_of_the_runs(unbroken: Path) -> None:
    rate = runs.manifest_of(unbroken)["rates"]["gbp"]
    run = TrainedRun(unbroken / f"runs/gbp-L5-T400-lr{rate}", torch.device("cpu"))
    filters = runs.read_table(unbroken / "filters.csv")
    pd.testing.assert_frame_equal(filters, first_filters(run), check_dtype=False)
    place = "seed == 1 and unit == 2 and row == 1 and column == 2"
    kernel = run.network.layers[0].m.detach()[1, 2].view(3, 3)
    assert filters.query(place)["m"].item() == pytest.approx(kernel[1, 2].item())
    assert sorted(runs.read_table(unbroken / "perturbation.csv")["layer"].unique()) == [1, 2, 3, 4]
    pruning = runs.read_table(unbroken / "pruning.csv")
    assert set(pruning[pruning["rule"] == "bp"]["criterion"]) == {"none", "magnitude"}


@pytest.mark.slow
def test_interrupted_study_resumes_with_the_same_tables(
    unbroken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(convolution, "first_filters", stopped)
        with pytest.raises(KeyboardInterrupt):
            reproduce(Convolution(settings(tmp_path)))
    directory = reproduce(Convolution(settings(tmp_path)))
    assert directory.name == "v001"
    assert_same_tables(unbroken, directory)


def test_rates_of_both_rules_are_searched_alike_on_held_out_images(tmp_path: Path) -> None:
    study = Convolution(settings(tmp_path))
    gbp, bp = (point.config for point in study.searches())
    assert (gbp.rule.name, bp.rule.name) == ("gbp", "bp")
    assert gbp.lr == bp.lr == {"default": [0.025, 0.1]}
    assert gbp.data.split == bp.data.split == "validation"
    assert len(study.planned()) == 4


@pytest.mark.parametrize("model", BARS)
@pytest.mark.parametrize("preset", ["smoke", "quick", "paper"])
def test_every_preset_measures_every_claim(preset: str, model: str) -> None:
    config: ReproduceConvolution = composed(
        "reproduce convolution", f"model={model}", f"preset={preset}"
    )
    check(config)
    assert {0, 1} <= set(config.preset.fractions)
    assert config.train_size == ("all" if preset != "quick" else 10_000)
    assert preset != "paper" or config.seeds == 3


def test_other_networks_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "convolution", "model=digits", f"outputs={tmp_path}"]) == 2
    assert "this study needs a convolutional network" in capsys.readouterr().err
