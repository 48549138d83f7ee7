"""`sas train resume=RUN`: the settings of the run, and what was typed beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sascli import runs
from sascli.config import Train, check, check_used, typed
from sascli.config.composition import Composer, without_hydra
from sascli.training.directories import changes, different, settings_of

PLACES = ("device", "threads", "outputs")
"""Settings that may differ from those of the run, as may `data.root`."""


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
    after = typed(without_hydra(composer.compose([*chosen, *lines])), Train)
    keys = {f"{key}.name" if key in groups else key for key in words}
    if "experiment" in words:
        keys |= changes(typed(without_hydra(composer.compose(chosen)), Train), after).keys()
    if differing := {key: text for key, text in changes(before, after).items() if key in keys}:
        raise different(directory, differing)
    config = replace(before, **{key: getattr(after, key) for key in PLACES if key in words})
    config.resume = str(directory)
    config.epochs = after.epochs if "epochs" in keys else before.epochs
    if "data.root" in words:
        config.data = replace(config.data, root=after.data.root)
    check(config)
    check_used([config], words)
    return config
