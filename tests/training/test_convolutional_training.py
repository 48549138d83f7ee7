"""Convolutional models through the command line: trained, resumed, measured, refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import DATA, assert_same_run, composed, have, tables
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from sascli.analysis.ensemble import effective
from sascli.cli import main
from sascli.core.convolutional import Convolutional
from sascli.core.patches import Kernel
from sascli.core.streams import streams
from sascli.errors import UserError
from sascli.training import run as training_run
from sascli.training.checkpoint import CHECKSUM, load_network, load_weights, save_weights
from sascli.training.networks import initial_variances
from sascli.training.signals import Stopped

CPU = torch.device("cpu")
RULES = ["gbp", pytest.param("bp", marks=pytest.mark.slow)]
MODEL = ["model=digits_conv", "width=[4,5,6]", "train_size=200", "test_size=100"]
SMALL = [*MODEL, "epochs=3", "eval.samples=2", "eval.mean_every=1", "checkpoint_every=1"]


def trained(tmp_path: Path, *words: str) -> Path:
    """The run directory of a command line."""
    outputs = [f"outputs={tmp_path / 'outputs'}", "name=mine", "threads=1"]
    assert main(["train", *SMALL, *outputs, *words]) == 0
    return max((tmp_path / "outputs/train/mine").iterdir())


@pytest.mark.parametrize("rule", RULES)
def test_reloaded_network_has_the_accuracies_of_its_tables(rule: str, tmp_path: Path) -> None:
    directory = trained(tmp_path, f"rule={rule}", "seed=5", "model.kernel=2")
    network, left = load_network(directory), tables(directory)
    assert isinstance(network, Convolutional)
    assert (network.widths, network.kernel) == ([1, 4, 5, 6, 10], Kernel(2, 2))
    assert network.sides == [(8, 8), (5, 5), (3, 3), (2, 2)]
    layers = left["layers"]
    assert list(layers["layer_name"]) == ["input", "hidden", "hidden", "output"]
    assert layers[["n_out", "n_in"]].to_numpy().tolist() == [[4, 4], [5, 16], [6, 20], [10, 24]]
    data = training_run.load_data(composed("train", *MODEL), CPU)
    last, mean = left["history"].iloc[-1], network.mean()
    gradients, drawn = (
        network.gbp() if rule == "gbp" else network.bp(),
        streams([5], "evaluation", 3),
    )
    accuracy = data.accuracy(lambda x: gradients.logits(x, network.draw_noise(len(x), drawn)))
    assert accuracy.item() == last["test_accuracy"] > 0
    assert data.accuracy(lambda x: network.run(mean, x)).item() == last["test_accuracy_mean"]
    sampled = [data.accuracy(effective(network, [5], s)).item() for s in range(2)]
    assert sampled == left["ensemble"]["test_accuracy"].tolist()


def test_interrupted_run_resumes_bit_for_bit(
    tmp_path: Path, signal_in: Callable[..., None]
) -> None:
    words = ["replicas=2", "optim.halve_every=1"]
    unbroken = trained(tmp_path / "unbroken", *words)
    signal_in(2)
    with pytest.raises(Stopped):
        trained(tmp_path, *words)
    directory = trained(tmp_path, *words, "resume=true")
    assert directory.name == "v001"
    assert_same_run(unbroken, directory)


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
def test_replica_equals_its_run_alone(rule: str, tmp_path: Path) -> None:
    words = ["precision=float64", f"rule={rule}"]
    population = trained(tmp_path, "seeds=[3,8]", "lr=[0.01,0.02]", *words)
    alone = trained(tmp_path, "seeds=[8]", "lr=0.02", *words)
    together, single = load_network(population), load_network(alone)
    assert together.replicas == 4
    for single_layer, layer in zip(single.layers, together.layers, strict=True):
        for kind in ("m", "pi", "xi"):
            difference = getattr(single_layer, kind)[0] - getattr(layer, kind)[3]
            assert difference.abs().max() < 1e-9, kind


@pytest.mark.parametrize(
    ("key", "value"),
    [("kernel", "[3, 0]"), ("kernel", "[0, 2]"), ("kernel", "3"), ("kernel", "[5, 2]"),
     ("kernel", '["a", 2]'), ("kernel", "[2.5, 2]"), ("sides", "[0, 8]"), ("sides", "[8]"),
     ("sides", "[64, 8]"), ("widths", "[1, 10]")],
)  # fmt: skip
def test_damaged_header_of_weights_is_refused(key: str, value: str, tmp_path: Path) -> None:
    network = Convolutional([1, 4, 5, 10], (8, 8), Kernel(3, 2))
    path = tmp_path / "weights.safetensors"
    save_weights(path, network, [0])
    with safe_open(path, framework="pt") as file:
        header = file.metadata() | {key: value}
    del header[CHECKSUM]
    save_file(load_file(path), path, header)
    with pytest.raises(UserError, match="cannot be read"):
        load_weights(path)


def test_default_variances_follow_the_weights_of_a_kernel() -> None:
    config = composed("train", *MODEL, "init.m_var=fan_in")
    data = training_run.load_data(config, CPU)
    assert initial_variances(config, data) == [2 / 9, 2 / 36, 2 / 45, 2 / 6]
    assert initial_variances(composed("train", *MODEL), data) == [2.0] * 4


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("rule=copi", "rule=copi cannot train a convolutional network"),
        ("depth=2 width=[]", "a convolutional network has at least depth 3"),
        ("model.kernel=0", "model.kernel must be at least 1"),
        ("model.n_in=4", "it is used by recurrent networks"),
        ("model=digits model.stride=1", "it is used by convolutional networks"),
    ],
)
def test_invalid_settings_are_refused(
    line: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*MODEL[:1], *line.split(), f"outputs={tmp_path}"]
    assert main(["train", *words]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
@pytest.mark.mnist
@pytest.mark.parametrize(
    ("model", "weights"), [("mnist_conv", 112_928), ("cifar10_conv", 113_504)]
)
def test_published_models_have_100_to_300_thousand_weights(model: str, weights: int) -> None:
    have(DATA / "MNIST" if model == "mnist_conv" else DATA / "cifar10-jpeg")
    config = composed("train", f"model={model}", f"data.root={DATA}", "train_size=10")
    data = training_run.load_data(config, CPU)
    rule = training_run.rule_maker(config, data)(training_run.setup(config, data), CPU)
    assert rule.network.flat["m"].numel() == weights
