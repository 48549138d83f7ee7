"""Tasks in sequence: what they are, how they are learned and tested, what the command leaves."""

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from conftest import assert_same_tables, composed

from sascli import continual, runs
from sascli.analysis.forgetting import KEYS, summary
from sascli.cli import main
from sascli.config import METHODS, Continual, check, strengths
from sascli.continual import matrix
from sascli.continual.learner import Learner
from sascli.continual.sequence import permuted, sequence, split
from sascli.data import Data, load
from sascli.errors import UserError

SMALL = "width=8 epochs=2 batch_size=20 train_size=300 test_size=200 tasks=3 threads=1 device=cpu"
SMALL += " precision=float64"
FIXED = "lr=0.05 strength.ewc=10 strength.vip=0.3 strength.certainty=1"


def small(*words: str) -> Any:
    """Settings of a run of a second, without a search."""
    config = composed("continual", *SMALL.split(), *FIXED.split(), *words)
    check(config)
    return config


@pytest.fixture(scope="module")
def digits() -> Data:
    return load("digits", root=Path("data"), train_size=300, test_size=200, dtype=torch.float64)


def learned(config: Continual, data: Data, method: str, strength: list[float]) -> Learner:
    """All tasks but the last two, which are left to the test."""
    learner = Learner(config, data, method, strength)
    for number in range(config.tasks):
        list(learner.learn(number))
    return learner


# ---------------------------------------------------------------- tasks


def test_split_tasks_partition_the_images(digits: Data) -> None:
    tasks = sequence("split", digits, 5, [0])
    assert sum(len(task.train_y) for task in tasks) == 300
    assert sum(len(task.test_y) for task in tasks) == 200
    third = tasks[2]
    assert third.classes == ("4", "5")
    for label in (0, 1):
        expected = digits.test_x[digits.test_y == 4 + label]
        assert torch.equal(third.test_x[third.test_y == label], expected)


def test_permutations_depend_on_seed_and_task(digits: Data) -> None:
    pair, alone = permuted(digits, 1, [3, 8]).order, permuted(digits, 1, [8]).order
    other = permuted(digits, 2, [8]).order
    assert torch.equal(pair[1:], alone)
    assert not torch.equal(pair[0], pair[1]) and not torch.equal(alone, other)
    assert torch.equal(pair.sort(-1).values, torch.arange(64).expand(2, -1))


def test_too_few_classes_or_images_raise_an_error(digits: Data) -> None:
    with pytest.raises(UserError, match="task=split has at most 5 tasks with digits"):
        sequence("split", digits, 6, [0])
    few = replace(digits, train_x=digits.train_x[:1], train_y=digits.train_y[:1] * 0)
    with pytest.raises(UserError, match="no images of 2 or 3: raise train_size"):
        split(few, 1)


# ---------------------------------------------------------------- learning


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["split", "permuted"])
@pytest.mark.parametrize("method", METHODS)
def test_replica_does_not_depend_on_its_companions(
    protocol: str, method: str, digits: Data
) -> None:
    """Alone, or among other seeds, rates and strengths: the same accuracies to float64's noise."""
    config = small(f"task={protocol}")
    strength = [0.0, *strengths(config, method)]
    crowd = learned(
        replace(config, seeds=[1, 4], lr=[0.02, 0.05]), digits, method, strength
    )  # fmt: skip
    place = next(
        r for r, key in enumerate(zip(crowd.lr, crowd.strength, crowd.seeds, strict=True))
        if key == (0.05, strength[-1], 4)
    )  # fmt: skip
    alone = learned(replace(config, seeds=[4], lr=0.05), digits, method, strength[-1:])
    for one, other in zip(crowd.network.layers, alone.network.layers, strict=True):
        torch.testing.assert_close(one.m[place], other.m[0], rtol=0, atol=1e-6)
    for task in range(3):
        assert crowd.test(task)[place] == pytest.approx(alone.test(task)[0], abs=0.02)


@pytest.mark.parametrize("method", ["ewc", "vip", "certainty"])
@pytest.mark.parametrize("protocol", ["split", "permuted"])
def test_strength_zero_gives_the_tables_of_the_plain_rule(
    protocol: str, method: str, digits: Data
) -> None:
    config = small(f"task={protocol}", "seeds=2")
    plain = matrix(config, digits, METHODS[method], [0.0]).drop(columns="method")
    protected = matrix(config, digits, method, [0.0]).drop(columns="method")
    pd.testing.assert_frame_equal(plain, protected, check_exact=True)
    stronger = matrix(config, digits, method, strengths(config, method))
    assert not plain["test_accuracy"].equals(stronger["test_accuracy"])


def test_split_task_is_tested_with_its_output_layer(digits: Data) -> None:
    """What lies below is frozen: an accuracy never changes after its task."""
    config = small("seeds=2", "epochs=6")
    config = replace(config, lr={"default": 0.05})
    learner = Learner(config, digits, "vip", [1.1])  # v < 1.1: every shared connection
    first: list[list[float]] = []
    for number in range(3):
        below = [layer.m.clone() for layer in list(learner.network.layers)[:-1]]
        list(learner.learn(number))
        after = [layer.m for layer in list(learner.network.layers)[:-1]]
        same = [torch.equal(one, other) for one, other in zip(below, after, strict=True)]
        assert same == [number > 0] * len(same)
        logits = partial(learner.rule.logits)
        first.append(right(learner, number, logits))
    assert min(first[0]) > 0.6
    for number in range(3):
        learner.test(number)  # puts the task's output layer in its place
        assert right(learner, number, learner.rule.logits) == first[number]


def right(learner: Learner, number: int, logits: Any) -> list[float]:
    """Accuracy of the mean network as it stands."""
    data = learner.tasks[number]
    return (logits(data.test_x).argmax(-1) == data.test_y).double().mean(-1).tolist()


def test_every_task_starts_with_a_new_optimiser(digits: Data) -> None:
    learner = Learner(small("task=permuted"), digits, "gbp", [0.0])
    for number in range(2):
        list(learner.learn(number))
        steps = {float(moments["step"]) for moments in learner.rule.optimiser.state.values()}
        assert steps == {2 * 300 / 20}


# ---------------------------------------------------------------- from accuracies to forgetting


def test_summary_by_hand() -> None:
    accuracies = {(1, 1): 0.9, (2, 1): 0.95, (2, 2): 0.8, (3, 1): 0.6, (3, 2): 0.85, (3, 3): 0.7}
    key = dict(zip(KEYS, ("split", "bp", 0.1, 0.0, 0, 5), strict=True))
    rows = [
        key | {"after_task": after, "task": task, "test_accuracy": value}
        for (after, task), value in accuracies.items()
    ]  # fmt: skip
    other = [row | {"protocol": "permuted", "test_accuracy": 0.5} for row in rows[:3]]
    one, two = summary(pd.DataFrame(rows + other)).to_dict("records")
    assert {name: one[name] for name in KEYS} == key
    assert one["average_accuracy"] == pytest.approx((0.6 + 0.85 + 0.7) / 3)
    assert one["learning_accuracy"] == pytest.approx((0.9 + 0.8 + 0.7) / 3)
    assert one["forgetting"] == pytest.approx(((0.95 - 0.6) + (0.8 - 0.85)) / 2)
    assert one["backward_transfer"] == pytest.approx(((0.6 - 0.9) + (0.85 - 0.8)) / 2)
    assert (two["protocol"], two["forgetting"], two["average_accuracy"]) == ("permuted", 0, 0.5)


# ---------------------------------------------------------------- the command


def test_command_writes_tables_pictures_and_a_manifest(tmp_path: Path) -> None:
    words = [*SMALL.split(), *FIXED.split(), f"outputs={tmp_path}", "seeds=[3,8]"]
    words += ["lr=[0.01,0.05]", "strength.vip=[0.1,0.5,0.9]", "search_seeds=2"]
    assert main(["continual", *words]) == 0
    directory = tmp_path / "continual/digits-split/v001"
    names = {"continual", "continual_search", "continual_summary"}
    tables = {name: runs.read_table(directory / f"{name}.csv") for name in names}
    assert set(tables["continual"]["method"]) == set(METHODS)
    assert len(tables["continual"]) == 5 * 2 * (1 + 2 + 3)
    assert len(tables["continual_summary"]) == 5 * 2
    search = tables["continual_search"].query("method == 'vip'")
    assert len(search) == 2 * 3 * 2
    mean = search.groupby(["lr", "strength"])["validation_accuracy"].mean()
    chosen = tables["continual_summary"].query("method == 'vip'")
    assert {*zip(chosen["lr"], chosen["strength"], strict=True)} == {mean.idxmax()}
    for name in ("continual", "continual_matrix"):
        assert {(directory / f"{name}{end}").stat().st_size > 0 for end in (".pdf", ".png")}
    about = runs.manifest_of(directory)
    assert (about["kind"], about["status"], about["seeds"]) == ("continual", "finished", [3, 8])
    assert about["data"]["name"] == "digits" and about["config_hash"]


@pytest.mark.slow
def test_interrupted_comparison_resumes_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small(f"outputs={tmp_path}", "seeds=1", "methods=[bp,ewc,vip]")
    config = replace(config, lr=[0.01, 0.05])
    complete = continual.run(config)
    assert continual.run(config) != complete  # a new version
    stopped = matrix
    monkeypatch.setattr(continual, "matrix", lambda *a, **k: stop(stopped, *a, **k))
    with pytest.raises(KeyboardInterrupt):
        continual.run(config)
    broken = tmp_path / "continual/digits-split/v003"
    assert set(runs.read_table(broken / "continual.csv")["method"]) == {"bp"}
    assert runs.manifest_of(broken)["status"] == "interrupted"
    done = (broken / "continual_search.csv").read_bytes()
    monkeypatch.setattr(continual, "matrix", stopped)
    assert continual.run(replace(config, resume=True)) == broken
    assert (broken / "continual_search.csv").read_bytes().startswith(done)
    assert_same_tables(complete, broken)
    shutil.rmtree(complete)


@pytest.mark.slow
def test_search_resumes_by_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rates that differ for one kind alone are two, and the best of all trials is taken."""
    config = small("seeds=[3]", "search_seeds=2", "methods=[vip]", "strength.vip=[0.1,0.3]")
    rates = [{"default": 0.02}, {"default": 0.05}, {"default": 0.05, "pi": 0.5}]
    _, data = continual.images_of(replace(config, lr=rates))
    learn, learned = matrix, list[Any]()

    def counted(one: Continual, *of: Any, **how: Any) -> pd.DataFrame:
        if len(learned) == 2:
            raise KeyboardInterrupt
        learned.append(one.lr)
        return learn(one, *of, **how)

    config, path = replace(config, lr=rates), tmp_path / "search.csv"
    expected = continual.search(config, data, "vip", tmp_path / "expected.csv")
    monkeypatch.setattr(continual, "matrix", counted)
    with pytest.raises(KeyboardInterrupt):
        continual.search(config, data, "vip", path)
    assert learned == rates[:2]
    learned.clear()
    results = continual.search(config, data, "vip", path)
    assert learned == rates[2:]
    pd.testing.assert_frame_equal(results, expected, check_exact=True)
    assert path.read_bytes() == (tmp_path / "expected.csv").read_bytes()
    assert results["replica"].tolist() == list(range(12))
    best = results["validation_accuracy"].to_numpy().reshape(6, 2).mean(1).argmax()
    assert continual.best(results, 2) == best


def stop(work: Any, config: Any, data: Data, method: str, *more: Any, **named: Any) -> Any:
    """As if Ctrl-C came when EWC's search was over."""
    if method == "ewc" and not named:
        raise KeyboardInterrupt
    return work(config, data, method, *more, **named)


def test_one_directory_contains_both_protocols(tmp_path: Path) -> None:
    for protocol in ("split", "permuted", "split"):
        config = small(f"task={protocol}", "seeds=1", "methods=[bp,gbp]")
        continual.continual(config, tmp_path)
    counts = runs.read_table(tmp_path / "continual.csv").groupby(["protocol", "method"]).size()
    assert counts.to_dict() == {(p, m): 6 for p in ("split", "permuted") for m in ("bp", "gbp")}
    assert len(runs.read_table(tmp_path / "continual_summary.csv")) == 4
    assert not (tmp_path / "continual_search.csv").exists()  # one rate, one strength


def test_rule_is_decided_by_the_methods() -> None:
    with pytest.raises(UserError, match="rule is decided by methods"):
        check(replace(small(), rule={"name": "gbp"}))


@pytest.mark.slow
def test_all_training_images_are_allowed_without_a_search(tmp_path: Path) -> None:
    words = f"tasks=2 epochs=1 seeds=1 methods=[bp] lr=0.05 train_size=1297 outputs={tmp_path}"
    assert main(["continual", *words.split()]) == 0
    assert main(["continual", *words.split(), "lr=[0.05,0.1]"]) == 2


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("task=splitt", "there is no task 'splitt'; did you mean 'split'?"),
        ("tasks=1", "tasks must be at least 2"),
        ("tasks=6", "task=split has at most 5 tasks with digits"),
        ("methods=[bp,ewk]", "there is no methods 'ewk'; did you mean 'ewc'?"),
        ("methods=[bp,bp]", "methods must be different"),
        ("methods=[]", "methods needs at least one value"),
        ("strength.ewc=-1", "strength.ewc must be at least 0, not -1"),
        ("strength.vip=[]", "strength.vip needs at least one value"),
        ("strength.ewc=much", "strength.ewc must be at least 0, not 'much'"),
        ("strength.bp=1", "there is no setting 'strength.bp'"),
        ("search_seeds=0", "search_seeds must be at least 1, not 0"),
        ("seeds=0", "seeds must be a number of seeds"),
        ("decay=[0,1]", "decay must be one number"),
        ("lr=-1", "lr.m must be a number >= 0"),
        ("rule.name=gbp", "there is no setting 'rule.name'"),
        ("model=multisensory", "only feed-forward networks learn tasks in sequence"),
        ("resume=digits", "resume is true or false here"),
        (
            "data.split=validation",
            "data.split must be test: rates are searched on other training images",
        ),
        ("optim.halve_every=1", "would halve the rates of later tasks"),
        ("stop_loss=0.1", "stop_loss would leave later tasks untrained"),
        ("threads=0", "threads must be at least 1"),
        ("width=[8]", "width lists 1 hidden layers"),
    ],
)
def test_invalid_settings_print_one_line(
    word: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["continual", *SMALL.split(), word, f"outputs={tmp_path / 'out'}"]) == 2
    *warnings, error = capsys.readouterr().err.splitlines()
    assert error.startswith("sas: ") and message in error
    assert all(line.startswith("warning: ") and " replaces " in line for line in warnings)
    assert not (tmp_path / "out").exists()
