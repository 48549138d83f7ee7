"""The YAML files composed: their folders, groups, options and settings."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from sascli.config.describe import leaves
from sascli.config.rule import rule_files, rule_schema
from sascli.config.settings import check, plain, typed, unknown
from sascli.config.train import Train
from sascli.errors import UserError

VERSION_BASE = "1.3"
CONF = "conf"  # the folder of YAML files: in a wheel, in the checkout, copied into a multirun
ADJUST = "adjust"
"""The group of what a preset changes for a model: chosen by these two, never by the user."""


def conf_directory(name: str) -> Path:
    """The folder of the YAML files: the one in a wheel, else the checkout's."""
    package = Path(__file__).parents[1]
    for folder in (package / CONF, package.parent / CONF):
        if (folder / f"{name}.yaml").is_file():
            return folder
    raise UserError(f"conf/{name}.yaml is missing: install sas again")


def quoted(text: str) -> str:
    """A text that Hydra's grammar takes literally."""
    return str(QuotedString(text, Quote.single).with_quotes())


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
    return {group: option for group, option in chosen if group != ADJUST}


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
        """The configuration of one run with these overrides, Hydra's own node included."""
        lines = [*self.search, *lines]
        return self.loader.load_configuration(self.name, lines, RunMode.RUN, from_shell=False)

    def files(self, group: str) -> dict[str, Path]:
        """The YAML files of a group by option; empty for Hydra's groups and for other keys."""
        folders = [folder / group.partition("@")[0] for folder in self.folders]
        return {path.stem: path for folder in folders for path in sorted(folder.glob("*.yaml"))}

    def options(self, group: str) -> list[str]:
        """The choices of a group, those of Hydra's packages included; empty if it is none."""
        names = self.loader.get_group_options(
            group.partition("@")[0], config_name=self.name, overrides=self.search
        )
        return [name for name in names if not name.endswith("_schema")]

    def settings(self, cfg: DictConfig, like: str) -> dict[str, Any]:
        """Dotted keys with their values, interpolations unresolved; groups with their choice.

        Hydra's own if `like` is one of them, else the command's.
        """
        tree: Any = OmegaConf.to_container(cfg, resolve=False)
        settings = dict(leaves(tree)) | groups(cfg)
        hydra = like.startswith("hydra")
        return {key: settings[key] for key in settings if key.startswith("hydra") == hydra}
