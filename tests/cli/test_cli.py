"""The command line: dispatch, help, overrides, errors, multirun, completion."""

import dataclasses
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import env
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

import sascli
from sascli import figures
from sascli.cli import main
from sascli.cli import multirun as jobs
from sascli.cli.composition import Composer, configuration, values
from sascli.cli.help import parsed
from sascli.cli.multirun import Job
from sascli.commands import COMMANDS, schema_of, with_argument, with_study
from sascli.config import Figures, RuleSettings, Train, composition
from sascli.config.composition import conf_directory
from sascli.config.describe import written
from sascli.config.overrides import read, word
from sascli.errors import UserError
from sascli.jobs.submit import job_name
from sascli.training import run as training_run


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory and none of the user's variables."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "99")
    for name in ("SAS_OUTPUTS", "SAS_DATA", "HYDRA_FULL_ERROR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[Train]:
    """The settings with which `sas train` would have trained."""
    configs: list[Train] = []
    replace_work(monkeypatch, lambda command, config, *job: configs.append(config))
    return configs


def replace_work(monkeypatch: pytest.MonkeyPatch, work: Callable[..., object]) -> None:
    """Call `work` instead of every command."""
    for module in (sascli.cli, jobs):
        monkeypatch.setattr(module, "run", work)


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> list[int]:
    """Make `sas train` fail at seed 0; return the seeds of the jobs that began."""
    seeds: list[int] = []

    def work(command: str, config: Train, *job: object) -> None:
        seeds.append(config.seed)
        if config.seed == 0:
            raise error

    replace_work(monkeypatch, work)
    return seeds


# ---------------------------------------------------------------- help


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_overview_lists_commands_and_examples(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 0
    out = capsys.readouterr().out
    for name in COMMANDS:
        summary, examples = composition.about(name)
        assert f"\n  {name} " in out and summary in " ".join(out.split())
        assert examples[0][0] in out and all(effect for _, effect in examples)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0 and main(["train", "--version"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == second and first.startswith("sas ")


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_command_help_explains_every_setting(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def meanings(schema: type) -> Iterator[tuple[str, str]]:
        for field in dataclasses.fields(schema):
            if field.name == "rule":
                continue  # its settings depend on the rule that is chosen
            if isinstance(field.type, type) and dataclasses.is_dataclass(field.type):
                yield from ((f"{field.name}.{k}", m) for k, m in meanings(field.type))
            else:
                yield field.name, field.metadata["help"]

    assert main([*command.split(), "--help"]) == 0
    out = capsys.readouterr().out
    assert main(["help", *command.split()]) == 0 and capsys.readouterr().out == out
    for key, meaning in meanings(schema_of(command)):
        assert f"\n  {written(key)}=" in out or f"\n  {key}.*" in out
        assert meaning and meaning in " ".join(out.split())


def test_command_help_shows_groups_and_composed_defaults(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["train", "--help", "model=mnist", "lr=0.3"]) == 0
    out = capsys.readouterr().out
    assert "\n  model=mnist* " in out and "\n  model=cifar10 " in out
    assert "\n  batch_size=500 " in out and "\n  lr=0.3 " in out and " experiment=fig3a " in out
    assert "experiment=fig4a" not in out  # of sas perturb
    assert main(["train", "--help", "rule=copi"]) == 0
    assert (
        "\n  rule.gain=100.0          p = -gain dC/da at the output (a number)\n"
        in capsys.readouterr().out
    )
    assert main(["reproduce", "temporal", "--help"]) == 0
    out = capsys.readouterr().out
    assert "\n  optim@task.optim=adamw   Adam with" in out and "optim=NAME" not in out
    assert main(["reproduce", "credit", "--help", "model=cifar10"]) == 0
    out = capsys.readouterr().out
    assert "train_size=10000 " in out and "adjust" not in out  # the preset's, for this model


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_help_examples_are_valid(command: str) -> None:
    for line, _ in composition.about(command)[1]:
        program, *words = line.split()
        name, *words = with_study(words)
        assert (program, name) == ("sas", command)
        if name == "plan":
            name, *words = with_study(words)
        for override in Composer(name).overrides(parsed(with_argument(name, words)).settings):
            for line in values(override):
                configuration(name, [line])


def test_words_before_settings_are_the_argument() -> None:
    assert with_argument("compare", ["a", "b c", "name=x"]) == ["runs=['a','b c']", "name=x"]
    assert with_argument("collect", ["out/v001", "-h"]) == ["sweep='out/v001'", "-h"]
    for words in (["runs=[a,b]"], ["--help"], []):
        assert with_argument("compare", words) == words
    assert with_argument("train", ["a"]) == ["a"]
    assert configuration("compare", with_argument("compare", ["a/v001", "b"])).runs == [
        "a/v001", "b"
    ]  # fmt: skip


def test_help_completion_and_errors_import_no_torch() -> None:
    script = """if True:
        import sys
        from sascli.cli import main
        assert [main(words) for words in (
            [], ["help", "train"], ["train", "--help"], ["train", "dept=5"], ["train", "depth=1"],
            ["completion", "query", "sas train "], ["train", "--cfg", "job"],
        )] == [0, 0, 0, 2, 2, 0, 0]
        assert "torch" not in sys.modules and "pandas" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, env=env())


def test_train_imports_nothing_slow_beside_torch() -> None:
    script = """if True:
        import sys
        from sascli.cli import main
        assert main(["train", "epochs=1", "width=4"]) == 0
        slow = {"torch._dynamo", "torchvision", "sklearn", "scipy", "seaborn"} & set(sys.modules)
        assert not slow, slow
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, env=env())
    assert done.returncode == 0, done.stderr.decode()


def test_exit_with_triton_prints_no_leaks() -> None:
    script = """if True:
        import atexit, gc, sys
        from sascli.commands.table import function
        function("wave:open")
        assert gc.get_freeze_count() > 0
        sys.modules["triton"] = gc
        atexit._run_exitfuncs()
        assert gc.get_freeze_count() == 0
    """
    subprocess.run([sys.executable, "-c", script], check=True, env=env())


@pytest.mark.parametrize(
    "words", [["train"], ["train", "--help"], ["completion", "query", "sas train mo"]]
)
def test_configuration_is_composed_once(
    words: list[str], tasks: list[Train], monkeypatch: pytest.MonkeyPatch
) -> None:
    composed: list[str] = []
    compose = composition.Composer.compose

    def counted(self: composition.Composer, lines: Sequence[str] = ()) -> DictConfig:
        composed.append(self.name)
        return compose(self, lines)

    monkeypatch.setattr(composition.Composer, "compose", counted)
    assert main(words) == 0 and composed == ["train"]


# ---------------------------------------------------------------- overrides


def test_numbers_lists_and_rule_settings_reach_the_command(tasks: list[Train]) -> None:
    words = ["train", "lr=0.1", "lr.pi=0.2", "decay=0", "width=[40,20]"]
    assert main(words) == 0 and main(["train", "rule=copi", "rule.credit=fa"]) == 0
    config, copi = tasks
    assert config.lr == {"default": 0.1, "m": None, "pi": 0.2, "xi": None}
    assert config.decay["default"] == 0 and config.width == [40, 20]
    assert config.rule == RuleSettings("gbp")
    assert (copi.rule.name, copi.rule.credit, copi.rule.gain) == ("copi", "fa", 100.0)


def test_rule_sets_its_published_settings_and_what_is_typed_wins(
    tasks: list[Train], capsys: pytest.CaptureFixture[str]
) -> None:
    for rule in ("copi", "bp_decor"):
        assert main(["train", f"rule={rule}", "model=mnist", "width=50"]) == 0
        out = capsys.readouterr().out
        text = "depth=8 width=50 train_size=all batch_size=50 epochs=100 lr=0.001"
        assert out == f"rule={rule} with its settings for mnist: {text}\n"
        config = tasks.pop()
        assert (config.depth, config.width, config.batch_size) == (8, 50, 50)
        assert (config.lr["default"], config.decay["default"], config.rule.gain) == (1e-3, 0, 1000)
    assert main(["train", "rule=copi", "model=folder"]) == 0  # no network is known: only rates
    assert (tasks[0].lr["default"], tasks[0].depth) == (1e-3, 4)
    capsys.readouterr()
    assert main(["train", "model=mnist"]) == 0 and not capsys.readouterr().out


@pytest.mark.slow
def test_jobs_share_settings_that_one_of_them_uses(
    tasks: list[Train], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["train", "-m", "rule=bp,gbp", "lr.pi=0.1,0.2", "optim.beta1=0.5"]) == 0
    assert [config.lr["pi"] for config in tasks] == [0.1, 0.2, 0.1, 0.2]
    assert main(["sweep-datasize", "-m", "worker=1,2", "name=shared"]) == 0
    assert {config.name for config in tasks[4:]} == {"shared"}
    words = ["train", "-m", "seed=0,1", "name=old", "hydra.sweep.dir=mine"]
    assert main(words) == 2 and len(tasks) == 6
    with monkeypatch.context() as earlier:
        earlier.setattr(jobs, "check_shared", lambda *_: None)
        assert main(words) == 0 and len(tasks) == 8
    assert main(words) == 0  # what an earlier version accepted can be submitted again


def test_key_that_is_a_python_keyword(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", "from=here", "--cfg", "job"]) == 0
    assert "from_: here" in capsys.readouterr().out
    assert main(["plot", "fro=here"]) == 2
    assert "did you mean 'from'?" in capsys.readouterr().err


def test_flags_between_overrides(tasks: list[Train], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "depth=5", "--cfg", "job", "init.pi=0.5", "-p", "init"]) == 0
    assert "pi: 0.5" in capsys.readouterr().out and not tasks


def test_package_prints_a_part_or_a_value(capsys: pytest.CaptureFixture[str]) -> None:
    for command, key, text in (
        ("train", "epochs", "100\n"),
        ("train", "name", "null\n"),
        ("train", "model.name", "digits\n"),
        ("train", "seeds", "- 3\n- 4\n"),
        ("train", "init", "m_var: null\npi: 0.0\nxi_max: 0.01\n"),
        ("plot", "from", "null\n"),
    ):
        words = ["seeds=[3,4]"] if key == "seeds" else []
        assert main([command, *words, "--cfg", "job", "--package", key]) == 0
        assert capsys.readouterr().out == text


def test_plus_cannot_add_an_unknown_key(
    tasks: list[Train], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "+depth=5"]) == 0 and tasks[0].depth == 5
    assert main(["train", "++dept=5"]) == 2
    assert "did you mean 'depth'" in capsys.readouterr().err


def test_config_dir_adds_experiments(
    tasks: list[Train], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mine"
    (folder / "experiment").mkdir(parents=True)
    (folder / "experiment/deep.yaml").write_text("# @package _global_\ndepth: 9\n")
    (folder / "experiment/bad.yaml").write_text("# @package _global_\n{depth: 9\n")
    flags = ["--config-dir", str(folder)]
    assert main(["train", "experiment=deep", *flags]) == 0 and tasks[0].depth == 9
    assert main(["train", "experiment=bad", *flags]) == 2
    assert main(["train", "experiment=dep", *flags]) == 2
    broken, unknown = capsys.readouterr().err.splitlines()
    assert "bad.yaml" in broken and "did you mean 'deep'?" in unknown


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("train", "experiment/fig2a.yaml"),
        ("train -m", "optim/sgd.yaml"),
        ("train", "train.yaml"),
        ("reproduce credit", "preset/quick.yaml"),
    ],
)
def test_config_dir_with_the_name_of_our_file_is_refused(
    command: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine" / name
    path.parent.mkdir(parents=True)
    path.write_text("# @package _global_\nepochs: 1\n")
    assert main([*command.split(), "seed=3", "--config-dir", "mine"]) == 2
    message = f"sas: --config-dir: mine/{name} has the name of a file of sas: rename it\n"
    assert capsys.readouterr().err == message


def test_packaged_configuration_comes_before_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert conf_directory("train") == Path(sascli.__file__).parents[1] / "conf"
    monkeypatch.setattr(composition, "__file__", str(tmp_path / "sascli/config/composition.py"))
    with pytest.raises(UserError, match="install sas again"):
        conf_directory("train")
    (tmp_path / "sascli/conf").mkdir(parents=True)
    (tmp_path / "sascli/conf/train.yaml").touch()
    assert conf_directory("train") == tmp_path / "sascli/conf"


def test_repeated_setting_warns(tasks: list[Train], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "lr=3", "depth=3", "lr.default=4"]) == 0
    assert capsys.readouterr().err == "warning: lr.default=4 replaces lr=3\n"
    assert (tasks[0].lr["default"], tasks[0].depth) == (4, 3)


def test_group_with_a_package_does_not_replace_the_plain_group(
    tasks: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["reproduce", "temporal", "optim=sgd", "optim@task.optim=adamw"]
    words += ["task.optim.eps_inside=false"]  # that of the published task is true
    assert main(words) == 0 and not capsys.readouterr().err
    assert (tasks[0].optim.name, tasks[0].task.optim.name) == ("sgd", "adamw")
    assert main([*words, "optim@task.optim=sgd"]) == 0
    warning = "warning: optim@task.optim=sgd replaces optim@task.optim=adamw\n"
    assert capsys.readouterr().err == warning and tasks[1].task.optim.name == "sgd"
    assert main([*words, "optim@pixels.optim=sgd"]) == 2
    assert "pixels.optim=sgd has no effect with pixels.epochs=0" in capsys.readouterr().err


# ---------------------------------------------------------------- invalid words

ERRORS = [
    ("trian", "there is no command 'trian'; did you mean 'train'?"),
    ("--verson", "did you mean '--version'?"),
    ("completion tcsh", 'eval "$(sas completion bash)"; also zsh, fish'),
    ("train dept=5", "there is no setting 'dept'; did you mean 'depth'?"),
    ("train init.pii=1", "there is no setting 'init.pii'; did you mean 'init.pi'?"),
    ("train grey=true", "there is no setting 'grey'; known: model.grey"),
    ("train qqqq=1", "there is no setting 'qqqq'; --help lists them"),
    ("train hydra.sweep.dirr=x", "did you mean 'hydra.sweep.dir'?"),
    ("train model=mnits", "no model 'mnits'; did you mean 'mnist'? known: cifar10, cifar10_conv,"),
    ("train model=3", "there is no model '3'; known: cifar10, cifar10_conv,"),
    ("train -m model=mnist,mnits", "there is no model 'mnits'"),
    ("train hydra/launcher=slum", "there is no hydra/launcher 'slum'"),
    ("train hydra/launcher=local", "hydra/launcher=local has an effect in a multirun only: add"),
    ("train resume=x hydra.sweep.dir=y", "hydra.sweep.dir=y has an effect in a multirun only"),
    ("train depth=foo", "depth=foo: depth must be a whole number"),
    ("train resume=latest", "resume=latest: write resume=true"),
    ("continual capture=always", "capture=always has no effect here"),
    ("reproduce credit data.split=validation", "data.split must be test: rates are searched"),
    (
        "reproduce copi depth=7",
        "depth=7 has no effect above preset.depth=5: add preset.depth=null",
    ),
    ("reproduce copi train_size=all", "above preset.train_size=10000: add preset.train_size=null"),
    ("train -m depth=3,foo", "depth=foo: depth must be a whole number"),
    ("train depth=null", "depth must be a whole number"),
    ("train seeds=[a]", "seeds must be a list of whole numbers or null"),
    ("train model.grey=maybe", "model.grey must be true or false"),
    ("train init=3", "init must be a map of m_var, pi, xi_max"),
    ("train depth=${nothing}", "depth: Interpolation key 'nothing' not found"),
    ("train width=[1", "cannot read 'width=[1': write a list as width=[1,2]"),
    ("train depth", "cannot read 'depth': write setting=value"),
    ("train =3", "cannot read '=3': write setting=value"),
    ("train data.root=~/x", "in quotes, 'data.root=\"~/x\"'"),
    ("train depth=3,4", "depth=3,4 has several values: add --multirun"),
    ("train --mutlirun", "unrecognized arguments: --mutlirun"),
    ("train --cfg job -m", "not allowed with argument"),
    ("train --resolve", "--resolve and --package need --cfg"),
    ("train --cfg job -p epoch", "--package: there is no setting epoch"),
    ("train --cfg job -p epochs.x", "--package: there is no setting epochs.x"),
    ("train --cfg job -p [", "--package: there is no setting ["),
    ("train --cfg job --resolve name=${nothing}", "--cfg: Interpolation key 'nothing' not found"),
    ("train --config-name x", "unrecognized arguments: --config-name"),
    ("train rule=copi rule.gian=1", "no setting 'rule.gian'; did you mean 'rule.gain'?"),
    ("train rule=copi rule.gain=foo", "rule.gain must be a number"),
    ("train rule=copi rule.credit=b", "no rule.credit 'b'; did you mean 'bp'? known: bp, fa"),
    ("train rule.credit=fa", "there is no setting 'rule.credit'"),
    ("train -m seed=range(0,3) lr=interval(0,1)", "has no list of values"),
    ("train --config-dir nowhere", "there is no folder nowhere"),
    ("train depth=1", "depth must be at least 2"),
    ("train seed=0,1", "or write a list as seeds=[...]"),
    ("train threads=0", "threads must be at least 1, not 0"),
    ("order-parameters threads=-1", "threads must be at least 1, not -1"),
    ("train optim.beta1=1", "optim.beta1 must lie in [0, 1), not 1.0"),
    ("train optim.eps=-1", "optim.eps must be at least 0, not -1.0"),
    ("train name=../x", "name must be the name of a folder, without '/', not '../x'"),
    ("train name=exp/a", "name must be the name of a folder, without '/', not 'exp/a'"),
    ("train name=", "name must be the name of a folder, without '/', not ''"),
    ("train model.name=../x", "model.name must be the name of a folder, without '/'"),
    ("continual name=..", "name must be the name of a folder, without '/', not '..'"),
    ("entropy name=../../x", "name must be the name of a folder, without '/', not '../../x'"),
    ("kernel name=", "name must be the name of a folder, without '/', not ''"),
    ("compare name=/else/x", "name must be the name of a folder, without '/', not '/else/x'"),
    ("reproduce credit preset.name=.", "preset.name must be the name of a folder"),
    ("reproduce credit eval.samples=0", "eval.samples must be at least 1"),
    ("reproduce", "`sas reproduce` needs a study: credit, temporal, copi, use"),
    ("reproduce model=mnist", "`sas reproduce` needs a study"),
    ("reproduce crdit", "there is no study 'crdit'; did you mean 'credit'?"),
    ("figures-copi model=digits", "`sas figures-copi` is now called `sas reproduce copi`"),
    ("reproduce copi model=digits train_size=4", "train_size must be at least 5"),
    ("train lr=[]", "lr needs at least one value"),
    ("train resume=", "run is empty: give a path, a name or `latest`"),
    ("train lr=0.1,0.2", "lr=0.1,0.2 has several values: add --multirun"),
    ("train -m lr=interval(0,1)", "lr=interval(0,1) has no list of values: write each value"),
    ("train rule=bp lr=[0.1,0.2] lr.m=0.3", "lr=[0.1,0.2] has no effect beside lr.m: leave"),
    ("train rule=bp decay=[0,1] decay.m=0", "decay=[0,1] has no effect beside decay.m: leave"),
    (
        "train lr=[1,2] lr.m=1 lr.pi=1 lr.xi=1",
        "has no effect beside lr.m, lr.pi, lr.xi: leave it out",
    ),
    (
        "train model=rnn_rows rule=bp lr=[1,2] lr.m=1",
        "beside lr.in.m, lr.rec.m, lr.out.m: leave it out",
    ),
    ("train rule=copi rule.gain=0", "rule.gain must lie in (0, inf), not 0.0"),
    ("train rule=copi rule.gain=nan", "rule.gain must lie in (0, inf), not nan"),
    ("train rule=copi rule.slope=1.5", "rule.slope must lie in [0, 1], not 1.5"),
    ("train rule=bp_decor rule.slope=-0.1", "rule.slope must lie in [0, 1], not -0.1"),
    ("train model=rnn_rows model.tau=inf", "model.tau must lie in (0, inf), not inf"),
    ("train model=digits model.network=recurrent", "depth 3 (in, rec, out): add depth=3"),
    ("train lr={default:x}", "lr.m must be a number >= 0, not 'x'"),
    ("help trian", "there is no command 'trian'; did you mean 'train'?"),
    ("train rule=[gbp,bp]", "rule has one value: write rule=gbp,bp with --multirun"),
    ("train ~epochs", "~epochs: a setting cannot be removed, only set"),
    ("train ~rule", "~rule: a setting cannot be removed"),
    ("train rule=bp lr.pi=0.1", "lr.pi=0.1 has no effect with rule=bp: it is used by rule=gbp"),
    ("train -m rule=bp,copi lr.pi=0.1", "with rule=bp: it is used by rule=gbp"),
    ("train -m rule=bp seed=0,1 lr.pi=0.1,0.2", "lr.pi=0.1,0.2 has no effect with rule=bp"),
    ("train -m name=mine seed=0,1", "name=mine has no effect on a multirun"),
    (
        "train -m data.root='a/b','a-b' model=mnist",
        "two jobs would have the same name, data.root-a-b: data.root='a/b' and data.root='a-b'",
    ),
    ("train -m resume=here seed=0,1", "resume=here has no effect on a multirun: resume one run"),
    ("train -m resume=true seed=0,1", "resume=true has no effect on a multirun: resume one run"),
    ("train -m resume=false,true", "resume=false,true has no effect on a multirun"),
    ("train name=latest", "run=latest means the newest run"),
    ("entropy run=2024_1", "there is no finished run '2024_1' in outputs/train"),
    ("perturb experiment=fig3b", "is for another command, `sas train experiment=fig3b`"),
    ("perturb experiment=fig", "there is no experiment 'fig'; did you mean 'fig4a'? known: fig4a"),
    ("train resume=2024", "there is no run '2024' in outputs/train"),
    ("train resume=1e3", "there is no run '1e3' in outputs/train"),
    ("train resume=[a]", "resume must be true, false or the path or name of a run, not [a]"),
    ("reproduce credit resume=false", "resume=false has no effect here: a study always"),
    ("sweep-datasize experiment=fig3a", "is for another command, `sas train experiment=fig3a`"),
    ("continual experiment=copi_digits", "another command, `sas train experiment=copi_digits`"),
    ("entropy experiment=fig4a", "another command, `sas perturb experiment=fig4a`"),
    ("reproduce credit experiment=fig2a", "another command, `sas train -m experiment=fig2a"),
    ("sweep-datasize resume=digits", "resume is true or false here"),
    ("reproduce credit lr.pi=0.1", "lr must be one number here, the same for all"),
    ("perturb kind=[]", "kind needs at least one value"),
    ("perturb fractions=[]", "fractions needs at least one value"),
    ("perturb layer=[]", "layer needs at least one value"),
    ("entropy estimator=[]", "estimator needs at least one value"),
    ("features unit=[]", "unit needs at least one value"),
    ("plot figure=[]", "figure needs at least one value"),
    ("runs status=finnished", "no status 'finnished'; did you mean 'finished'?"),
    ("runs command=[train,trian]", "there is no command 'trian'; did you mean 'train'?"),
    ("claims from=", "there is nothing in outputs/reproduce"),
]


@pytest.mark.parametrize(("line", "message"), ERRORS)
def test_user_error_is_reported_in_one_line(
    line: str, message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(line.split()) == 2
    out, err = capsys.readouterr()
    assert err.startswith("sas: ") and message in err and err.count("\n") == 1
    assert "+" not in err and not out
    assert not list(tmp_path.iterdir())


def test_full_errors_on_request(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert main(["train", "dept=5"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_errors_of_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, UserError("no CUDA"))
    assert main(["train"]) == 2
    assert capsys.readouterr().err == "sas: no CUDA\n"
    failing(monkeypatch, KeyboardInterrupt())
    assert main(["train"]) == 130
    failing(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        main(["train"])
    assert "HYDRA_FULL_ERROR" not in os.environ


@pytest.mark.parametrize(
    "words",
    [
        "train resume={}",
        "train resume=true name={}",
        "train --config-dir {}",
        "train -m seed=0,1 hydra.sweep.dir={}",
        "train model=mnist data.root={}",
        "train model=cifar10 data.root={}",
        "train model=folder data.root={}",
        "entropy run={}",
        "plot from={}",
        "collect {}",
        "collect outputs={}",
        "claims outputs={}",
    ],
)
def test_path_with_a_name_too_long_is_an_error(
    words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "outputs/train").mkdir(parents=True)
    assert main(words.format("x" * 300).split()) == 2
    message = capsys.readouterr().err
    assert message.startswith("sas: cannot read ") and message.endswith(": File name too long\n")


def test_closed_pipe_is_silent() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write) as pipe:
        command = [sys.executable, "-m", "sascli", "train", "--help"]
        result = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, env=env())
    assert (result.returncode, result.stderr) == (141, b"")


# ---------------------------------------------------------------- multirun


@pytest.mark.slow
def test_job_folders_are_named_by_differing_settings(tasks: list[Train], tmp_path: Path) -> None:
    words = ["train", "lr=0.1,0.2", "-m", "epochs=1", "seed=0,1", "outputs=here"]
    assert main(words) == 0 and main([*words, "depth=3", "lr=0.3"]) == 0
    multirun = tmp_path / "here/train/multirun"
    jobs = sorted(str(p.relative_to(multirun)) for p in multirun.glob("*/*-*"))
    expected = [f"v001/lr-{lr}+seed-{seed}" for lr in (0.1, 0.2) for seed in (0, 1)]
    assert jobs == [*expected, "v002/seed-0", "v002/seed-1"]
    assert [(c.lr["default"], c.seed) for c in tasks[:4]] == [
        (lr, seed) for lr in (0.1, 0.2) for seed in (0, 1)
    ]


def test_launcher_without_a_multirun_is_shown_and_planned(
    tasks: list[Train], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "hydra/launcher=local", "hydra.launcher.n_jobs=3"]
    assert main([*words, "--cfg", "hydra", "-p", "launcher"]) == 0
    assert "n_jobs: 3" in capsys.readouterr().out
    assert main(["plan", *words]) == 0 and len(tasks) == 1
    assert main(words) == 2 and len(tasks) == 1


def test_sweep_directory_can_be_chosen(tasks: list[Train], tmp_path: Path) -> None:
    assert main(["train", "-m", "seed=0,1", "hydra.sweep.dir=mine"]) == 0
    assert {p.name for p in tmp_path.iterdir()} == {"mine"} and len(tasks) == 2


def test_failed_job_fails_the_multirun_but_not_other_jobs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seeds = failing(monkeypatch, UserError("no CUDA"))
    assert main(["train", "-m", "seed=0,1"]) == 2
    assert seeds == [0, 1] and "sas: no CUDA\n" in capsys.readouterr().err


def test_every_job_is_checked_before_the_first(
    tasks: list[Train], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "-m", "optim=rmsprop,adamw", "optim.eps_inside=false,true"]
    assert main(words) == 2 and not tasks and not Path("outputs").exists()
    assert capsys.readouterr().err == (
        "sas: optim.eps_inside needs optim=rmsprop: add optim.eps_inside=false\n"
    )
    words = ["depth=3,4,5", "width=[3],[3,3]", "seed=0,1"]
    assert main(["train", "-m", *words]) == 2 and not tasks
    assert "width lists 2 hidden layers, but depth=3 has 1" in capsys.readouterr().err


def test_names_that_look_like_numbers_stay() -> None:
    prune = configuration("prune", ["run=1e3", "baseline=2024_1", "name=2024_2", "outputs=2_0"])
    assert (prune.run, prune.baseline, prune.name) == ("1e3", "2024_1", "2024_2")
    assert prune.outputs == "2_0"
    train = configuration(
        "train", ["model=mnist", "data.root=2024_06", "depth=3", "resume=2024_1"]
    )
    assert (train.data.root, train.depth, train.resume) == ("2024_06", 3, "2024_1")
    assert configuration("clean", ["match=0.10"]).match == "0.10"
    assert configuration("plot", ["from=1e3"]).from_ == "1e3"


@pytest.mark.parametrize("path", ["/runs/a", "/müller (old)/a,b", "/it's/[1]", "1e3", "a #b"])
def test_printed_words_are_read_back(path: str) -> None:
    printed = word("hydra.sweep.dir", path)
    assert read(printed).value() == path
    assert printed == f"hydra.sweep.dir={path}" or path != "/runs/a"


def test_job_names_are_short_and_need_no_quotes() -> None:
    assert job_name(["width=[40,20]", "lr.default=-1"]) == "width-40-20+lr--1"
    assert job_name(["++rule.credit=fa", "data.root=/a b"]) == "rule.credit-fa+data.root-a-b"
    assert job_name([]) == "job"
    long = {job_name(["x" * 300 + end]) for end in "ab"}
    assert len(long) == 2 and all(len(name) < 255 for name in long)


def test_pickled_job_keeps_the_command_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    words: list[list[str]] = []
    replace_work(monkeypatch, lambda *rest: words.append(sys.argv))
    monkeypatch.setattr(sys, "argv", ["worker"])
    job = pickle.loads(pickle.dumps(Job("train", ("sas", "train", "lr=0.1"), {})))
    cfg = Composer("train").compose()
    cfg.hydra.runtime.output_dir, cfg.hydra.job.num = str(tmp_path), 0
    monkeypatch.setattr(HydraConfig.instance(), "cfg", cfg.copy())
    job(cfg)
    assert words == [["sas", "train", "lr=0.1"]]


def test_jobs_train_and_draw_in_their_directories(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trained: list[tuple[int, Path | None]] = []
    drawn: list[tuple[Any, ...]] = []

    def run(config: Train, directory: Path | None) -> Path:
        trained.append((config.seed, directory))
        return directory or tmp_path / "claimed"

    def plot(*words: Any, **settings: Any) -> list[Path]:
        drawn.append(words)
        return []

    monkeypatch.setattr(training_run, "run", run)
    monkeypatch.setattr(figures, "plot", plot)
    monkeypatch.setattr(figures, "possible", lambda names, directory: list(names))
    history = pd.DataFrame({"replica": [0], "epoch": [1], "test_accuracy": [0.5]})
    monkeypatch.setattr(figures, "read_tables", lambda directory: {"history": history})
    assert main(["train", "seed=5"]) == 0 and main(["train", "-m", "seed=6,7"]) == 0
    jobs = [tmp_path / f"outputs/train/multirun/v001/seed-{seed}" for seed in (6, 7)]
    assert trained == [(5, None), (6, jobs[0]), (7, jobs[1])]
    assert drawn == [(["overview"], at, at, Figures()) for at in (tmp_path / "claimed", *jobs)]


# ---------------------------------------------------------------- completion


def complete(line: str, breaks: str, tmp_path: Path) -> list[str]:
    """What bash offers for a line."""
    shim = tmp_path / "sas"
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sascli "$@"\n')
    shim.chmod(0o755)
    script = """
        eval "$(sas completion bash)"
        COMP_WORDBREAKS=$2; COMP_LINE=$1; COMP_POINT=${#1}
        _sas_completion sas; printf '%s\\n' "${COMPREPLY[@]}"
    """
    result = subprocess.run(
        ["bash", "-c", script, "bash", line, breaks],
        env=env(PATH=f"{tmp_path}:{os.environ['PATH']}"),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return result.stdout.splitlines()


@pytest.mark.parametrize(
    ("line", "breaks", "expected"),
    [
        ("sas tra", " =:", ["train ", "trajectories "]),
        ("sas train --cfg job depth=3 init.", " =:", ["init.m_var=", "init.pi=", "init.xi_max="]),
        ("sas train model=mn", " =:", ["mnist ", "mnist_conv "]),
        ("sas train model=mn", " ", ["model=mnist ", "model=mnist_conv "]),
        ("sas train device=cu", " =:", ["cuda "]),
    ],
)
def test_bash_completion(line: str, breaks: str, expected: list[str], tmp_path: Path) -> None:
    assert complete(line, breaks, tmp_path) == expected


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("sas ", "train "),
        ("sas completion ", "bash "),
        ("sas completion ", "fish "),
        ("sas train device=", "device=cpu "),
        ("sas train eval.red", "eval.redraw="),
        ("sas train eval.redraw=", "eval.redraw=step "),
        ("sas train precision=", "precision=float64 "),
        ("sas plot figure=", "figure=fig2a "),
        ("sas plot figure=", "figure=all "),
        ("sas perturb run=", "run=latest "),
        ("sas train ", "lr="),
        ("sas train lr.", "lr.pi="),
        ("sas train mod", "model="),
        ("sas train hydra/l", "hydra/launcher="),
        ("sas train model.grey=", "model.grey=true "),
        ("sas train --m", "--multirun "),
        ("sas reproduce ", "copi "),
        ("sas train rule=copi rule.", "rule.name="),
    ],
)
def test_candidates(line: str, offered: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "query", line]) == 0
    assert offered in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        (
            "sas perturb run=",
            ["latest", "first", "first/v001", "first/v002", "other", "other/v001"],
        ),
        ("sas train resume=f", ["false", "first", "first/v001", "first/v002"]),
        ("sas prune baseline=o", ["other", "other/v001"]),
        ("sas kernel run=", []),
        ("sas train figure=", []),
    ],
)
def test_candidates_for_runs(
    line: str, offered: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("first/v001", "first/v002", "other/v001"):
        folder = tmp_path / "place/train" / name
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}")
    (tmp_path / "place/train/other/v002").mkdir()  # a directory without a run
    head, _, word = line.rpartition(" ")
    key = word.partition("=")[0]
    assert main(["completion", "query", f"{head} outputs={tmp_path}/place {word}"]) == 0
    assert capsys.readouterr().out.split() == [f"{key}={value}" for value in offered]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script_of_a_shell_asks_for_candidates(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert f"sas completion {shell}" in script and "completion query" in script


def test_no_candidates_for_an_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "query", "sas nope dep"]) == 0
    assert not capsys.readouterr().out.strip()


def test_every_setting_can_be_completed() -> None:
    composer = Composer("train")
    settings = composer.settings(composer.compose(), like="")
    assert {"lr", "lr.pi", "init.pi", "model", "experiment"} <= settings.keys()
    assert not any(name.endswith("default") for name in settings)
