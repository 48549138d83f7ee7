"""`sas train resume=RUN`: the settings of the run, and what was typed beside them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from sascli import runs
from sascli.config import Train, check, check_used, plain, typed
from sascli.config.composition import Composer, without_hydra
from sascli.config.settings import UNHASHED
from sascli.training.directories import changes, different, settings_of

FREE = {*UNHASHED, "data.root"} - {"resume"}
"""Settings that may differ from those of the run: no numbers depend on them."""


def resume(composer: Composer, lines: Sequence[str], words: Mapping[str, Any]) -> Train:
    """The settings with which the run that `resume` names continues.

    `words` are the typed values by key, `lines` the same as overrides. Raises UserError where one
    differs from the run's, except for `epochs` that grow.
    """
    outputs = Path(words.get("outputs") or composer.compose().outputs)
    directory = runs.locate(words["resume"], outputs, unfinished=True)
    before = settings_of(directory, Train)
    groups = {"model": before.model.name, "rule": before.rule.name, "optim": before.optim.name}
    chosen = [
        f"{group}={option}"
        for group, option in groups.items()
        if not {group, "experiment"} & words.keys() and option in composer.files(group)
    ]
    tree = without_hydra(composer.compose([*chosen, *lines]))
    after = typed(tree, Train)
    keys = {f"{key}.name" if key in groups else key for key in words}
    if "experiment" in words:
        keys |= changes(typed(without_hydra(composer.compose(chosen)), Train), after).keys()
    if differing := {key: text for key, text in changes(before, after).items() if key in keys}:
        raise different(directory, differing)
    settings = OmegaConf.create(plain(before) | {"resume": str(directory)})
    for key in words:
        if key == "epochs" or FREE & {key, key.partition(".")[0]}:
            OmegaConf.update(settings, key, OmegaConf.select(tree, key))
    config = typed(settings, Train)
    check(config)
    check_used([config], words)
    return config
