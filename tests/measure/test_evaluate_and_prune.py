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
from sascli.measure.evaluate import images_of_no_class, load_all, other_images
from sascli.measure.evaluate import overview as evaluate_overview
from sascli.measure.prune import Cut, fine_tune, prune
from sascli.measure.prune import overview as prune_overview
from sascli.measure.run import TrainedRun
from sascli.training import run as training_run


@pytest.fixture
def run(tiny: Making) -> Path:
    """A finished run of two seeds with every kind of connection."""
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


@pytest.mark.slow
def test_evaluation_has_the_accuracies_of_the_run(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = made("evaluate", tmp_path / "outputs", "samples=2")
    accuracies = tables(directory)["evaluation"].set_index(["way", "seed"])["test_accuracy"]
    history = pd.read_csv(run / "history.csv").query("epoch == 6").set_index("seed")
    assert accuracies["mean_field"].to_dict() == history["test_accuracy"].to_dict()
    assert accuracies["mean"].to_dict() == history["test_accuracy_mean"].to_dict()
    overview = dict(line.split()[:2] for line in capsys.readouterr().out.splitlines()[-3:])
    assert float(overview["mean"]) == pytest.approx(history["test_accuracy_mean"].mean(), abs=1e-4)
    names = {path.name for path in directory.iterdir()}
    pictures = {f"{n}.{kind}" for n in ("confusion", "reliability", "uncertainty")
                for kind in ("pdf", "png")}  # fmt: skip
    assert pictures | {"evaluation.csv", "classes.csv", "manifest.json"} < names
    about = runs.manifest_of(directory)
    assert (about["kind"], about["run"], about["status"]) == ("evaluate", str(run), "finished")


@pytest.mark.slow
def test_evaluation_of_other_images(run: Path, tree: Path, tmp_path: Path) -> None:
    words = ["model=folder", f"data.root={tree}", "samples=2"]
    other = tables(made("evaluate", tmp_path / "outputs", *words))
    usual = tables(made("evaluate", tmp_path / "outputs", "samples=2"))
    assert other["evaluation"]["n_images"].unique() == [60]  # all of a tree without a test part
    columns = ["test_accuracy", "log_loss", "entropy"]
    mean = [t["evaluation"].query("way == 'mean'")[columns].to_numpy() for t in (usual, other)]
    assert np.abs(mean[0] - mean[1]).max() < 0.02  # 256 grey levels for 17
    classes = [t["classes"].query("way == 'mean' and seed == 3") for t in (usual, other)]
    assert classes[0]["n_images"].tolist() == classes[1]["n_images"].tolist()


def test_folders_exclude_the_training_images(
    tree: Path, tiny: Making, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model(name="folder", source="folder")
    settings = {"model": model, "train_size": "all", "test_size": "all", "epochs": 1}
    run = trained(training_run.run(tiny(data=DataSettings(root=str(tree)), **settings)))
    assert len(other_images(run, "folder", tree)[0]) == len(run.data.test_x) == 12  # a fifth of 60
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(other_images(run, "folder", Path("~/images"))[0]) == 12
    shutil.copytree(tree, tmp_path / "other")
    assert len(other_images(run, "folder", tmp_path / "other")[0]) == 60


@pytest.mark.slow
def test_changed_images_raise_an_error(
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
        assert "image checksum changed: expected sha256:" in capsys.readouterr().err
    with pytest.raises(UserError, match="image checksum changed"):
        training_run.run(replace(longer, epochs=3))


@pytest.mark.slow
def test_tables_have_the_rates_of_replicas(tiny: Making, tmp_path: Path) -> None:
    run = training_run.run(tiny(lr={"default": [0.05, 0.1]}, epochs=1))
    assert main(["evaluate", f"run={run}", f"outputs={tmp_path}", "samples=1"]) == 0
    (path,) = tmp_path.glob("evaluate/*/*/evaluation.csv")
    table = runs.read_table(path)
    assert table.groupby("replica")["lr"].unique().map(list).tolist() == [[0.05], [0.1]]


def test_folder_with_a_test_part_is_tested_on_it(run: Path, tree: Path) -> None:
    inner = tree.parent / "split"
    inner.mkdir()
    tree.rename(inner / "test")
    (inner / "train").symlink_to(inner / "test")
    x, y = other_images(trained(run), "folder", inner)
    data = trained(run).data
    assert x.shape == data.test_x.shape
    assert y.bincount().tolist() == data.test_y.bincount().tolist()


def test_classes_are_matched_by_name(run: Path, tree: Path, tmp_path: Path) -> None:
    described = runs.manifest_of(run)["data"]
    assert described["classes"] == list("0123456789") and described["image_shape"] == [1, 8, 8]
    _, y = other_images(trained(run), "folder", tree)
    runs.describe(run, data=described | {"classes": list("9876543210")})
    assert torch.equal(other_images(trained(run), "folder", tree)[1], 9 - y)
    old = {name: described[name] for name in ("name", "checksum")}  # of a run before there were
    runs.describe(run, data=old)
    assert torch.equal(other_images(trained(run), "folder", tree)[1], y)


def test_images_of_no_class(run: Path, tree: Path) -> None:
    source = trained(run)
    x = source.data.test_x
    shuffled = images_of_no_class(source, "shuffled", x, tree)
    assert torch.equal(shuffled.sort(-1).values, x.sort(-1).values)
    assert not torch.equal(shuffled[0].argsort(), x[0].argsort())
    assert torch.equal(shuffled, images_of_no_class(source, "shuffled", x, tree))
    assert images_of_no_class(source, "folder", x, tree).shape[1] == 64
    assert load_all(source, "folder", tree).image_shape == (1, 8, 8)


@pytest.mark.parametrize(
    ("words", "message"),
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
def test_invalid_settings_of_evaluate(
    words: str, message: str, run: Path, tree: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("socket.socket.connect", lambda *_: (_ for _ in ()).throw(OSError()))
    (tree / "9").rename(tree / "nine")
    line = words.format(tree=tree).split()
    assert main(["evaluate", f"outputs={tmp_path}/outputs", *line]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "outputs/evaluate").exists()


def test_directory_of_another_command_raises_an_error(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.describe(run, kind="continual")
    assert main(["evaluate", f"run={run}"]) == 2
    error = capsys.readouterr().err
    assert f"{run} is from `sas continual`: give a run of `sas train`" in error


def test_model_is_no_group_of_evaluate() -> None:
    config: Evaluate = composed("evaluate", "model=folder", "data.root=x")
    assert (config.model.default, config.data.root) == ("folder", "x")
    assert composed("evaluate").model.default is None


# ---------------------------------------------------------------- sas prune


@pytest.mark.slow
def test_script_of_the_readme_predicts_as_sas_does(run: Path, tmp_path: Path) -> None:
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


def test_rows_describe_the_networks(run: Path) -> None:
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
        unpruned = by.loc["none", 1.0, r]
        assert unpruned["n_weights"] <= total - uip[r]
        for criterion in ("threshold", "snr"):  # without the UIPs, and with everything
            same = by.loc[criterion, 1.0, r]
            for column in ("n_weights", "n_neurons", "bytes", "test_accuracy", "n_changed"):
                assert same[column] == unpruned[column]
        assert unpruned["n_changed"] == 0 < by.loc["snr", 0.3, r]["n_changed"]
        assert by.loc["snr", 0.3, r]["n_weights"] <= round(0.3 * total)


def test_fine_tuning_trains_only_remaining_connections(run: Path) -> None:
    source = trained(run)
    network = source.network
    drawn = torch.Generator().manual_seed(0)
    shapes = [(2, 3, *layer.m.shape[1:]) for layer in network.layers]
    masks = [torch.rand(shape, generator=drawn) < 0.7 for shape in shapes]
    weights = [w.unsqueeze(1) * m for w, m in zip(network.mean(), masks, strict=True)]
    cut = Cut("any", (1, 2, 3), masks, [w.detach() for w in weights])
    x, y = source.data.train_x, source.data.train_y

    def loss(weights: list[torch.Tensor]) -> torch.Tensor:
        logits = network.run([w.flatten(0, 1) for w in weights], x)
        return torch.nn.functional.cross_entropy(logits.mT, y.expand(6, -1), reduction="none")

    tuned = fine_tune(source, cut, Tune(3))
    for w, mask, before in zip(tuned.weights, masks, cut.weights, strict=True):
        assert w.shape == mask.shape and (w[~mask] == 0).all()
        assert (w[mask] != before[mask]).double().mean() > 0.5
    assert (loss(list(tuned.weights)).mean(-1) < loss(list(cut.weights)).mean(-1)).all()
    alone = fine_tune(source, Cut("any", (2,), [m[:, 1:2] for m in masks],
                           [w[:, 1:2].detach() for w in weights]), Tune(3))  # fmt: skip
    for w, single in zip(tuned.weights, alone.weights, strict=True):
        torch.testing.assert_close(w[:, 1:2], single, rtol=1e-3, atol=1e-4)
    slow = fine_tune(source, cut, Tune(3, 1e-6))
    assert max(
        float((w - b).abs().max()) for w, b in zip(slow.weights, cut.weights, strict=True)
    ) < 1e-3  # fmt: skip


def test_baseline_is_pruned_by_magnitude(run: Path, tiny: Making) -> None:
    settings = {"seeds": [3, 8], "epochs": 1, "train_size": 600}
    bp = training_run.run(tiny(rule={"name": "bp"}, name="bp", **settings))
    table = prune(trained(run), Prune(keep=[0.5], baseline=str(bp)))["pruning"]
    assert set(table.query("rule == 'bp'")["criterion"]) == {"none", "magnitude"}
    assert set(table.query("rule == 'gbp'")["criterion"]) == {
        "none", "pi", "snr", "magnitude", "threshold"
    }  # fmt: skip


def test_baseline_has_no_rates_of_the_run(tiny: Making, tmp_path: Path) -> None:
    run = training_run.run(tiny(epochs=1, lr=[{"default": 0.1}, {"default": 0.2}], seeds=[3]))
    bp = training_run.run(tiny(rule={"name": "bp"}, name="bp", epochs=1, seeds=[3, 8]))
    words = (f"run={run}", f"baseline={bp}", "keep=[0.5]", "criterion=[magnitude]")
    directory = made("prune", tmp_path / "outputs", *words)
    table = tables(directory)["pruning"]
    rates = table.query("rule == 'gbp'").groupby("replica")["lr"].unique()
    assert [list(rate) for rate in rates] == [[0.1], [0.2]]
    assert table.query("rule == 'bp'")["lr"].isna().all()


def test_manifest_is_written_after_the_networks(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise UserError("No space left on device")

    monkeypatch.setattr(record.runs, "replacing", full)
    assert main(["prune", f"outputs={tmp_path}", f"run={run}", "keep=[0.5]"]) == 2
    (directory,) = (tmp_path / "prune").glob("*/v*")
    assert (directory / "pruning.csv").exists() and not runs.begun(directory)


def test_fine_tuning_does_not_halve_rates(run: Path) -> None:
    source = trained(run)
    cut = Cut("any", (1,), *([w.unsqueeze(1) for w in part] for part in (
        [torch.ones_like(w) for w in source.network.mean()], source.network.mean())))  # fmt: skip
    plain = fine_tune(source, cut, Tune(1)).weights
    source.config.optim.halve_every = 1
    for w, other in zip(plain, fine_tune(source, cut, Tune(1)).weights, strict=True):
        assert torch.equal(w, other)


@pytest.mark.slow
def test_sampled_networks_are_those_of_the_run(tmp_path: Path) -> None:
    """Also where the weights are drawn at every time step."""
    words = ["model=rnn_digits", "width=12", "epochs=5", "eval.redraw=step", "eval.samples=1"]
    run = made("train", tmp_path, *words, "lr=0.1")
    table = tables(made("evaluate", tmp_path, "samples=1"))["evaluation"]
    accuracy = table.loc[table["way"] == "ensemble", "test_accuracy"]
    assert accuracy.tolist() == tables(run)["ensemble"]["test_accuracy"].tolist()


def test_summaries_are_by_rate() -> None:
    keys = {"rule": "gbp", "epochs": 0, "level": 0.5, "criterion": "pi", "way": "mean"}
    columns = {"lr": [0.1, 0.1, 1.0, 1.0], "test_accuracy": [0.9, 0.8, 0.1, 0.2]}
    table = pd.DataFrame(keys | columns | {"log_loss": 0.0, "calibration_error": 0.0})
    accuracies = evaluate_overview({"evaluation": table})["test_accuracy"]
    assert accuracies.tolist() == pytest.approx([0.85, 0.15])
    bp = table[:1].assign(rule="bp", lr=np.nan, test_accuracy=0.7)
    pruned = prune_overview({"pruning": pd.concat([table, bp])})
    assert sorted(pruned.stack([0, 1]).dropna()) == pytest.approx([0.15, 0.7, 0.85])


def test_perturbation_needs_a_distribution(
    tiny: Making, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copi = training_run.run(tiny(epochs=1, rule={"name": "copi"}))
    assert main(["perturb", f"outputs={tmp_path}", f"run={copi}"]) == 2
    assert "was trained by rule=copi: no VIPs or UIPs" in capsys.readouterr().err


@pytest.mark.slow
def test_choices_are_those_at_the_end_of_a_trial(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made("train", tmp_path, "model=multisensory", "width=12", "epochs=1", "batches=1")
    words = ["selectivity", f"outputs={tmp_path}", "trials=1", "dt=20", "every=80"]
    assert main(words) == 2
    assert "every=80: the choice is the last rate of the decision" in capsys.readouterr().err


@pytest.mark.slow
def test_warning_for_a_rule_without_probabilities(
    tiny: Making, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copi = training_run.run(tiny(epochs=1, rule={"name": "copi"}))
    assert main(["evaluate", f"outputs={tmp_path}", f"run={copi}", "samples=1"]) == 0
    assert "rule=copi learns outputs of 0 and 1, not probabilities" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("criterion=[credit]", "there is no criterion 'credit'"),
        ("keep=[0,0.5]", "keep must lie in (0, 1], not [0.0, 0.5]"),
        ("threshold=[1.1]", "threshold must lie in (0, 1]"),
        ("tune.epochs=-1", "tune.epochs must be at least 0, not -1"),
        ("tune.lr=0", "tune.lr must be above 0, not 0"),
        ("baseline=nothing", "there is no finished run 'nothing'"),
        ("baseline=other", "are of different images"),
        ("run=copi", "was trained by rule=copi"),
        ("baseline=rates", "has several values of lr: give one"),
        ("baseline=RUN", "baseline must be a run of rule=bp, and run one of another rule"),
        ("keep=[]", "keep needs at least one value"),
        ("criterion=[]", "criterion needs at least one value"),
    ],
)
def test_invalid_settings_of_prune(
    words: str, message: str, run: Path, tiny: Making, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    if words.endswith("other"):
        training_run.run(tiny(epochs=1, name="other"))
    if words.endswith("rates"):
        bp = tiny(epochs=1, name="rates", rule={"name": "bp"}, lr={"default": [0.1, 0.2]})
        training_run.run(replace(bp, train_size=600))
    words = words.replace("RUN", str(run))
    if words.endswith("copi"):
        training_run.run(tiny(epochs=1, name="copi", rule={"name": "copi"}))
    assert main(["prune", f"outputs={tmp_path}/outputs", f"run={run}", *words.split()]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "outputs/prune").exists()
