"""Nothing that was typed is silently ignored: refused with what uses it, or it has an effect."""

from functools import cache
from typing import Any

import pytest

from sascli.cli.composition import Composer
from sascli.commands import schema_of
from sascli.config import check, typed, without_effect
from sascli.config.composition import without_hydra
from sascli.config.overrides import read, typed_values


@cache
def composed(command: str, *words: str) -> Any:
    """The settings of a command with these words, composed once for all tests."""
    return typed(without_hydra(Composer(command).compose(words)), schema_of(command))


def refusal(line: str) -> str:
    """The message for a command and what is typed after it, its values in COMPOSED set."""
    command, _, words = line.partition(": ")
    overrides = [read(word) for word in words.split()]
    chosen = [word for word in words.split() if word.startswith(COMPOSED)]
    config = composed(command, *chosen)
    check(config)
    return without_effect([config], typed_values(overrides))


COMPOSED = (
    "model=",
    "rule=",
    "optim=",
    "rule.adam=",
    "methods=",
    "seeds=",
    "depth=",
    "model.name=",
)
REFUSED = [
    # rules
    ("train: rule=bp lr.pi=0.1", "with rule=bp: it is used by rule=gbp"),
    ("train: rule=bp lr.xi=0.1", "rule=gbp"),
    ("train: rule=bp decay.pi=0.1", "rule=gbp"),
    ("train: rule=bp init.pi=0.1", "rule=gbp"),
    ("train: rule=bp init.xi_max=0.1", "rule=gbp"),
    ("train: rule=bp lr={default:0.1,xi:0.2}", "lr.xi=0.2 has no effect with rule=bp"),
    ("train: rule=bp model=rnn_digits lr.rec.pi=0.1", "rule=gbp"),
    ("train: rule=bp model=rnn_digits eval.redraw=step", "rule=gbp"),
    ("train: rule=bp model=rnn_digits model.ordinary_inputs=true", "rule=gbp"),
    ("train: rule=bp model=multisensory optim.pi=sgd", "rule=gbp"),
    ("train: rule=copi lr.pi=0.1", "rule=gbp"),
    ("train: rule=copi init.m_var=0.1", "rule=bp, rule=gbp"),
    ("train: rule=copi optim=rmsprop", "rule=bp_decor with rule.adam=true, rule=gbp"),
    ("train: rule=copi optim.beta1=0.5", "rule=bp, rule=bp_decor with rule.adam=true, rule=gbp"),
    ("train: rule=copi optim.clip=1", "rule=bp, rule=gbp"),
    ("train: rule=bp_decor optim.eps=1", "with rule=bp_decor"),
    ("train: rule=bp_decor rule.adam=true optim.halve_every=2", "rule=bp, rule=gbp"),
    ("train: lr={default:0.1,r:0.2}", "rule=bp_decor, rule=copi"),
    # models
    ("train: model.tau=10", "model.network=feedforward: it is used by recurrent networks"),
    ("train: model.dt=2", "recurrent"),
    ("train: model.sigma=2", "recurrent"),
    ("train: model.start=2", "recurrent"),
    ("train: model.n_in=8", "recurrent"),
    ("train: eval.redraw=once", "recurrent"),
    ("train: model.loss=mean", "model=multisensory"),
    ("train: model=rnn_digits model.loss=mean", "model=multisensory"),
    ("train: model.grey=true", "model=folder"),
    ("train: model=mnist model.image_size=8", "model=folder"),
    ("train: data.root=here", "with model.source=digits: it is used by images in files"),
    ("train: model=multisensory data.root=here", "images in files"),
    ("train: model.source=mnist", "write model=mnist"),
    ("train: model=rnn_rows model.source=digits", "add name=NAME"),
    ("train: model=multisensory lr.in.pi=0.1", "model.ordinary_inputs=false"),
    ("train: model=multisensory init.xi_max.in=0.1", "model.ordinary_inputs=false"),
    ("train: depth=2 width=7", "depth=3"),
    # optimiser and stop
    ("train: optim=rmsprop optim.beta1=0.5", "optim=adamw"),
    ("train: optim.halve_early=true", "optim.halve_every"),
    ("train: optim.halve=[m]", "optim.halve_every"),
    ("train: stop_after=3", "stop_loss"),
    # seeds and names
    ("train: seeds=[0,1] seed=5", "with seeds=[0,1]: the seeds are those of `seeds`"),
    ("train: seeds=[0,1] replicas=2", "seeds=[3,4,5]"),
    ("sweep-datasize: seed=5", "with seeds=3: the seeds are those of `seeds`"),
    ("sweep-datasize: replicas=5", "seeds=[3,4,5]"),
    ("continual: seed=5", "seeds=[3,4,5]"),
    ("continual: replicas=2", "seeds=[3,4,5]"),
    *[
        (f"reproduce {study}: {word}", message)
        for study in ("credit", "temporal", "copi", "use")
        for word, message in (
            ("seed=5", "seeds=[3,4,5]"),
            ("replicas=2", "seeds=[3,4,5]"),
            ("name=mine", "named by its model and preset"),
        )
    ],
    ("reproduce credit: rule=bp", "the study trains gbp and bp"),
    ("reproduce credit: model=digits data.root=here", "images in files"),
    ("reproduce temporal: task.seed=3", "that of all its models"),
    ("reproduce temporal: pixels.width=5", "pixels.epochs"),
    ("reproduce copi: lr.pi=0.1", "lr and lr.r are the rates"),
    ("reproduce copi: eval.samples=3", "no distribution"),
    # commands
    ("continual: eval.samples=3", "tested once"),
    ("continual: snapshot_every=3", "not saved"),
    ("continual: methods=[bp,ewc] strength.vip=0.1", "the method vip"),
    ("continual: methods=[bp,ewc] lr.pi=0.1", "rule=gbp"),
    ("prune: tune.lr=0.1", "tune.epochs"),
]  # fmt: skip
USED = [
    "train: lr.pi=0.1 init.pi=0.1 optim.beta1=0.5 decay.xi=0 eval.samples=3 seed=5 replicas=2",
    "train: rule=bp lr.m=0.1 init.m_var=0.1 optim.clip=1",
    "train: rule=copi lr.r=0.1 decay.m=0.1 rule.decorrelation=local",
    "train: rule=bp_decor rule.adam=true optim.eps=1",
    "train: model=mnist data.root=here",
    "train: model=folder data.root=here model.grey=true model.image_size=8",
    "train: model=mnist model.source=mnist",
    "train: model.source=mnist model.name=mine",
    "train: model=rnn_pixels model.source=digits name=mine",
    "train: model=rnn_digits model.tau=3 lr.in.pi=0.1 eval.redraw=step",
    "train: rule=bp lr.pi=null optim.eps_inside=false",
    "train: seeds=[0,1] epochs=3",
    "sweep-datasize: name=mine seeds=[1] depth=[2,3] width=7",
    "continual: methods=[bp,gbp] lr.pi=0.1",
    "reproduce copi: optim.beta1=0.5 lr.r=0.1 init.m_var=0.1",
    "reproduce temporal: model=rnn_digits data.root=here pixels.epochs=0 task.epochs=2",
]


@pytest.mark.parametrize(("line", "users"), REFUSED, ids=lambda text: text)
def test_setting_without_effect_is_refused_with_what_uses_it(line: str, users: str) -> None:
    text = refusal(line)
    assert users in text and line.split()[-1].split("=")[0] in text


@pytest.mark.parametrize("line", USED)
def test_setting_with_an_effect_is_not_refused(line: str) -> None:
    assert not refusal(line)
