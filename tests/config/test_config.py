"""The typed schema: numbers per kind, widths, seeds, invalid settings, and the hash."""

from typing import Any

import pytest
from conftest import Making, composed
from omegaconf import OmegaConf

from sascli.commands import COMMANDS
from sascli.config import (
    RATES,
    DataSettings,
    Evaluation,
    Init,
    Optim,
    Train,
    check,
    config_hash,
    hidden_widths,
    per_kind,
    plain,
    population,
    rule_settings,
    run_name,
    seed_list,
    typed,
    varied,
)
from sascli.errors import UserError
from sascli.rules.base import RuleSettings

# ---------------------------------------------------------------- numbers per kind, widths, seeds


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.1, (0.1, 0.1, 0.1)),
        (0, (0.0, 0.0, 0.0)),
        ({"default": 0.1}, (0.1, 0.1, 0.1)),
        ({"default": 0.1, "pi": 0.2, "xi": None}, (0.1, 0.2, 0.1)),
        ({"default": 0.1, "pi": 0}, (0.1, 0.0, 0.1)),
        ({"m": 1, "pi": 2, "xi": 3}, (1.0, 2.0, 3.0)),
    ],
)
def test_one_number_per_kind(value: Any, expected: tuple[float, ...]) -> None:
    assert per_kind(value, "lr") == dict(zip(("m", "pi", "xi"), expected, strict=True))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (-0.1, r"lr\.m must be a number >= 0, not -0\.1"),
        (float("nan"), "not nan"),
        ("0.1", "not '0.1'"),
        (True, "not True"),
        ({"m": 0.1}, r"lr\.pi must be a number >= 0, not None"),
        ({"default": 0.1, "p": 1}, "there is no lr for 'p'; did you mean 'pi'?"),
    ],
)
def test_invalid_rates_are_reported(value: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        per_kind(value, "lr")


@pytest.mark.parametrize(
    ("width", "depth", "expected"),
    [(100, 4, [100, 100]), ([40, 20], 4, [40, 20]), (7, 2, []), ([], 2, []), ([5], 3, [5])],
)
def test_hidden_widths(width: Any, depth: int, expected: list[int]) -> None:
    assert hidden_widths(width, depth) == expected


@pytest.mark.parametrize(
    ("width", "message"),
    [
        ([40], "width lists 1 hidden layers, but depth=4 has 2"),
        (0, "width must be a whole number >= 1"),
        ([40, 2.5], "not 2.5"),
        (True, "not True"),
        ("wide", "not 'wide'"),
    ],
)
def test_invalid_widths_are_reported(width: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        hidden_widths(width, 4)


@pytest.mark.parametrize(
    ("changes", "seeds"),
    [
        ({}, [0]),
        ({"seed": 3, "replicas": 2}, [3, 4]),
        ({"seed": 3, "replicas": 2, "seeds": [7, 0]}, [7, 0]),
    ],
)
def test_replica_r_has_seed_s_plus_r_or_the_listed_seed(
    changes: dict[str, Any], seeds: list[int], tiny: Making
) -> None:
    members = population(tiny(lr={"default": 0.1, "pi": 0.2}, **changes))
    assert [member.seed for member in members] == seeds
    assert all(member.lr == {"m": 0.1, "pi": 0.2, "xi": 0.1, "r": 0.1} for member in members)
    assert varied(tiny(**changes)) == {}


def test_lists_of_rates_give_replicas_with_columns(tiny: Making) -> None:
    decays = [{"default": 0.1}, {"default": 0.1, "pi": 0}]
    config = tiny(seeds=[4, 5], lr={"default": [0.1, 0.3], "xi": 0.2}, decay=decays)
    members = population(config)
    assert [member.seed for member in members] == [4, 5] * 4
    assert [member.lr["m"] for member in members] == [0.1] * 4 + [0.3] * 4
    assert {member.lr["xi"] for member in members} == {0.2}
    assert [member.decay["pi"] for member in members] == [0.1, 0.1, 0.0, 0.0] * 2
    assert varied(config) == {"lr": [0.1] * 4 + [0.3] * 4, "decay": [0.1] * 8}
    fixed = tiny(lr={"default": [0.1, 0.3], "m": 0.2})
    assert [member.lr["m"] for member in population(fixed)] == [0.2, 0.2]
    assert varied(fixed) == {"lr": [0.1, 0.3]}
    check(fixed)  # pi and xi have the rates of the list
    check(tiny(lr=fixed.lr, rule={"name": "copi"}))  # r has


@pytest.mark.parametrize(("seeds", "expected"), [(3, [0, 1, 2]), ([3, 7], [3, 7]), ([0], [0])])
def test_a_number_of_seeds_or_their_list(seeds: Any, expected: list[int]) -> None:
    assert seed_list(seeds) == expected


@pytest.mark.parametrize("seeds", [0, True, [], [1.5], "3", None, [True]])
def test_invalid_seeds_are_reported(seeds: Any) -> None:
    with pytest.raises(UserError, match="seeds must be"):
        seed_list(seeds)


def test_run_names(tiny: Making) -> None:
    assert run_name(tiny()) == "digits-gbp-L4-T120"
    assert run_name(tiny(train_size="all", depth=5, rule={"name": "bp"})) == "digits-bp-L5-Tall"
    assert run_name(tiny(name="mine")) == "mine"


# ---------------------------------------------------------------- invalid settings

INVALID: list[tuple[dict[str, Any], str]] = [
    ({"depth": 1}, "depth must be at least 2"),
    ({"width": [1, 2, 3]}, "width lists 3 hidden layers"),
    ({"lr": {"default": -1}}, r"lr\.m must be a number >= 0"),
    ({"decay": {"default": 0, "x": 1}}, "there is no decay for 'x'"),
    ({"lr": [0.1, "x"]}, r"lr\.m must be a number >= 0, not 'x'"),
    ({"train_size": 0}, "train_size must be a whole number >= 1 or 'all', not 0"),
    ({"train_size": "al"}, "not 'al'"),
    ({"test_size": 2.5}, "test_size must be a whole number"),
    ({"test_size": True}, "not True"),
    ({"epochs": 0}, "epochs must be at least 1"),
    ({"batch_size": 0}, "batch_size must be at least 1"),
    ({"replicas": 0}, "replicas must be at least 1"),
    ({"checkpoint_every": 0}, "checkpoint_every must be at least 1"),
    ({"snapshot_every": -1}, "snapshot_every must be at least 0"),
    ({"seed": -1}, "seed must be at least 0"),
    ({"seeds": [1, 1]}, "seeds must be different whole numbers >= 0"),
    ({"seeds": [-1]}, "seeds must be different whole numbers >= 0"),
    ({"seeds": []}, "seeds must be a number of seeds or a list"),
    ({"precision": "float46"}, "there is no precision 'float46'; did you mean 'float64'?"),
    ({"data": DataSettings(split="tests")}, "no data.split 'tests'; did you mean 'test'?"),
    ({"optim": Optim(name="adam")}, "no optim.name 'adam'; did you mean 'adamw'?"),
    ({"init": Init(pi=1.1)}, r"init.pi must lie in \[0, 1\], not 1.1"),
    ({"init": Init(xi_max=-0.1)}, "init.xi_max is a variance, a number >= 0, not -0.1"),
    ({"init": Init(m_var="x")}, "init.m_var is a variance, a number >= 0, not 'x'"),
    ({"eval": Evaluation(samples=-1)}, "eval.samples must be at least 0"),
    ({"eval": Evaluation(mean_every=0)}, "eval.mean_every must be at least 1"),
    ({"eval": Evaluation(redraw="each")}, "no eval.redraw 'each'; known: once, step"),
]


@pytest.mark.parametrize(("changes", "message"), INVALID, ids=lambda x: str(x)[:30])
def test_invalid_settings_are_reported(
    changes: dict[str, Any], message: str, tiny: Making
) -> None:
    with pytest.raises(UserError, match=message):
        check(tiny(**changes))


@pytest.mark.parametrize(
    "changes",
    [{}, {"seed": 0}, {"train_size": "all"}, {"depth": 2}, {"lr": 0}, {"init": Init(m_var=0)}],
)
def test_valid_settings_pass(changes: dict[str, Any], tiny: Making) -> None:
    check(tiny(**changes))


@pytest.mark.parametrize("command", ["train", "reproduce credit", "sweep-datasize"])
@pytest.mark.parametrize("model", ["digits", "mnist", "cifar10", "folder"])
def test_composed_defaults_pass(command: str, model: str) -> None:
    config = composed(command, f"model={model}")
    check(config)
    assert config.model.name == model and config.rule == RuleSettings("gbp")


def test_published_settings_are_the_defaults_of_mnist() -> None:
    config = composed("train", "model=mnist")
    assert (config.depth, hidden_widths(config.width, 4)) == (4, [100, 100])
    assert (config.train_size, config.test_size, config.batch_size) == (10_000, 10_000, 500)
    assert config.epochs == 100 and config.init == Init(None, 0.0, 0.01)
    assert per_kind(config.lr, "lr", RATES) == dict.fromkeys(RATES, 0.1)
    assert per_kind(config.decay, "decay") == {"m": 1e-4, "pi": 1e-4, "xi": 1e-4}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_setting_has_a_type_that_the_yaml_fills(command: str) -> None:
    assert plain(composed(command))


def test_wrong_type_is_reported_with_its_key() -> None:
    with pytest.raises(UserError, match="eval.samples: .*'many'"):
        typed(OmegaConf.create({"eval": {"samples": "many"}}), Train)


def test_unknown_setting_of_a_rule_is_reported() -> None:
    with pytest.raises(UserError, match="no setting of the rule gbp called 'nam'; did you mean"):
        rule_settings({"name": "gbp", "nam": 1})
    assert rule_settings({"name": "gbp"}) == RuleSettings("gbp")


def test_rate_of_a_layer_overrides_that_of_its_kind() -> None:
    rates = {"default": 0.1, "pi": 0.2, "rec": {"pi": 1, "xi": None}, "out": 0.5, "in": None}
    assert per_kind(rates, "lr", layers=("in", "rec", "out")) == {
        "m": 0.1, "pi": 0.2, "xi": 0.1,
        "in.m": 0.1, "in.pi": 0.2, "in.xi": 0.1,
        "rec.m": 0.1, "rec.pi": 1.0, "rec.xi": 0.1,
        "out.m": 0.5, "out.pi": 0.5, "out.xi": 0.5,
    }  # fmt: skip
    for invalid, message in (
        ({"default": 1, "hid": 1}, "lr for 'hid'"),
        ({"default": 1, "rec": {"p": 1}}, "lr.rec for 'p'"),
        ({"default": 1, "rec": -1}, r"lr\.rec\.m must be a number >= 0, not -1"),
    ):
        with pytest.raises(UserError, match=message):
            per_kind(invalid, "lr", layers=("in", "rec", "out"))
    with pytest.raises(UserError, match="there is no lr for 'rec'"):
        per_kind(rates, "lr")


@pytest.mark.parametrize("model", ["rnn_rows", "rnn_digits", "rnn_pixels", "multisensory"])
def test_recurrent_models_have_the_papers_rates(model: str) -> None:
    config = composed("train", f"model={model}")
    check(config)
    (member,) = population(config)
    assert config.model.network == "recurrent" and config.depth == 3
    assert member.decay["pi"] == member.decay["rec.pi"] == 0
    rates = [member.lr[f"{layer}.pi"] for layer in ("in", "rec", "out")]
    assert rates == ([1e-3, 1, 0.1] if model == "multisensory" else [member.lr["m"]] * 3)
    optimiser = "rmsprop" if model == "multisensory" else "adamw"
    assert config.optim.name == optimiser
    assert composed("train", f"model={model}", "optim=adamw").optim.name == "adamw"
    if model == "rnn_digits":
        return
    assert config.optim.halve_early
    assert config.optim.halve_every == (100 if model == "multisensory" else 40)


def test_multisensory_task_is_trained_as_published() -> None:
    config = composed("train", "model=multisensory")
    optim = config.optim
    assert (optim.eps_inside, optim.eps, optim.beta2, optim.pi) == (True, 1e-8, 0.9, None)
    assert (optim.halve, optim.clip) == (["pi"], None)
    assert config.model.loss == "half_per_step"
    assert (config.stop_loss, config.stop_after, config.epochs) == (0.002, 100, 500)


def test_missing_settings_keep_their_earlier_meaning() -> None:
    """config.json of an earlier version lacks the keys of the published protocol."""
    settings = plain(composed("train", "model=multisensory", "optim.pi=sgd"))
    for key in ("stop_loss", "stop_after"):
        del settings[key]
    del (
        settings["model"]["loss"],
        settings["optim"]["eps_inside"],
        settings["optim"]["halve_early"],
    )
    config = typed(OmegaConf.create(settings), Train)
    assert (config.model.loss, config.stop_loss, config.stop_after) == ("mean", None, 0)
    assert not config.optim.eps_inside and not config.optim.halve_early
    assert config_hash(config) != config_hash(
        composed("train", "model=multisensory", "optim.pi=sgd")
    )


# ---------------------------------------------------------------- the hash


@pytest.mark.parametrize(
    "changes",
    [
        {"resume": True},
        {"device": "cuda"},
        {"threads": 7},
        {"outputs": "elsewhere"},
        {"checkpoint_every": None},
        {"data": DataSettings(root="elsewhere")},
    ],
)
def test_hash_ignores_settings_without_effect_on_results(
    changes: dict[str, Any], tiny: Making
) -> None:
    assert config_hash(tiny(**changes)) == config_hash(tiny())


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"epochs": 5},
        {"lr": {"default": 0.05, "pi": 0.1}},
        {"rule": {"name": "bp"}},
        {"init": Init(pi=0.1)},
        {"precision": "float64"},
        {"width": [8, 8]},
        {"data": DataSettings(split="validation")},
    ],
)
def test_hash_sees_every_other_setting(changes: dict[str, Any], tiny: Making) -> None:
    assert config_hash(tiny(**changes)) != config_hash(tiny())
