"""From a command line to its configuration, and from Hydra's errors to one plain sentence."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException
from omegaconf.errors import ValidationError as WrongType
from yaml import YAMLError  # type: ignore[import-untyped]

from sascli.commands import COMMANDS, schema_of
from sascli.commands.values import RUNS
from sascli.config import check, check_used, composition, typed, unknown
from sascli.config.composition import check_new, conf_directory, groups, without_hydra
from sascli.config.describe import kind_of, stored, wrong_type
from sascli.config.overrides import as_typed, quoted, read, typed_values
from sascli.config.paths import is_folder
from sascli.errors import UserError

PLUGINS = ("submitit_slurm", "joblib")  # launchers of other packages, which ours are made from


def configuration(command: str, words: Sequence[str]) -> Any:
    """The checked settings that a command line gives, without running the command."""
    composer = Composer(command)
    overrides = composer.overrides(words)
    lines = [str(override.input_line) for override in overrides]
    return validated(command, composer.compose(lines), overrides)


def validated(command: str, cfg: DictConfig, overrides: Sequence[Override] = ()) -> Any:
    """The settings of a command as its dataclass; they and the overrides are checked."""
    settings: Any = typed(without_hydra(cfg), schema_of(command))
    check(settings)
    check_used([settings], typed_values(overrides))
    return settings


def values(override: Override) -> list[str]:
    """The lines of a sweep, or the line itself. Raises UserError for a sweep without a list."""
    if not override.is_sweep_override():
        return [str(override.input_line)]
    if not override.is_discrete_sweep():
        raise UserError(f"{as_typed(override)} has no list of values: write each value")
    return [f"{override.get_key_element()}={v}" for v in override.sweep_string_iterator()]


class Composer(composition.Composer):
    """Composes the settings of one command; its errors are UserErrors."""

    def __init__(self, command: str, folder: str | None = None, conf: Path | None = None) -> None:
        """`folder` holds more YAML files (--config-dir); `conf` replaces ours.

        Raises UserError where there is no such folder, or one of its files has the name of ours.
        """
        if folder is not None and not is_folder(Path(folder)):
            raise UserError(f"--config-dir: there is no folder {folder}")
        self.command, name = command, command.replace(" ", "/")
        more = [Path(folder)] if folder else []
        conf = conf or conf_directory(name)
        for ours in (conf, conf / name):
            check_new(more, ours)
        super().__init__(name, schema_of(command), conf, more)

    def compose(self, lines: Sequence[str] = ()) -> DictConfig:
        """As in the base class. Raises UserError."""
        try:
            return super().compose(lines)
        except (HydraException, OmegaConfBaseException, YAMLError, ValueError) as error:
            raise self.explained(error, lines) from error

    def overrides(self, words: Sequence[str]) -> list[Override]:
        """The last override of each key, as Hydra takes it; warns about those it replaces.

        A group can have one for each package: optim=sgd and optim@task.optim=adamw.
        """
        last: dict[tuple[str, str | None], Override] = {}
        for word in words:
            override = self._override(read(word))
            key = override.key_or_group, override.package
            if before := last.pop(key, None):
                print(f"warning: {word} replaces {as_typed(before)}", file=sys.stderr)
            last[key] = override
        return list(last.values())

    def _override(self, override: Override) -> Override:
        """An override of the schema's key; '+' cannot add a key. Raises UserError."""
        key, value = override.key_or_group, override.value()
        if override.is_delete():
            raise UserError(f"{override.input_line}: a setting cannot be removed, only set")
        if override.is_hydra_override():
            return override
        kind = kind_of(schema_of(self.command), stored(key, value))
        if type(value) in (int, float) and (kind in (str, str | None) or key in RUNS):
            text = quoted(str(override.input_line).partition("=")[2])  # of 2024_1, not 20241
            return self._override(read(f"{key}={text}"))
        if self.files(key) and isinstance(value, bool | int | float):
            raise unknown(str(value), self.options(key), key)
        if self.files(key) and isinstance(value, list):
            names = ",".join(map(str, value))
            raise UserError(f"{key} has one value: write {key}={names} with --multirun for each")
        key = stored(key, value, COMMANDS[self.command].plain)
        changed = replace(override, type=OverrideType.CHANGE, key_or_group=key)
        changed.input_line = f"{changed.get_key_element()}={override.get_value_string()}"
        return changed

    def explained(self, error: Exception, lines: Sequence[str] = ()) -> UserError:
        """What is wrong, in one sentence without Hydra's advice to write '+'."""
        cause = error.__cause__
        if isinstance(error, MissingConfigException) and error.missing_cfg_file:
            group, _, option = error.missing_cfg_file.rpartition("/")
            if option in PLUGINS:
                return UserError("this launcher comes with pip install 'sas-credit[slurm]'")
            return unknown(option, self.options(group), group)
        if isinstance(cause, ConfigAttributeError | ConfigKeyError):
            key = str(cause.full_key)
            chosen = [line for line in lines if self.files(line.partition("=")[0])]
            names = self.settings(self.compose(chosen), key)
            deeper = [name for name in names if name.endswith(f".{key}")]
            return unknown(key, deeper or names, "setting")
        rule = next((line for line in lines if line.startswith("rule=")), None)
        if rule and isinstance(error.__context__, ConfigKeyError):  # in a file for another rule
            fitting = groups(self.compose([line for line in lines if line != rule]))["rule"]
            return UserError(f"the study is of rule={fitting}, not of {rule}")
        if isinstance(cause, WrongType) and (text := wrong_type(cause, schema_of(self.command))):
            return UserError(f"{error}: {text}".removeprefix("Error merging override "))
        text = f"{error}: {cause}" if cause else str(error)
        if text.startswith("In 'experiment/"):
            text += f"; `sas {self.command} --help` lists its experiments"
        return UserError(" ".join(text.split("\nTo append")[0].split()))
