"""Every entry of a study finds its module, settings, claims, figures and presets."""

from importlib import import_module
from inspect import isabstract

import pytest
from conftest import CHECKOUT, composed

from sascli import config, figures
from sascli.commands import COMMANDS, schema_of
from sascli.commands.table import function
from sascli.studies.base import Reproduction
from sascli.studies.registry import STUDIES


@pytest.mark.parametrize("name", STUDIES)
def test_entry_finds_the_parts_of_its_study(name: str) -> None:
    command = f"reproduce {name}"
    run = function(COMMANDS[command].work)
    study = run.__self__
    assert issubclass(study, Reproduction) and not isabstract(study) and study.name == name
    assert issubclass(schema_of(command), config.Reproduce)
    assert import_module(f"sascli.claims.{name}").CLAIMS
    assert set(STUDIES[name].figures) <= set(figures.pictures())
    assert set(STUDIES[name].later) <= set(STUDIES[name].figures)
    assert (CHECKOUT / "conf" / "reproduce" / f"{name}.yaml").exists()
    folder = CHECKOUT / "conf" / "reproduce" / name / "preset"
    presets = {path.stem for path in folder.glob("*.yaml")}
    assert presets == {"smoke", "quick", "paper"}


@pytest.mark.parametrize("preset", ["smoke", "quick", "paper"])
@pytest.mark.parametrize("name", STUDIES)
def test_every_preset_says_what_is_less_than_published(name: str, preset: str) -> None:
    assert composed(f"reproduce {name}", f"preset={preset}").preset.cut
