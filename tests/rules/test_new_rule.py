"""A learning rule is one Python file and one YAML: a toy one is added, trained and resumed."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import assert_same_run, composed, tables

from sascli import rules, runs
from sascli.cli import main
from sascli.config import rule as rule_files
from sascli.config import rule_schema
from sascli.rules import rule_class
from sascli.rules.base import Rule
from sascli.training import run as training_run
from sascli.training.signals import Stopped

RULE = '''
"""Sign descent: every m goes down its gradient's sign by the same step."""

from dataclasses import dataclass
from math import sqrt

from sascli.core.streams import fill_normal, fill_on_cpu, streams
from sascli.config import Never, RuleSettings, setting
from sascli.rules.base import Rule


@dataclass
class ToySettings(RuleSettings):
    needs = dict.fromkeys(("lr*", "decay*", "optim*", "init.pi", "init.xi_max"), Never())
    step: float = setting(0.01, "what every m moves by", gt=0)
    shrink: float = 1.0  # of the step from epoch to epoch


class Toy(Rule):
    def __init__(self, network, settings, setup):
        super().__init__(network, settings, setup)
        self.gradients, self.steps = network.bp(), 0

    def initialise(self):
        for layer, variance in zip(self.network.layers, self.setup.m_var):
            fill_on_cpu(fill_normal, layer.m.data, streams(self.setup.seeds, "init"))
            layer.m.data.mul_(sqrt(variance))

    def start_epoch(self, epoch):
        self.size = self.settings.step * self.settings.shrink**epoch

    def step(self, x, y):
        self.steps += 1
        loss = self.gradients(x, y)
        self.network.flat["m"].sub_(self.gradients.grads["m"].sign(), alpha=self.size)
        return loss

    def logits(self, x, generator=None):
        return self.network.run([layer.m for layer in self.network.layers], x)

    def measure(self, x):
        return [
            {"replica": r, "layer": 1, "name": "steps", "value": self.steps + r}
            for r in range(self.network.replicas)
        ]

    def state(self):
        return {"m": self.network.flat["m"], "steps": self.steps}

    def load(self, state):
        self.network.flat["m"].copy_(state["m"])
        self.steps = state["steps"]


RULE = Toy
'''
YAML = "defaults: [toy_schema]\nstep: 0.2\n"


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The command line that trains by a rule of two new files."""
    files = {"rules/toy.py": RULE, "conf/rule/toy.yaml": YAML}
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(content)
    monkeypatch.setattr(rules, "__path__", [*rules.__path__, str(tmp_path / "rules")])
    monkeypatch.setattr(rule_files, "FOLDERS", [*rule_files.FOLDERS, tmp_path / "rules"])
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SAS_OUTPUTS", raising=False)
    sizes = "width=8 train_size=120 test_size=60 epochs=4 replicas=2 name=toy"
    yield ["train", "--config-dir", str(tmp_path / "conf"), "rule=toy", *sizes.split()]
    sys.modules.pop("sascli.rules.toy", None)


def test_rule_of_two_files_is_trained_and_resumed(
    line: list[str], signal_in: Callable[..., None]
) -> None:
    assert main(line) == 0
    unbroken, broken = Path("outputs/train/toy/v001"), Path("outputs/train/toy/v002")
    signal_in(3)
    with pytest.raises(Stopped):
        main(line)
    assert runs.manifest_of(broken)["status"] == "interrupted"
    assert main([*line, "resume=true"]) == 0
    assert runs.manifest_of(broken)["status"] == "finished"
    assert_same_run(unbroken, broken)

    assert runs.read_json(unbroken / "config.json")["rule"] == {
        "name": "toy",
        "step": 0.2,
        "shrink": 1.0,
    }
    history, metrics = tables(unbroken)["history"], tables(unbroken)["metrics"]
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0] - 0.1
    assert list(metrics) == ["replica", "seed", "epoch", "layer", "name", "value"]
    assert list(metrics["epoch"]) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert (metrics["value"] == 3 * metrics["epoch"] + metrics["replica"]).all()
    assert (metrics["seed"] == metrics["replica"]).all() and set(metrics["name"]) == {"steps"}


@pytest.mark.slow
def test_settings_of_a_new_rule_change_the_run(line: list[str]) -> None:
    assert main([*line, "rule.shrink=0.5"]) == 0 and main(line) == 0
    first, second = (tables(Path(f"outputs/train/toy/v00{n}"))["history"] for n in (1, 2))
    assert not first.equals(second)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("rule.stp=1", "there is no setting 'rule.stp'; did you mean 'rule.step'?"),
        ("rule.step=fast", "rule.step must be a number"),
        ("rule.step=-1", "rule.step must be above 0, not -1.0"),
        ("lr=0.3", "lr=0.3 has no effect with rule=toy: it is used by rule=bp, rule=bp_decor"),
        ("optim=rmsprop", "rule=bp_decor with rule.adam=true, rule=gbp"),
        ("rule=tyo", "there is no rule 'tyo'; did you mean 'toy'?"),
    ],
)
def test_invalid_setting_is_reported_before_any_work(
    setting: str,
    message: str,
    line: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(training_run, "load_data", lambda *_: pytest.fail("work was begun"))
    assert main([*line, setting]) == 2
    assert message in capsys.readouterr().err and not Path("outputs").exists()


def test_every_rule_has_a_yaml_file() -> None:
    names = list(rule_files.rule_files())
    assert "gbp" in names and not {"base", "gradient"} & {*names}
    for name in names:
        settings = composed("train", f"rule={name}").rule
        assert settings.name == name and type(settings) is rule_schema(name)
        assert issubclass(rule_class(settings), Rule)
