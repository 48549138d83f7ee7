"""`sas evaluate` and `sas prune`: a trained run tested, on other images too, and pruned."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import Making, composed, tables
from PIL import Image
from sklearn.metrics import accuracy_score
from test_readme import SPARSE

from sascli import runs
from sascli.cli import main
from sascli.config import DataSettings, Evaluate, Model, Prune, Tune
from sascli.errors import UserError
from sascli.measure import record
from sascli.measure.evaluate import foreign, opened, others
from sascli.measure.prune import Cut, prune, tuned
from sascli.measure.run import TrainedRun
from sascli.training import run as training_run


@pytest.fixture
def run(tiny: Making) -> Path:
    """A finished run of two seeds, of which every kind of connection is there."""
    return training_run.run(tiny(seeds=[3, 8], lr={"default": 0.2}, epochs=6, train_size=600))


def trained(run: Path) -> TrainedRun:
    return TrainedRun(run, torch.device("cpu"))


def made(command: str, outputs: Path, *words: str) -> Path:
    """Run a command; the newest directory that it leaves."""
    assert main([command, f"outputs={outputs}", "threads=1", *words]) == 0
    return sorted((outputs / command).glob("*/v*"))[-1]


@pytest.fixture
def tree(run: Path, tmp_path: Path) -> Path:
    """The run's test images as a tree of class folders, brighter by 255 / 240."""
    data = trained(run).data
    for place, (x, y) in enumerate(zip(data.test_x, data.test_y.tolist(), strict=True)):
        folder = tmp_path / "images" / str(y)
        folder.mkdir(parents=True, exist_ok=True)
        pixels = (255 * x.reshape(8, 8)).round().byte().numpy()
        Image.fromarray(pixels).save(folder / f"{place}.png")
    return tmp_path / "images"


# ---------------------------------------------------------------- sas evaluate


def test_accuracies_are_those_that_the_run_itself_measured(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = made("evaluate", tmp_path / "outputs", "samples=2")
    found = tables(directory)["evaluation"].set_index(["way", "seed"])["test_accuracy"]
    history = pd.read_csv(run / "history.csv").query("epoch == 6").set_index("seed")
    assert found["mean_field"].to_dict() == history["test_accuracy"].to_dict()
    assert found["mean"].to_dict() == history["test_accuracy_mean"].to_dict()
    told = dict(line.split()[:2] for line in capsys.readouterr().out.splitlines()[-3:])
    assert float(told["mean"]) == pytest.approx(history["test_accuracy_mean"].mean(), abs=1e-4)
    names = {path.name for path in directory.iterdir()}
    pictures = {f"{n}.{kind}" for n in ("confusion", "reliability", "uncertainty")
                for kind in ("pdf", "png")}  # fmt: skip
    assert pictures | {"evaluation.csv", "classes.csv", "manifest.json"} < names
    about = runs.manifest_of(directory)
    assert (about["kind"], about["run"], about["status"]) == ("evaluate", str(run), "finished")


def test_other_images_of_the_same_classes(run: Path, tree: Path, tmp_path: Path) -> None:
    words = ["model=folder", f"data.root={tree}", "samples=2"]
    other = tables(made("evaluate", tmp_path / "outputs", *words))
    own = tables(made("evaluate", tmp_path / "outputs", "samples=2"))
    assert other["evaluation"]["n_images"].unique() == [60]  # all of a tree without a test part
    columns = ["test_accuracy", "log_loss", "entropy"]
    mean = [t["evaluation"].query("way == 'mean'")[columns].to_numpy() for t in (own, other)]
    assert np.abs(mean[0] - mean[1]).max() < 0.02  # 256 grey levels for 17
    classes = [t["classes"].query("way == 'mean' and seed == 3") for t in (own, other)]
    assert classes[0]["n_images"].tolist() == classes[1]["n_images"].tolist()


def test_a_run_of_folders_is_tested_on_other_folders_and_not_on_its_training_images(
    tree: Path, tiny: Making, tmp_path: Path
) -> None:
    model = Model(name="folder", source="folder")
    settings = {"model": model, "train_size": "all", "test_size": "all", "epochs": 1}
    own = trained(training_run.run(tiny(data=DataSettings(root=str(tree)), **settings)))
    assert len(foreign(own, "folder", tree)[0]) == len(own.data.test_x) == 12  # a fifth of 60
    shutil.copytree(tree, tmp_path / "other")
    assert len(foreign(own, "folder", tmp_path / "other")[0]) == 60


def test_other_images_in_the_place_of_a_runs_own_are_told(
    tree: Path, tiny: Making, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Model(name="folder", source="folder")
    settings = {"model": model, "train_size": "all", "test_size": "all", "epochs": 1}
    config = tiny(data=DataSettings(root=str(tree)), **settings)
    run = training_run.run(config)
    moved = shutil.copytree(tree, tmp_path / "moved")
    assert main(["evaluate", f"run={run}", f"data.root={moved}", f"outputs={tmp_path}"]) == 0
    longer = replace(config, epochs=2, resume=str(run), data=DataSettings(root=str(moved)))
    assert training_run.run(longer) == run
    next(moved.glob("*/*.png")).unlink()
    for words in (["evaluate"], ["perturb"]):
        assert main([*words, f"run={run}", f"data.root={moved}", f"outputs={tmp_path}"]) == 2
        assert "is of other images: theirs have the checksum sha256:" in capsys.readouterr().err
    with pytest.raises(UserError, match="is of other images"):
        training_run.run(replace(longer, epochs=3))


def test_rates_of_replicas_are_told(tiny: Making, tmp_path: Path) -> None:
    run = training_run.run(tiny(lr={"default": [0.05, 0.1]}, epochs=1))
    assert main(["evaluate", f"run={run}", f"outputs={tmp_path}", "samples=1"]) == 0
    (path,) = tmp_path.glob("evaluate/*/*/evaluation.csv")
    table = runs.read_table(path)
    assert table.groupby("replica")["lr"].unique().map(list).tolist() == [[0.05], [0.1]]


def test_a_test_part_is_what_a_folder_is_tested_on(run: Path, tree: Path) -> None:
    inner = tree.parent / "split"
    inner.mkdir()
    tree.rename(inner / "test")
    (inner / "train").symlink_to(inner / "test")
    x, y = foreign(trained(run), "folder", inner)
    own = trained(run).data
    assert x.shape == own.test_x.shape and y.bincount().tolist() == own.test_y.bincount().tolist()


def test_classes_are_known_by_their_names(run: Path, tree: Path, tmp_path: Path) -> None:
    described = runs.manifest_of(run)["data"]
    assert described["classes"] == list("0123456789") and described["image_shape"] == [1, 8, 8]
    _, y = foreign(trained(run), "folder", tree)
    runs.describe(run, data=described | {"classes": list("9876543210")})
    assert torch.equal(foreign(trained(run), "folder", tree)[1], 9 - y)
    old = {name: described[name] for name in ("name", "checksum")}  # of a run before there were
    runs.describe(run, data=old)
    assert torch.equal(foreign(trained(run), "folder", tree)[1], y)


def test_what_is_not_of_these_classes(run: Path, tree: Path) -> None:
    own = trained(run)
    x = own.data.test_x
    shuffled = others(own, "shuffled", x, tree)
    assert torch.equal(shuffled.sort(-1).values, x.sort(-1).values)
    assert not torch.equal(shuffled[0].argsort(), x[0].argsort())
    assert torch.equal(shuffled, others(own, "shuffled", x, tree))
    assert others(own, "folder", x, tree).shape[1] == 64
    assert opened(own, "folder", tree).image_shape == (1, 8, 8)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("model=folder data.root={tree}/7", "must hold one folder of images per class"),
        ("model=folder data.root={tree}", "do not have the same classes: 9, nine"),
        ("model=folders", "there is no data set 'folders'"),
        ("model=mnist data.root={tree}", "MNIST"),
        ("against=[noise]", "there is no data set 'noise'"),
        ("samples=0", "samples must be at least 1, not 0"),
        ("run=nothing", "there is no finished run 'nothing'"),
    ],
)
def test_mistakes_of_evaluate(
    words: str, said: str, run: Path, tree: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("socket.socket.connect", lambda *_: (_ for _ in ()).throw(OSError()))
    (tree / "9").rename(tree / "nine")
    line = words.format(tree=tree).split()
    assert main(["evaluate", f"outputs={tmp_path}/outputs", *line]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "outputs/evaluate").exists()


def test_a_directory_of_another_command_is_no_run(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.describe(run, kind="continual")
    assert main(["evaluate", f"run={run}"]) == 2
    told = capsys.readouterr().err
    assert f"{run} is from `sas continual`: give a run of `sas train`" in told


def test_model_is_no_group_of_evaluate() -> None:
    config: Evaluate = composed("evaluate", "model=folder", "data.root=x")
    assert (config.model.default, config.data.root) == ("folder", "x")
    assert composed("evaluate").model.default is None


# ---------------------------------------------------------------- sas prune


def test_the_script_of_the_readme_predicts_what_sas_reports(run: Path, tmp_path: Path) -> None:
    words = ["keep=[0.5,0.1]", "threshold=[1]", "tune.epochs=1"]
    directory = made("prune", tmp_path / "outputs", *words)
    table, data = tables(directory)["pruning"], trained(run).data
    np.save(tmp_path / "images.npy", data.test_x.numpy())
    assert len(table) == 2 * (2 + 2 * (3 * 2 + 1))
    for row in table.query("format == 'csr'").iloc[::3].itertuples():
        content = (directory / row.file).read_bytes()
        assert len(content) == row.bytes
        (tmp_path / "network.safetensors").write_bytes(content)
        words = [sys.executable, "-W", "error", "-c", SPARSE]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        labels = np.array(done.stdout.split(), dtype=int)
        assert accuracy_score(data.test_y, labels) == row.test_accuracy
        if row.criterion == "none":
            mean = trained(run).network.forward(data.test_x).argmax(-1)[row.replica]
            assert labels.tolist() == mean.tolist()
    assert "sas" not in SPARSE
    assert len([line for line in SPARSE.splitlines() if line.strip()]) <= 10
    pictures = {path.name for path in directory.glob("*.p*") if path.suffix in (".pdf", ".png")}
    assert pictures == {"pruning.pdf", "pruning.png", "sparse.pdf", "sparse.png"}


def test_what_the_rows_say_of_the_networks(run: Path) -> None:
    config = Prune(keep=[1.0, 0.3], threshold=[1.0], criterion=["snr"])
    results = prune(trained(run), config)
    table = results.pop("pruning")
    files = results
    network = trained(run).network
    total = sum(layer.m[0].numel() for layer in network.layers)
    uip = [sum(int(layer.uip()[r].sum()) for layer in network.layers) for r in range(2)]
    assert min(uip) > 0
    assert set(files) == set(table["file"])
    for row in table.itertuples():
        assert row.kept_fraction == row.n_weights / total
        assert row.bytes == len(files[row.file])
        assert row.n_neurons <= 16 and row.rule == "gbp"
    by = table.query("format == 'csr'").set_index(["criterion", "level", "replica"])
    for r in range(2):
        whole = by.loc["none", 1.0, r]
        assert whole["n_weights"] <= total - uip[r]
        for criterion in ("threshold", "snr"):  # without the UIPs, and with everything
            same = by.loc[criterion, 1.0, r]
            for column in ("n_weights", "n_neurons", "bytes", "test_accuracy", "n_changed"):
                assert same[column] == whole[column]
        assert whole["n_changed"] == 0 < by.loc["snr", 0.3, r]["n_changed"]
        assert by.loc["snr", 0.3, r]["n_weights"] <= round(0.3 * total)


def test_fine_tuning_leaves_what_is_gone_and_learns_the_rest(run: Path) -> None:
    own = trained(run)
    network = own.network
    drawn = torch.Generator().manual_seed(0)
    shapes = [(2, 3, *layer.m.shape[1:]) for layer in network.layers]
    masks = [torch.rand(shape, generator=drawn) < 0.7 for shape in shapes]
    weights = [w.unsqueeze(1) * m for w, m in zip(network.mean(), masks, strict=True)]
    cut = Cut("any", (1, 2, 3), masks, [w.detach() for w in weights])
    x, y = own.data.train_x, own.data.train_y

    def loss(weights: list[torch.Tensor]) -> torch.Tensor:
        logits = network.run([w.flatten(0, 1) for w in weights], x)
        return torch.nn.functional.cross_entropy(logits.mT, y.expand(6, -1), reduction="none")

    found = tuned(own, cut, Tune(3))
    for w, mask, before in zip(found.weights, masks, cut.weights, strict=True):
        assert w.shape == mask.shape and (w[~mask] == 0).all()
        assert (w[mask] != before[mask]).double().mean() > 0.5
    assert (loss(list(found.weights)).mean(-1) < loss(list(cut.weights)).mean(-1)).all()
    alone = tuned(own, Cut("any", (2,), [m[:, 1:2] for m in masks],
                           [w[:, 1:2].detach() for w in weights]), Tune(3))  # fmt: skip
    for w, single in zip(found.weights, alone.weights, strict=True):
        torch.testing.assert_close(w[:, 1:2], single, rtol=1e-3, atol=1e-4)
    slow = tuned(own, cut, Tune(3, 1e-6))
    assert max(
        float((w - b).abs().max()) for w, b in zip(slow.weights, cut.weights, strict=True)
    ) < 1e-3  # fmt: skip


def test_a_baseline_is_pruned_by_magnitude(run: Path, tiny: Making) -> None:
    settings = {"seeds": [3, 8], "epochs": 1, "train_size": 600}
    bp = training_run.run(tiny(rule={"name": "bp"}, name="bp", **settings))
    table = prune(trained(run), Prune(keep=[0.5], baseline=str(bp)))["pruning"]
    assert set(table.query("rule == 'bp'")["criterion"]) == {"none", "magnitude"}
    assert set(table.query("rule == 'gbp'")["criterion"]) == {
        "none", "pi", "snr", "magnitude", "threshold"
    }  # fmt: skip


def test_nothing_counts_as_finished_before_the_networks_are_there(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise UserError("No space left on device")

    monkeypatch.setattr(record.runs, "replacing", full)
    assert main(["prune", f"outputs={tmp_path}", f"run={run}", "keep=[0.5]"]) == 2
    (directory,) = (tmp_path / "prune").glob("*/v*")
    assert (directory / "pruning.csv").exists() and not runs.begun(directory)


def test_fine_tuning_knows_no_halving_of_rates(run: Path) -> None:
    own = trained(run)
    kept = Cut("any", (1,), *([w.unsqueeze(1) for w in part] for part in (
        [torch.ones_like(w) for w in own.network.mean()], own.network.mean())))  # fmt: skip
    plain = tuned(own, kept, Tune(1)).weights
    own.config.optim.halve_every = 1
    for w, other in zip(plain, tuned(own, kept, Tune(1)).weights, strict=True):
        assert torch.equal(w, other)


def test_a_rule_that_predicts_no_probabilities_is_told(
    tiny: Making, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copi = training_run.run(tiny(epochs=1, rule={"name": "copi"}))
    assert main(["evaluate", f"outputs={tmp_path}", f"run={copi}", "samples=1"]) == 0
    assert "rule=copi learns outputs of 0 and 1, not probabilities" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("criterion=[credit]", "there is no criterion 'credit'"),
        ("keep=[0,0.5]", "keep must lie in (0, 1], not [0.0, 0.5]"),
        ("threshold=[1.1]", "threshold must lie in (0, 1]"),
        ("tune.epochs=-1", "tune.epochs must be at least 0, not -1"),
        ("tune.lr=0", "tune.lr must be above 0, not 0"),
        ("baseline=nothing", "there is no finished run 'nothing'"),
        ("baseline=other", "are of different images"),
        ("run=copi", "is of rule copi"),
        ("baseline=RUN", "baseline is a run of rule=bp beside one of another rule"),
        ("keep=[]", "keep needs at least one value"),
        ("criterion=[]", "criterion needs at least one value"),
    ],
)
def test_mistakes_of_prune(
    words: str, said: str, run: Path, tiny: Making, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    if words.endswith("other"):
        training_run.run(tiny(epochs=1, name="other"))
    words = words.replace("RUN", str(run))
    if words.endswith("copi"):
        training_run.run(tiny(epochs=1, name="copi", rule={"name": "copi"}))
    assert main(["prune", f"outputs={tmp_path}/outputs", f"run={run}", *words.split()]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "outputs/prune").exists()
