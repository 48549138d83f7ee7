"""Recurrent models through the command line: trained, resumed, measured, refused."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from conftest import DATA, assert_same_run, composed, have, tables

from sascli import runs
from sascli.analysis.ensemble import effective
from sascli.cli import main
from sascli.core.recurrent import Dynamics, Recurrent
from sascli.core.streams import streams
from sascli.data.multisensory import blocked
from sascli.training import run as training_run
from sascli.training.checkpoint import load_network, load_weights
from sascli.training.signals import Stopped

DIGITS = "model=rnn_digits width=12 train_size=300 test_size=200 batch_size=50 epochs=4"
TASK = "model=multisensory width=15 epochs=4"
LINES = {"digits": DIGITS, "task": TASK, "sgd": f"{TASK} optim.pi=sgd", "bp": f"{TASK} rule=bp"}
SMALL = "eval.samples=2 eval.mean_every=2 checkpoint_every=2 threads=1"


def trained(tmp_path: Path, line: str, *words: str) -> Path:
    """The run directory of a command line."""
    settings = [
        "name=mine",
        f"outputs={tmp_path / 'outputs'}",
        *line.split(),
        *SMALL.split(),
        *words,
    ]
    assert main(["train", *settings]) == 0
    return max((tmp_path / "outputs/train/mine").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["gbp", "bp"])
@pytest.mark.parametrize("line", ["digits", "task"])
def test_recurrent_run_writes_the_usual_files(rule: str, line: str, tmp_path: Path) -> None:
    directory = trained(tmp_path, LINES[line], f"rule={rule}", "replicas=2", "snapshot_every=3")
    left = tables(directory)
    assert set(left) == {"history", "layers", "histograms", "ensemble"}
    layers = left["layers"]
    assert list(layers["layer_name"]) == ["in", "rec", "out"] * 2
    assert list(layers["layer"]) == [1, 2, 3] * 2
    n_in, n_rec, n_out = (8, 12, 10) if line == "digits" else (5, 15, 2)
    sizes = [[n_rec, n_in], [n_rec, n_rec], [n_out, n_rec]]
    assert layers[["n_out", "n_in"]].to_numpy().tolist() == sizes * 2
    assert left["history"]["train_loss"].between(0.01, 1e30).all()
    network = load_network(directory)
    assert isinstance(network, Recurrent) and (directory / "overview.png").exists()
    early = load_weights(directory / "weights-0003.safetensors")
    assert isinstance(early, Recurrent) and early.dynamics == network.dynamics
    assert not torch.equal(early.all, network.all)


@pytest.mark.slow
@pytest.mark.parametrize("redraw", ["once", "step"])
@pytest.mark.parametrize("line", ["digits", "task"])
def test_reloaded_network_has_the_accuracies_of_its_tables(
    line: str, redraw: str, tmp_path: Path
) -> None:
    words = [f"eval.redraw={redraw}", "seed=5", "lr.pi=0.01", "lr.rec.pi=0.01"]
    directory = trained(tmp_path, LINES[line], *words)
    data = training_run.load_data(composed("train", *LINES[line].split()), torch.device("cpu"))
    network, left = load_network(directory), tables(directory)
    last = left["history"].iloc[-1]
    gbp, drawn = network.gbp(), streams([5], "evaluation", 4)
    noisy = data.accuracy(lambda x: gbp.logits(x, network.draw_noise(len(x), drawn)))
    mean = data.accuracy(network.forward)
    written = [last["test_accuracy"], last["test_accuracy_mean"]]
    assert [noisy.item(), mean.item()] == written
    sampled = [data.accuracy(effective(network, [5], s, redraw)).item() for s in range(2)]
    assert sampled == left["ensemble"]["test_accuracy"].tolist()


def test_weights_of_a_step_are_the_same_for_all_inputs() -> None:
    data = training_run.load_data(composed("train", *DIGITS.split()), torch.device("cpu"))
    network = Recurrent([8, 12, 10], Dynamics(8, 0.25, 0.1), 2)
    network.all.uniform_(0, 0.5, generator=torch.Generator().manual_seed(1))
    once, step = (effective(network, [3, 4], 0, redraw) for redraw in ("once", "step"))
    x = data.test_x[:7]
    assert torch.equal(step(x), step(x)) and torch.allclose(step(x)[:, 2:4], step(x[2:4]))
    assert not torch.allclose(step(x), once(x))


@pytest.mark.slow
@pytest.mark.parametrize("line", LINES)
def test_interrupted_run_resumes_bit_for_bit(
    line: str, tmp_path: Path, signal_in: Callable[..., None]
) -> None:
    words = ["replicas=2", "optim.halve_every=1", "snapshot_every=3"]
    unbroken = trained(tmp_path / "unbroken", LINES[line], *words)
    signal_in(3)
    with pytest.raises(Stopped):
        trained(tmp_path, LINES[line], *words)
    directory = trained(tmp_path, LINES[line], *words, "resume=true")
    assert directory.name == "v001"
    assert_same_run(unbroken, directory)


@pytest.mark.slow
@pytest.mark.parametrize("line", ["digits", "task"])
def test_replica_equals_its_run_alone(line: str, tmp_path: Path) -> None:
    words = ["precision=float64", "lr=[0.001,0.002]", "lr.pi=0.01", "lr.rec.pi=0.02"]
    population = trained(tmp_path, LINES[line], "seeds=[3,8]", *words)
    alone = trained(tmp_path, LINES[line], "seeds=[8]", *words[:1], "lr=0.002", *words[2:])
    together, single = load_network(population), load_network(alone)
    for single_layer, layer in zip(single.layers, together.layers, strict=True):
        for kind in ("m", "pi", "xi"):
            difference = getattr(single_layer, kind)[0] - getattr(layer, kind)[3]
            assert difference.abs().max() < 1e-6, kind


@pytest.mark.slow
def test_input_mask_remains_after_training(tmp_path: Path) -> None:
    for rule in ("gbp", "bp"):
        network = load_network(trained(tmp_path, TASK, f"rule={rule}"))
        w_in, where = network.layers[0], blocked(15)
        assert (w_in.m[0][where] == 0).all() and (w_in.m[0][~where] != 0).all()
        assert torch.equal(w_in.pi[0], where.float()) and (w_in.xi == 0).all()


# ---------------------------------------------------------------- the other commands


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "rule"), [("digits", "gbp"), ("digits", "bp"), ("sgd", "gbp"), ("task", "bp")]
)
def test_sweeps_entropies_and_perturbations_of_recurrent_models(
    line: str, rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAS_OUTPUTS", "outputs")
    train_sizes = [100, 200] if line == "digits" else [30]
    sweep = LINES[line].replace("train_size=300", "train_size=[100,200]")
    words = [*sweep.split(), *SMALL.split(), "seeds=2", f"rule={rule}", "name=mine"]
    assert main(["sweep-datasize", *words]) == 0
    (directory,) = Path("outputs/sweep-datasize/mine").iterdir()
    table = pd.read_csv(directory / "datasize.csv")
    assert list(table["train_size"]) == sorted(train_sizes * 2) and set(table["depth"]) == {3}

    network = load_network(trained(tmp_path, LINES[line], f"rule={rule}"))
    assert main(["entropy", "run=mine"]) == 0
    thresholds = ["tolerance=0.5", "xi_max=0.05", "m_min=0.1"]
    words = ["layer=[1,2]", "samples=2", "fractions=[0,1]", *thresholds]
    assert main(["perturb", "run=mine", *words]) == 0
    entropy = pd.read_csv(next(Path("outputs/entropy/mine").iterdir()) / "entropy.csv")
    sizes = [layer.m.numel() for layer in network.layers]
    assert list(entropy["n_connections"]) == sizes * 2
    table = pd.read_csv(next(Path("outputs/perturb/mine").iterdir()) / "perturbation.csv")
    assert len(table) == 2 * 4 * 2 * 2 and set(table["layer"]) == {1, 2}
    unperturbed = table.query("fraction == 0").groupby(["layer", "sample"])["test_error"]
    assert (unperturbed.nunique() == 1).all()
    rec = network.layers[1]
    alike = (rec.pi <= 0.5) & (rec.xi <= 0.05) & (rec.m.abs() >= 0.1)
    off = table.query("layer == 2 and fraction == 1").groupby("kind")["n_weights"].first()
    assert 0 < alike.sum() < sizes[1]
    assert off["vip_off"] == off["random_off"] == alike.sum()


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["gbp", "bp"])
def test_pixel_input_weights_are_ordinary(rule: str, tmp_path: Path) -> None:
    line = f"{DIGITS} model=rnn_pixels model.source=digits train_size=100 epochs=1 rule={rule}"
    directory = trained(tmp_path, line, *["eval.redraw=step"] * (rule == "gbp"))
    network = load_network(directory)
    assert isinstance(network, Recurrent) and network.dynamics.steps == 64
    w_in, w_rec, _ = network.layers
    assert w_in.m.shape == (1, 12, 1) and (w_in.pi == 0).all() and (w_in.xi == 0).all()
    assert (w_rec.xi > 0).any() == (rule == "gbp")
    assert tables(directory)["history"]["train_loss"].between(0.01, 1e30).all()


@pytest.mark.slow
def test_evaluate_and_prune_refuse_unsuitable_networks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAS_OUTPUTS", "outputs")
    run = trained(tmp_path, DIGITS)
    assert main(["evaluate", "run=mine", "samples=2"]) == 0
    evaluation = tables(next(Path("outputs/evaluate/mine").iterdir()))["evaluation"]
    last = tables(run)["history"].iloc[-1]
    accuracies = evaluation.set_index("way")["test_accuracy"]
    assert accuracies["mean_field"] == last["test_accuracy"]
    assert accuracies["mean"] == last["test_accuracy_mean"]
    assert main(["prune", "run=mine"]) == 2
    assert "has a recurrent network, which cannot be pruned" in capsys.readouterr().err
    task = trained(tmp_path, TASK)
    assert main(["evaluate", f"run={task}"]) == 2
    assert "is of a task without images" in capsys.readouterr().err


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "model=rnn_digits depth=4",
            "a recurrent network has depth 3 (in, rec, out): add depth=3",
        ),
        ("model=rnn_digits rule=copi", "rule=copi cannot train a recurrent network"),
        ("model=rnn_digits rule=bp_decor", "rule=bp_decor cannot train a recurrent network"),
        ("model=rnn_digits model.n_in=9", "64 pixels do not divide into steps of model.n_in=9"),
        ("model=rnn_digits model.dt=5", "model.dt must be > 0 and at most model.tau=4.0, not 5.0"),
        ("model=rnn_digits model.sigma=-1", "model.sigma must be at least 0"),
        ("model=rnn_digits model.network=recurent", "did you mean 'recurrent'?"),
        ("model=rnn_digits lr.rec.p=1", "lr.rec.p"),
        ("model=rnn_digits init.m_var.rec=unit", "init.m_var is a variance, a number >= 0"),
        ("model=rnn_digits init.xi_max.rec=-1", "init.xi_max is a variance, a number >= 0"),
        ("model=rnn_digits batches=0", "batches must be at least 1"),
        ("model=rnn_digits optim.pi=sgd", "optim.pi is null or, with optim=rmsprop, sgd"),
        ("model=rnn_digits optim.eps_inside=true", "optim.eps_inside needs optim=rmsprop"),
        ("model=multisensory model.loss=sum", "no model.loss 'sum'"),
        ("model=multisensory stop_loss=-1", "stop_loss must be at least 0, not -1"),
        ("model=multisensory stop_after=-1", "stop_after must be at least 0, not -1"),
        ("model=rnn_digits optim.clip=0", "optim.clip must be above 0, not 0.0"),
        ("model=rnn_digits optim.halve=[p]", "no optim.halve 'p'"),
        ("model=rnn_digits optim.halve_every=0", "optim.halve_every must be at least 1"),
        ("model=digits eval.redraw=step", "eval.redraw=step needs a recurrent network"),
        ("model=digits init.m_var=identity", "init.m_var is a variance, a number >= 0"),
        ("model=multisensory train_size=10", "has 30 trials: remove train_size"),
        ("model=multisensory model.dt=200", "model.dt must be > 0 and at most model.tau=100"),
    ],
)
def test_invalid_settings_raise_an_error_before_any_work(
    words: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *words.split(), f"outputs={tmp_path}"]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1 and not list(tmp_path.iterdir())


def test_divergence_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*DIGITS.split(), "model.dt=4", "init.m_var.rec=1e20", f"outputs={tmp_path}"]
    assert main(["train", *words]) == 2
    assert "training diverged in epoch 1: the largest parameter" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.mnist
def test_mnist_is_learned_row_by_row(tmp_path: Path) -> None:
    have(DATA / "MNIST" / "raw" / "t10k-labels-idx1-ubyte")
    line = f"model=rnn_rows width=50 epochs=1 test_size=1000 data.root={DATA}"
    left = tables(trained(tmp_path, line))
    assert left["history"]["test_accuracy"].iloc[-1] > 0.4
    assert runs.manifest_of(max((tmp_path / "outputs/train/mine").iterdir()))["seeds"] == [0]
