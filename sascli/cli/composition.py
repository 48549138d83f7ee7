"""From a command line to its configuration, and from Hydra's errors to one plain sentence."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints

from hydra import compose, initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException
from omegaconf.errors import ValidationError as WrongType
from yaml import YAMLError  # type: ignore[import-untyped]

from sascli import config
from sascli.cli.words import quoted, read, rewritten
from sascli.commands import COMMANDS, schema_name
from sascli.config import check, typed, unknown
from sascli.config.rule import rule_names, rule_schema
from sascli.errors import UserError
from sascli.jobs import CONF

VERSION_BASE = "1.3"
ADJUST = "adjust"
"""The group of what a preset changes for a model: chosen by these two, never by the user."""
PLUGINS = ("submitit_slurm", "joblib")  # launchers of other packages, which ours are made from
TYPES: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    list[int]: "a list of whole numbers",
    list[float]: "a list of numbers",
    list[str]: "a list of texts",
    type(None): "null",
}


def config_name(command: str) -> str:
    """The primary configuration of a command: `reproduce credit` has reproduce/credit.yaml."""
    return command.replace(" ", "/")


def conf_directory(command: str) -> Path:
    """The folder of the YAML files: the one in a wheel, else the checkout's."""
    package = Path(__file__).parents[1]
    for folder in (package / CONF, package.parent / CONF):
        if (folder / f"{config_name(command)}.yaml").is_file():
            return folder
    raise UserError(f"conf/{config_name(command)}.yaml is missing: install sas again")


def schema_of(command: str) -> type:
    """The dataclass of the command's settings."""
    schema: type = getattr(config, schema_name(command))
    return schema


def configuration(command: str, words: Sequence[str]) -> Any:
    """The checked settings that a command line gives, without running the command."""
    composer = Composer(command)
    lines = [str(composer.resolved(read(word)).input_line) for word in words]
    return validated(command, composer.compose(lines))


def validated(command: str, cfg: DictConfig) -> Any:
    """The settings of a command as its dataclass, within their bounds. Raises UserError."""
    settings: Any = typed(without_hydra(cfg), schema_of(command))
    check(settings)
    return settings


def without_hydra(cfg: DictConfig) -> DictConfig:
    """The settings of the command alone."""
    with open_dict(cfg):
        cfg.pop("hydra", None)
    return cfg


def describe_type(annotation: Any) -> str:
    """A type in words, empty where every value is allowed."""
    if dataclasses.is_dataclass(annotation):
        return f"a map of {', '.join(field.name for field in dataclasses.fields(annotation))}"
    parts = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    return " or ".join(TYPES[part] for part in parts if part in TYPES)


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


def same_side(name: str, key: str) -> bool:
    """Whether both or neither are Hydra's own settings."""
    return name.startswith("hydra") == key.startswith("hydra")


class Composer:
    """Composes the settings of one command; its errors are UserErrors."""

    def __init__(self, command: str, folder: str | None = None, conf: Path | None = None) -> None:
        """`folder` holds more YAML files (--config-dir); `conf` replaces ours."""
        self.command = command
        self.conf = conf or conf_directory(command)
        self.folders = [self.conf]
        self._search: list[str] = []
        if folder is not None:
            if not Path(folder).is_dir():
                raise UserError(f"--config-dir: there is no folder {folder}")
            self.folders.append(Path(folder).absolute())
            self._search = [f"hydra.searchpath=[{quoted(f'file://{self.folders[-1]}')}]"]
        name = f"{command.replace(' ', '-')}_schema"
        store = ConfigStore.instance()
        store.store(name=name, node=schema_of(command))
        for rule in rule_names():
            store.store(group="rule", name=f"{rule}_schema", node=rule_schema(rule)(rule))

    @contextmanager
    def _opened(self) -> Iterator[ConfigLoader]:
        """Hydra with our folder of YAML files."""
        with initialize_config_dir(str(self.conf), version_base=VERSION_BASE):
            yield GlobalHydra.instance().config_loader()

    def compose(self, overrides: Sequence[str] = ()) -> DictConfig:
        """The configuration of one run, Hydra's own node included."""
        lines = [*self._search, *overrides]
        try:
            with self._opened():
                return compose(config_name(self.command), lines, return_hydra_config=True)
        except (HydraException, OmegaConfBaseException, YAMLError, ValueError) as error:
            raise self.explained(error, overrides) from error

    def options(self, group: str) -> list[str]:
        """The choices of a group; empty if it is none."""
        with self._opened() as loader:
            listed: list[str] = loader.get_group_options(self.place(group))
        paths = [path for folder in self.folders[1:] for path in folder.glob(f"{group}/*.yaml")]
        names = {*listed, *(path.stem for path in paths)}
        return sorted(name for name in names if not name.endswith("_schema"))

    def is_group(self, key: str) -> bool:
        """Whether a key chooses a YAML file of ours."""
        return any((folder / key.partition("@")[0]).is_dir() for folder in self.folders)

    def place(self, group: str) -> str:
        """The folder of a group's files: GROUP/STUDY where the study has its own.

        That of optim@task.optim is optim's.
        """
        group = group.partition("@")[0]
        of_study = f"{group}/{self.command.split()[-1]}"
        return of_study if (self.conf / of_study).is_dir() else group

    def placed(self, group: str, choices: str) -> str:
        """Choices of a group as Hydra finds them: those of a study with its folder."""
        folder = self.place(group).removeprefix(group.partition("@")[0]).lstrip("/")
        if not folder:
            return choices
        return ",".join(f"{folder}/{choice}" for choice in choices.split(","))

    def resolved(self, override: Override) -> Override:
        """An override as Hydra takes it: choices with their folder, `lr` as `lr.default`.

        Raises UserError for a number as the choice of a group.
        """
        key = override.key_or_group
        if self.is_group(key):
            if isinstance(override.value(), bool | int | float):
                raise self.unknown_option(key, override.value())
            text = override.get_value_string()
            if self.placed(key, text) != text:
                override = read(f"{override.get_key_element()}={self.placed(key, text)}")
        return rewritten(override, COMMANDS[self.command].plain)

    def settings(self, cfg: DictConfig) -> dict[str, Any]:
        """Dotted keys with their values, interpolations unresolved; groups with their choice."""
        tree = OmegaConf.to_container(cfg, resolve=False)
        assert isinstance(tree, dict)
        return dict(leaves({str(key): value for key, value in tree.items()})) | self.groups(cfg)

    def groups(self, cfg: DictConfig) -> dict[str, Any]:
        """The groups of this command with the option chosen."""
        chosen = reversed(cfg.hydra.runtime.choices.items())  # in the order of the YAML
        study = f"{self.command.split()[-1]}/"
        return {
            group: option and option.removeprefix(study)
            for group, option in chosen
            if group != ADJUST
        }

    def unknown_option(self, group: str, option: Any) -> UserError:
        """The error for a choice that a group does not have."""
        return unknown(str(option), self.options(group), group)

    def explained(self, error: Exception, overrides: Sequence[str] = ()) -> UserError:
        """What is wrong, in one sentence without Hydra's advice to write '+'."""
        cause = error.__cause__
        if isinstance(error, MissingConfigException) and error.missing_cfg_file:
            group, _, option = error.missing_cfg_file.rpartition("/")
            if option in PLUGINS:
                return UserError("this launcher comes with pip install 'sas-credit[slurm]'")
            return self.unknown_option(group, option)
        if isinstance(cause, ConfigAttributeError | ConfigKeyError):
            key = str(cause.full_key)
            chosen = [line for line in overrides if self.is_group(line.partition("=")[0])]
            names = [name for name in self.settings(self.compose(chosen)) if same_side(name, key)]
            deeper = [name for name in names if name.endswith(f".{key}")]
            return unknown(key, deeper or names, "setting")
        if isinstance(cause, WrongType):
            key = str(cause.full_key).split("[")[0]
            schema, name = cause.object_type, key.rpartition(".")[2]
            if not dataclasses.is_dataclass(schema):  # of a list's element
                schema, name = schema_of(self.command), key
            if expected := describe_type(annotation_of(schema, name)):
                line = str(error).removeprefix("Error merging override ")
                return UserError(f"{line}: {key} must be {expected}")
        text = f"{error}: {cause}" if cause else str(error)
        if text.startswith("In 'experiment/"):
            text += f"; `sas {self.command} --help` shows each experiment's command"
        return UserError(" ".join(text.split("\nTo append")[0].split()))
