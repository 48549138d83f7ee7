"""Every conf/experiment/NAME.yaml runs at a small size by the command in its first comment."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sascli.cli import main
from sascli.commands import COMMANDS
from sascli.config.composition import comments

FILES = sorted((Path(__file__).parents[1] / "conf" / "experiment").glob("*.yaml"))
TRAINING = "model=digits epochs=1 width=8 test_size=40 batch_size=20 device=cpu threads=1"
SHRUNK = {
    "train": f"{TRAINING} train_size=60 replicas=2",
    "sweep-datasize": f"{TRAINING} train_size=[40,60] seeds=2",
    "perturb": "samples=1 fractions=[0,1] device=cpu threads=1",
}


def commands(path: Path) -> Iterator[list[str]]:
    """The words after `sas` of each command of the first comment, which shares one line by &&."""
    for command in comments(path)[0].split(" && "):
        program, *words = command.split()
        assert program == "sas" and words[0] in COMMANDS
        yield words


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_runs_by_the_command_of_its_first_comment(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SAS_OUTPUTS", raising=False)
    lines = list(commands(path))
    assert f"experiment={path.stem}" in lines[-1]
    for words in lines:
        assert main([*words, *SHRUNK[words[0]].split()]) == 0
    made = {table.stem for table in (tmp_path / "outputs" / lines[-1][0]).rglob("*.csv")}
    wanted = {"train": "history", "sweep-datasize": "datasize", "perturb": "perturbation"}
    assert wanted[lines[-1][0]] in made


@pytest.mark.slow
def test_sweep_can_be_drawn_but_a_single_run_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SAS_OUTPUTS", raising=False)
    for command, words in SHRUNK.items():
        if command != "perturb":
            assert main([command, *words.split(), "name=x"]) == 0
    sweep = "from=outputs/sweep-datasize/x/v001"
    assert main(["plot", sweep, "figure=[fig2b,variance]", "out=pictures"]) == 0
    assert len(list(Path("pictures").glob("*.png"))) == 2
    assert main(["claims", sweep]) == 0
    capsys.readouterr()
    for words in (["plot", "figure=fig3a"], ["claims"]):
        assert main([*words, "from=outputs/train/x/v001"]) == 2
        assert "figures and claims need one of `sas reproduce`" in capsys.readouterr().err


def test_experiment_of_another_command_is_reported(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for words in (["perturb", "experiment=fig3a"], ["train", "experiment=fig4a"]):
        assert main(words) == 2
        assert "is for another command, `sas " in capsys.readouterr().err
