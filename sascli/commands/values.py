"""Settings and their values, as the shell completes them."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from omegaconf import OmegaConf

from sascli.commands.table import schema_of
from sascli.config.composition import Composer, conf_directory
from sascli.config.settings import Bounds
from sascli.studies.registry import STUDIES

RUNS = ("run", "baseline", "resume")
"""The settings that name a run of `sas train`."""


def completions(command: str, word: str, before: Sequence[str] = ()) -> list[str]:
    """Keys of settings or, after `key=`, its values; `before` are the words before this one."""
    name, schema = command.replace(" ", "/"), schema_of(command)
    composer = Composer(name, schema, conf_directory(name))
    cfg = composer.compose([line for line in before if line.startswith("outputs=")])
    defaults = composer.settings(cfg, like=word)
    key, equals, _ = word.partition("=")
    if not equals:
        return [f"{name}=" for name in defaults]
    values = [*composer.options(key), *choices(schema, key)]
    if isinstance(defaults.get(key), bool):
        values += ["true", "false"]
    if key == "device":
        values += ["auto", "cpu", "cuda", *(f"cuda:{path.name[6:]}" for path in gpus())]
    if key == "figure":
        values += ["all", *(name for study in STUDIES.values() for name in study.figures)]
    if key in RUNS and key in defaults:
        values += ["latest"] if key == "run" else []
        values += trained(Path(OmegaConf.select(cfg, "outputs")) / "train")
    return [f"{key}={value}" for value in values if key in defaults or composer.options(key)]


def choices(schema: Any, key: str) -> Sequence[str]:
    """The valid values of a setting that has a list of them, else none."""
    first, _, rest = key.partition(".")
    for field in fields(schema):
        if field.name == first:
            kind = get_type_hints(schema)[first]
            bounds: Bounds = field.metadata.get("bounds", Bounds())
            return (
                bounds.choices if not rest else choices(kind, rest) if is_dataclass(kind) else ()
            )
    return ()


def trained(folder: Path) -> list[str]:
    """Names of the runs in a folder, each alone and with its versions."""
    names: list[str] = []
    for path in sorted(folder.glob("*/v*/manifest.json")):
        name = path.parts[-3]
        names += [name] if name not in names else []
        names.append(f"{name}/{path.parts[-2]}")
    return names


def gpus() -> list[Path]:
    """The devices of the NVIDIA GPUs of this machine; found without torch, which takes seconds."""
    return sorted(Path("/dev").glob("nvidia[0-9]*"))
