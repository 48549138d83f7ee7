"""The YAML files composed: their folders, groups, options and settings."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sascli.config.describe import leaves, stored
from sascli.config.overrides import quoted
from sascli.config.rule import rule_files, rule_schema
from sascli.config.settings import check, plain, shown, typed, unknown
from sascli.config.train import Train
from sascli.errors import UserError

VERSION_BASE = "1.3"
CONF = "conf"  # the folder of YAML files: in a wheel, in the checkout, copied into a multirun
ADJUST = "adjust"
"""The group of what a preset changes for a model: chosen by these two, never by the user."""
PUBLISHED = "published"
"""The group of what a rule sets for a model instead of the model: chosen by the rule."""


def conf_directory(name: str) -> Path:
    """The folder of the YAML files: the one in a wheel, else the checkout's."""
    package = Path(__file__).parents[1]
    for folder in (package / CONF, package.parent / CONF):
        if (folder / f"{name}.yaml").is_file():
            return folder
    raise UserError(f"conf/{name}.yaml is missing: install sas again")


def check_new(folders: Sequence[Path], ours: Path) -> None:
    """Raises UserError for a file of the folders that has the name of one in `ours`.

    A single run would take our file, a multirun, which copies all folders into one, the other.
    """
    names = [path.relative_to(ours) for path in ours.rglob("*.yaml")] if folders else []
    for path in (folder / name for folder in folders for name in sorted(names)):
        if path.exists():
            raise UserError(f"--config-dir: {path} has the name of a file of sas: rename it")


def as_yaml(tree: DictConfig, key: str | None, resolve: bool) -> str:
    """The settings as YAML, or those below `key`, or its value alone. Raises UserError."""
    absent = object()
    try:
        node = OmegaConf.select(tree, stored(key, {}), default=absent) if key else tree
        if OmegaConf.is_config(node):
            return OmegaConf.to_yaml(node, resolve=resolve)
    except LookupError:  # a key that OmegaConf cannot read, such as [
        node = absent
    except OmegaConfBaseException as error:
        raise UserError(f"--cfg: {str(error).splitlines()[0]}") from error
    if node is absent:
        raise UserError(f"--package: there is no setting {key}")
    return f"{shown(node)}\n"


def comments(path: Path) -> list[str]:
    """The lines of a YAML file that are comments, without directives."""
    lines = re.findall(r"^# *(.+)", path.read_text(), re.MULTILINE)
    return [line for line in lines if not line.startswith("@package")]


def about(command: str) -> tuple[str, list[tuple[str, str]]]:
    """The comments of a command's YAML: its summary, and examples with what each does."""
    name = command.replace(" ", "/")
    summary, *lines = comments(conf_directory(name) / f"{name}.yaml")
    examples = (line.partition("  # ") for line in lines if line.startswith("sas "))
    return summary, [(words.rstrip(), effect) for words, _, effect in examples]


def without_hydra(cfg: DictConfig) -> DictConfig:
    """The settings alone, without Hydra's node."""
    return OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])


def with_words(config: Train, words: Sequence[str]) -> Train:
    """Settings changed by words `setting=value` or `model=NAME`, checked. Raises UserError."""
    tree: Any = OmegaConf.create(plain(config))
    for word in words:
        key, _, value = word.partition("=")
        if key == "model":
            models = {path.stem: path for path in (conf_directory("train") / key).glob("*.yaml")}
            if value not in models:
                raise unknown(value, models, key)
            changes: Any = OmegaConf.load(models[value])
        else:
            node = OmegaConf.select(tree, key)
            several = isinstance(node, DictConfig) and "default" in node  # lr, decay
            changes = OmegaConf.from_dotlist([f"{key}.default={value}" if several else word])
        tree = OmegaConf.merge(tree, changes)
    changed = typed(tree, type(config))
    check(changed)
    return changed


def groups(cfg: DictConfig) -> dict[str, Any]:
    """The groups of a configuration with the option chosen, in the order of the YAML."""
    chosen = reversed(cfg.hydra.runtime.choices.items())
    return {group: option for group, option in chosen if group not in (ADJUST, PUBLISHED)}


class Composer:
    """Composes a primary configuration of `conf` with the groups in all `folders`."""

    def __init__(self, name: str, schema: type, conf: Path, more: Sequence[Path] = ()) -> None:
        self.name = name
        folders = (conf / name, *more)  # a study has groups in the folder of its name
        self.folders = [conf, *(folder.absolute() for folder in folders if folder.is_dir())]
        places = ",".join(quoted(f"file://{folder}") for folder in self.folders[1:])
        self.search = [f"hydra.searchpath=[{places}]"]
        store = ConfigStore.instance()
        store.store(name=f"{name.replace('/', '-')}_schema", node=schema)
        for rule in rule_files():
            store.store(group="rule", name=f"{rule}_schema", node=rule_schema(rule)(rule))
        with initialize_config_dir(str(conf), version_base=VERSION_BASE):
            self.loader = GlobalHydra.instance().config_loader()

    def compose(self, lines: Sequence[str] = ()) -> DictConfig:
        """The configuration of one run with these overrides, Hydra's own node included.

        Raises UserError for an experiment of another command.
        """
        for line in lines:
            key, _, name = line.partition("=")
            path = self.files(key).get(name) if key == "experiment" else None
            if path and (theirs := self.foreign(path)):
                raise UserError(f"{line} is for another command, `{theirs}`")
        lines = [*self.search, *lines]
        return self.loader.load_configuration(self.name, lines, RunMode.RUN, from_shell=False)

    def foreign(self, path: Path) -> str:
        """The line of another command that an experiment's first comment has; else empty."""
        ours = f"sas {self.name.replace('/', ' ')} "
        lines = "".join(comments(path)[:1]).split(" && ")
        lines = [line for line in lines if f"experiment={path.stem}" in line.split()]
        return "" if any(line.startswith(ours) for line in lines) else "".join(lines[:1])

    def files(self, group: str) -> dict[str, Path]:
        """The YAML files of a group by option; empty for Hydra's groups and for other keys."""
        folders = [folder / group.partition("@")[0] for folder in self.folders]
        return {path.stem: path for folder in folders for path in sorted(folder.glob("*.yaml"))}

    def options(self, group: str) -> list[str]:
        """The choices of a group, those of Hydra's packages included; empty if it is none.

        Experiments of other commands are left out.
        """
        names = self.loader.get_group_options(
            group.partition("@")[0], config_name=self.name, overrides=self.search
        )
        left_out = {name for name, path in self.files(group).items() if self.foreign(path)}
        return [name for name in names if name not in left_out and not name.endswith("_schema")]

    def published(self, cfg: DictConfig) -> str:
        """The settings of a rule that sets its own for the model, in one line; else empty."""
        choices = cfg.hydra.runtime.choices
        if choices.get(PUBLISHED) not in self.files(PUBLISHED):
            return ""
        keys = ("depth", "width", "train_size", "batch_size", "epochs")
        settings = [f"{key}={shown(cfg[key])}" for key in keys]
        text = " ".join([*settings, f"lr={shown(cfg.lr.default)}"])
        return f"rule={choices.rule} with its settings for {choices.model}: {text}"

    def settings(self, cfg: DictConfig, like: str) -> dict[str, Any]:
        """Dotted keys with their values, interpolations unresolved; groups with their choice.

        Hydra's own if `like` is one of them, else the command's.
        """
        tree: Any = OmegaConf.to_container(cfg, resolve=False)
        settings = dict(leaves(tree)) | groups(cfg)
        hydra = like.startswith("hydra")
        return {key: settings[key] for key in settings if key.startswith("hydra") == hydra}
