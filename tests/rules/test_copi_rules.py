"""COPI and its baselines as learning rules: steps, epochs, resuming, settings."""

import copy
import io
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from conftest import DATA, composed, have
from torch import Tensor

from sascli import runs
from sascli.config import Optim, check, rule_settings
from sascli.core.copi import correlation
from sascli.core.network import FeedForward
from sascli.core.streams import streams
from sascli.errors import UserError
from sascli.rules import rule_class
from sascli.rules.base import Setup
from sascli.rules.copi import DecorrelatedRule
from sascli.training import checkpoint
from sascli.training import run as training_run

WIDTHS, BATCH, GAIN, SLOPE = [7, 6, 5, 4], 9, 30.0, 0.1
LR, LR_R, DECAY = [0.01, 0.02], [0.03, 0.05], [0.0, 0.1]
NAMES = ("copi", "bp_decor")


def make(name: str = "copi", replicas: tuple[int, ...] = (0, 1), **settings: Any) -> Any:
    """A rule after its first epoch with R unlike the identity and a rate per replica."""
    rate = settings.pop("scale", 1.0)
    tensor = rule_settings({"name": name, "gain": GAIN, "slope": SLOPE} | settings)
    kind = rule_class(tensor)
    setup = Setup(
        seeds=list(replicas),
        batch_size=BATCH,
        lr={"m": [rate * LR[r] for r in replicas], "r": [rate * LR_R[r] for r in replicas]},
        decay={"m": [DECAY[r] for r in replicas]},
        optim=Optim(),
        m_var=[],
        pi=0.0,
        xi_max=[],
    )
    rule = kind(FeedForward(WIDTHS, len(replicas), dtype=torch.float64), tensor, setup)
    assert isinstance(rule, DecorrelatedRule)
    rule.initialise()
    for r in rule.layers.r:
        n = r.shape[-1]
        r += torch.outer(torch.arange(n) - n / 2, torch.linspace(-0.1, 0.1, n))
    rule.start_epoch(2)
    return rule


def batch(seed: int = 0, replicas: tuple[int, ...] = (0, 1)) -> tuple[Tensor, Tensor]:
    """Images and labels; a replica's do not depend on the others."""
    x, y = [], []
    for r in replicas:
        draw = torch.Generator().manual_seed(100 * seed + r)
        x.append(torch.rand(BATCH, WIDTHS[0], generator=draw, dtype=torch.float64))
        y.append(torch.randint(WIDTHS[-1], (BATCH,), generator=draw))
    return torch.stack(x), torch.stack(y)


def parameters(rule: Any) -> list[Tensor]:
    """Copies of W and R of every layer."""
    return [tensor.clone() for tensor in (*rule.layers.w, *rule.layers.r)]


def error(got: list[Tensor], want: list[Tensor]) -> float:
    """Largest relative error of the matrices."""
    pairs = zip(got, want, strict=True)
    return max(((a - b).norm() / b.norm()).item() for a, b in pairs)


def slope_of(a: Tensor) -> Tensor:
    return torch.where(a > 0, torch.ones_like(a), SLOPE)


def naive_step(rule: Any, name: str, x: Tensor, labels: Tensor) -> list[Tensor]:
    """W and R after a step of each replica, with every matrix of the definitions formed."""
    w_after: list[list[Tensor]] = [[] for _ in rule.layers.w]
    r_after: list[list[Tensor]] = [[] for _ in rule.layers.r]
    for replica in range(x.shape[0]):
        y, seen = x[replica], []
        for w, r in zip(rule.layers.w, rule.layers.r, strict=True):
            inputs = torch.einsum("ij,bj->bi", r[replica], y)
            a = torch.einsum("ij,bj->bi", w[replica], inputs)
            y = slope_of(a) * a
            seen.append((inputs, a))
        p = GAIN * (F.one_hot(labels[replica], WIDTHS[-1]) - y) * slope_of(a)
        for number in reversed(range(len(seen))):
            w, r = rule.layers.w[number][replica], rule.layers.r[number][replica]
            inputs, a = seen[number]
            c = torch.einsum("bi,bj->ij", inputs, inputs) / BATCH
            target, forget = (a + p, torch.diag(torch.diag(c))) if name == "copi" else (p, 0 * c)
            hebb = torch.einsum("bi,bj->ij", target, inputs) / BATCH
            change = hebb - w @ forget - DECAY[replica] * w
            w_after[number].append(w + LR[replica] * change)
            c = c * (1 - torch.eye(len(c)))
            local = rule.settings.decorrelation == "local"
            r_after[number].append(r - LR_R[replica] * (r @ c if local else c @ r))
            if number:
                through = (
                    rule.layers.feedback[number - 1][replica] if rule.layers.feedback else w @ r
                )
                p = slope_of(seen[number - 1][1]) * (p @ through)
    return [torch.stack(tensor) for tensor in (*w_after, *r_after)]


@pytest.mark.parametrize("replicas", [(0,), (0, 1)])
@pytest.mark.parametrize("decorrelation", ["global", "local"])
@pytest.mark.parametrize("credit", ["bp", "fa"])
@pytest.mark.parametrize("name", NAMES)
def test_steps_equal_definitions(
    name: str, credit: str, decorrelation: str, replicas: tuple[int, ...]
) -> None:
    rule = make(name, replicas, credit=credit, decorrelation=decorrelation)
    for seed in range(3):
        x, y = batch(seed, replicas)
        want = naive_step(rule, name, x, y)
        before = parameters(rule)
        rule.step(x, y)
        assert error(parameters(rule), want) < 1e-10
        assert error(parameters(rule), before) > 1e-4


def test_adam_follows_the_gradient_of_the_loss() -> None:
    rule = make("bp_decor", (0,), adam=True)
    rule.decorrelating = False
    weights = [w.clone().requires_grad_() for w in rule.layers.w]
    adam = torch.optim.AdamW(weights, lr=LR[0], weight_decay=DECAY[0])
    for seed in range(3):
        x, labels = batch(seed, (0,))
        losses = rule.step(x, labels)
        y = x
        for w, r in zip(weights, rule.layers.r, strict=True):
            y = F.leaky_relu(y @ r.mT @ w.mT, SLOPE)
        loss = ((y - F.one_hot(labels, WIDTHS[-1])) ** 2).sum(-1).mean() / 2
        adam.zero_grad()
        (GAIN * loss).backward()
        adam.step()
        assert losses.item() == pytest.approx(loss.item(), rel=1e-10)
        assert error(rule.layers.w, [w.detach() for w in weights]) < 1e-10


@pytest.mark.parametrize("name", NAMES)
def test_r_alone_learns_in_the_first_epoch(name: str) -> None:
    rule = make(name)
    rule.start_epoch(1)
    before = parameters(rule)
    rule.step(*batch())
    after = parameters(rule)
    half = len(before) // 2
    assert all(torch.equal(a, b) for a, b in zip(after[:half], before[:half], strict=True))
    assert all(not torch.equal(a, b) for a, b in zip(after[half:], before[half:], strict=True))


def test_r_does_not_change_at_rate_zero() -> None:
    rule = make("bp_decor", scale=0.0)
    assert not rule.decorrelating
    before = [r.clone() for r in rule.layers.r]
    rule.step(*batch())
    assert all(torch.equal(a, b) for a, b in zip(rule.layers.r, before, strict=True))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("credit", ["bp", "fa"])
def test_a_replica_does_not_depend_on_its_companions(name: str, credit: str) -> None:
    together, alone = make(name, credit=credit), make(name, (1,), credit=credit)
    for seed in range(20):
        losses = together.step(*batch(seed))
        assert alone.step(*batch(seed, (1,))).item() == pytest.approx(losses[1].item())
    assert error(parameters(alone), [tensor[1:] for tensor in parameters(together)]) < 1e-10


@pytest.mark.parametrize(
    "settings",
    [{"name": "copi"}, {"name": "copi", "credit": "fa"}, {"name": "bp_decor", "adam": True}],
)
def test_loaded_state_continues_exactly(settings: dict[str, Any]) -> None:
    first = make(**settings)
    first.step(*batch(0))
    file = io.BytesIO()
    torch.save(first.state(), file)
    file.seek(0)
    second = make(**settings)
    second.load(torch.load(file, weights_only=True))
    for seed in (1, 2):
        assert torch.equal(first.step(*batch(seed)), second.step(*batch(seed)))
    pairs = zip(parameters(first), parameters(second), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_options_of_the_optimiser_remain_those_of_the_device() -> None:
    first, second = make("bp_decor", adam=True), make("bp_decor", adam=True)
    first.start_epoch(2)
    first.step(*batch(0))
    for group in second.optimiser.param_groups:
        group["capturable"] = True  # as on a GPU
    second.load(first.state())
    assert all(group["capturable"] for group in second.optimiser.param_groups)


@pytest.mark.parametrize("name", NAMES)
def test_feedback_is_resumed_on_another_device(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make(name, credit="fa")
    first.step(*batch(0))
    stored = copy.deepcopy(first.state())
    monkeypatch.setattr("sascli.rules.copi.streams", partial(streams, index=1))
    second = make(name, credit="fa")
    drawn = [matrix.clone() for matrix in second.layers.feedback]
    assert error(drawn, list(first.layers.feedback)) > 0.1
    second.load({key: value for key, value in stored.items() if key != "feedback"})
    pairs = zip(drawn, second.layers.feedback, strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)  # a state of an earlier version
    second.load(stored)
    for seed in (1, 2):
        assert torch.equal(first.step(*batch(seed)), second.step(*batch(seed)))
    pairs = zip(parameters(first), parameters(second), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("settings", [{}, {"name": "bp_decor"}])
def test_state_without_random_feedback(settings: dict[str, Any]) -> None:
    assert "feedback" not in make(**settings).state()


def test_logits_are_current_output_activations() -> None:
    rule = make()
    for seed in range(2):
        x, y = batch(seed)
        want = rule.layers.forward(x)[1][-1]
        assert error([rule.logits(x)], [want]) < 1e-12
        rule.step(x, y)
    assert rule.logits(x[0]).shape == (2, BATCH, WIDTHS[-1])


def test_network_runs_as_its_rule(tmp_path: Path) -> None:
    rule, (x, _) = make(), batch()
    want = rule.logits(x)
    runs.describe(tmp_path, format=runs.FORMAT, status="finished")
    checkpoint.save_weights(tmp_path / checkpoint.WEIGHTS, rule.network, [0, 1])
    loaded = checkpoint.load_network(tmp_path)
    for network in (rule.network, loaded, copy.deepcopy(rule.network)):
        drawn = network.sample(generator=streams([0, 1], "sample"))
        assert error([network.run(drawn, x), network(x).detach()], [want, want]) < 1e-12


@pytest.mark.parametrize("name", NAMES)
def test_loss_is_not_finite_after_divergence(name: str) -> None:
    rule = make(name, scale=1e4)
    losses = torch.stack([rule.step(*batch(seed)) for seed in range(30)])
    assert losses[0].isfinite().all()
    assert not losses[-1].isfinite().any()


def test_correlation_is_measured_by_layer_and_replica() -> None:
    rule = make()
    x, _ = batch()
    rows = rule.measure(x[0])
    names = ("correlation", "correlation_before")
    assert [(row["name"], row["layer"], row["replica"]) for row in rows] == [
        (name, layer, replica) for name in names for layer in (1, 2, 3) for replica in (0, 1)
    ]
    values = {(row["name"], row["layer"]): row["value"] for row in rows if row["replica"] == 1}
    inputs, (below, *_) = rule.layers.forward(x[0])
    assert values["correlation", 2] == pytest.approx(correlation(inputs[1])[1].item())
    hidden = F.leaky_relu(below, SLOPE)
    assert values["correlation_before", 2] == pytest.approx(correlation(hidden)[1].item())
    assert values["correlation_before", 1] == pytest.approx(correlation(x[:1])[0].item())
    before = rows[0]["value"]
    for _ in range(300):
        rule.step(x[:1].expand(2, -1, -1), torch.zeros(2, BATCH, dtype=torch.long))
    assert rule.measure(x[0])[0]["value"] < 0.7 * before


@pytest.mark.parametrize("setting", ["credit=bp", "credit=fa", "decorrelation=local"])
def test_the_digits_are_learnt_by_the_preset(setting: str, tmp_path: Path) -> None:
    words = ["experiment=copi_digits", f"rule.{setting}", "epochs=6", "threads=1", "device=cpu"]
    run = training_run.run(composed("train", *words, f"outputs={tmp_path}"))
    history = pd.read_csv(run / "history.csv")
    assert history["test_accuracy"].iloc[0] < 0.5  # W waits
    assert history["test_accuracy"].iloc[-1] > 0.93
    drawn = pd.read_csv(run / "ensemble.csv")["test_accuracy"]
    assert drawn.to_numpy() == pytest.approx(history["test_accuracy"].iloc[-1])
    assert [len(r[0]) for r in checkpoint.load_network(run).r] == [64, 30, 30]


@pytest.mark.parametrize("key", ["credit", "decorrelation"])
def test_unknown_choice_raises(key: str) -> None:
    with pytest.raises(UserError, match=f"there is no rule.{key} 'bq'"):
        check(rule_settings({"name": "copi", key: "bq"}), "rule.")


@pytest.mark.parametrize("rule", NAMES)
def test_rule_alone_learns_the_digits(rule: str, tmp_path: Path) -> None:
    config = composed("train", f"rule={rule}", "epochs=4", f"outputs={tmp_path}", "eval.samples=0")
    history = runs.read_table(training_run.run(config) / "history.csv")
    accuracy = history.set_index("epoch")["test_accuracy"]
    assert accuracy[1] < 0.5 and accuracy[4] > 0.95  # R alone learns in the first epoch


@pytest.mark.slow
@pytest.mark.mnist
@pytest.mark.parametrize("rule", NAMES)
def test_rule_alone_learns_mnist(rule: str, tmp_path: Path) -> None:
    have(DATA / "MNIST" / "raw" / "t10k-labels-idx1-ubyte")
    words = ("model=mnist", f"rule={rule}", "epochs=2", f"outputs={tmp_path}", "eval.samples=0")
    config = composed("train", *words, f"data.root={DATA}")
    history = runs.read_table(training_run.run(config) / "history.csv")
    assert history["test_accuracy"].iloc[-1] > 0.95
