"""From a command line to its configuration, and from Hydra's errors to one plain sentence."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException
from omegaconf.errors import ValidationError as WrongType
from yaml import YAMLError  # type: ignore[import-untyped]

from sascli import config
from sascli.commands import COMMANDS
from sascli.config import unknown
from sascli.errors import UserError

VERSION_BASE = "1.3"
CONF = "conf"
ADJUST = "adjust"
"""The group of what a preset changes for a model: chosen by these two, never by the user."""
PLUGINS = ("submitit_slurm", "joblib")  # launchers of other packages, which ours are made from
WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    list[int]: "a list of whole numbers",
    list[float]: "a list of numbers",
    list[str]: "a list of texts",
    type(None): "null",
}


def conf_directory(command: str) -> Path:
    """The folder of the YAML files: the one in a wheel, else the checkout's."""
    package = Path(__file__).parents[1]
    for folder in (package / CONF, package.parent / CONF):
        if (folder / f"{config_name(command)}.yaml").is_file():
            return folder
    raise UserError(f"conf/{config_name(command)}.yaml is missing: install sas again")


def config_name(command: str) -> str:
    """The primary configuration of a command: `reproduce credit` has reproduce/credit.yaml."""
    return command.replace(" ", "/")


def schema_of(command: str) -> type:
    """The dataclass of the command's settings."""
    schema: type = getattr(config, COMMANDS[command].schema)
    return schema


def kind(annotation: Any) -> str:
    """A type in words, empty where anything goes."""
    if dataclasses.is_dataclass(annotation):
        return f"a map of {', '.join(field.name for field in dataclasses.fields(annotation))}"
    parts = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    return " or ".join(WORDS[part] for part in parts if part in WORDS)


def annotation_of(schema: Any, key: str) -> Any:
    """The type of a dotted key, Any where the schema leaves it open."""
    for name in key.split("."):
        hints = get_type_hints(schema) if dataclasses.is_dataclass(schema) else {}
        schema = hints.get(name, Any)
    return schema


def written(key: str) -> str:
    """A key as the command line has it: `lr` is `lr.default` within, and `from` is `from_`."""
    return key.removesuffix(".default").removesuffix("_")


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys, as written, and values."""
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield written(f"{prefix}{key}"), value


class Composer:
    """Composes the settings of one command; its errors are UserErrors."""

    def __init__(self, command: str, extra: str | None = None, conf: Path | None = None) -> None:
        """`extra` is another folder of YAML files, Hydra's --config-dir; `conf` replaces ours."""
        self.command = command
        self.conf = conf or conf_directory(command)
        self.folders = [self.conf]
        version.setbase(VERSION_BASE)
        for each in COMMANDS:
            name = f"{each.replace(' ', '-')}_schema"
            ConfigStore.instance().store(name=name, node=schema_of(each))
        path = create_config_search_path(str(self.conf))
        if extra:
            if not Path(extra).is_dir():
                raise UserError(f"--config-dir: there is no folder {extra}")
            self.folders.append(Path(extra).absolute())
            source = f"file://{self.folders[-1]}"
            path.prepend("command-line", source, SearchPathQuery(provider="schema"))
        self.loader = ConfigLoaderImpl(path)

    def compose(self, overrides: Sequence[str] = ()) -> DictConfig:
        """The configuration of one run, Hydra's own node included."""
        try:
            return self.loader.load_configuration(
                config_name(self.command), list(overrides), RunMode.RUN
            )
        except (HydraException, OmegaConfBaseException, YAMLError, ValueError) as error:
            raise self.mistake(error) from error

    def options(self, group: str) -> list[str]:
        """The choices of a group, the command's own where it has some; empty if it is none."""
        return list(self.loader.get_group_options(self.place(group)))

    def place(self, group: str) -> str:
        """The folder of a group's files: GROUP/STUDY where the study has its own.

        That of optim@task.optim is optim's.
        """
        group = group.partition("@")[0]
        own = f"{group}/{self.command.split()[-1]}"
        return own if self.loader.get_group_options(own) else group

    def placed(self, group: str, choices: str) -> str:
        """Choices as Hydra finds them: the command's own with their folder."""
        group = group.partition("@")[0]
        folder, known = self.place(group).removeprefix(f"{group}/"), self.options(group)
        if folder == group:
            return choices
        return ",".join(f"{folder}/{c}" if c in known else c for c in choices.split(","))

    def settings(self, cfg: DictConfig) -> dict[str, Any]:
        """Dotted keys with their values, interpolations unresolved; groups with their choice."""
        tree = OmegaConf.to_container(cfg, resolve=False)
        assert isinstance(tree, dict)
        return dict(leaves({str(key): value for key, value in tree.items()})) | self.groups(cfg)

    def groups(self, cfg: DictConfig) -> dict[str, Any]:
        """The groups of this command with the option chosen."""
        chosen = dict(reversed(cfg.hydra.runtime.choices.items()))  # in the order of the YAML
        chosen.pop(ADJUST, None)
        own = f"{self.command.split()[-1]}/"
        return {group: option and option.removeprefix(own) for group, option in chosen.items()}

    def unknown_option(self, group: str, option: Any) -> UserError:
        """The error for a choice that a group has not."""
        return unknown(str(option), self.options(group), group)

    def mistake(self, error: Exception) -> UserError:
        """What the user did wrong, in one sentence without Hydra's advice to write '+'."""
        cause = error.__cause__
        if isinstance(error, MissingConfigException) and error.missing_cfg_file:
            group, _, option = error.missing_cfg_file.rpartition("/")
            if option in PLUGINS:
                return UserError("this launcher comes with pip install 'sas-credit[slurm]'")
            return self.unknown_option(group, option)
        if isinstance(cause, ConfigAttributeError | ConfigKeyError):
            key = str(cause.full_key)
            own = [name for name in self.settings(self.compose()) if is_hydra(name, key)]
            deeper = [name for name in own if name.endswith(f".{key}")]
            return unknown(key, deeper or own, "setting")
        if isinstance(cause, WrongType):
            key = str(cause.full_key).split("[")[0]
            expected = kind(annotation_of(schema_of(self.command), key))
            if expected:
                line = str(error).removeprefix("Error merging override ")
                return UserError(f"{line}: {key} must be {expected}")
        said = f"{error}: {cause}" if cause else str(error)
        if said.startswith("In 'experiment/"):
            said += f"; `sas {self.command} --help` tells each experiment's command"
        return UserError(" ".join(said.split("\nTo append")[0].split()))


def is_hydra(name: str, key: str) -> bool:
    """Whether both or neither are Hydra's own settings."""
    return name.startswith("hydra") == key.startswith("hydra")
