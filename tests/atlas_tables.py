"""Small made-up tables that look like those of `sas reproduce atlas`, for tests."""

from functools import cache

import pandas as pd
import tables as maker

from sascli.claims import atlas
from sascli.figures.atlas.settings import FALLING, STEPS

LOST = {"lr=0.01": (), "lr=0.1": (5,), "lr=0.3": (5, 7), "lr=1": (5, 6, 7)}
"""The claims that do not hold at a setting of the learning rate."""


def tables(seeds: int = 3) -> maker.Tables:
    """Tables of the credit study, of settings of the learning rate and of both questions.

    They are copies, which a test may change.
    """
    return {name: table.copy() for name, table in _tables(seeds).items()}


@cache
def _tables(seeds: int) -> maker.Tables:
    """The tables themselves, made once."""
    made = maker.tables(seeds)
    name, rate = atlas.PUBLISHED, "learning rate"
    rows = [atlas.judged(name, name, made, maker.REFERENCE)]
    for setting, claims in LOST.items():
        one = {key: point(table) for key, table in maker.tables(seeds).items()}
        rows.append(atlas.judged(rate, setting, maker.violate(one, *claims), maker.REFERENCE))
    rows.append(atlas.skipped("data", "model=cifar10", "there are no images in data"))
    every, parts = made["datasize_layers"], []
    for depth, factor in ((4, STEPS), (5, f"{STEPS}, L = 5")):
        for size, table in every[every["depth"] == depth].groupby("train_size"):
            parts.append((factor, f"train_size={size}", table))
    deep = every[every["depth"] == 7]
    settings = ("depth=7", "depth=7 optim.halve_every=30", "depth=7 lr=0.03")
    parts += [(FALLING, setting, deep) for setting in settings]
    layers = [table.assign(factor=factor, setting=setting) for factor, setting, table in parts]
    first = ["factor", "setting", *every]
    return made | {"atlas": pd.concat(rows), "atlas_layers": pd.concat(layers)[first]}


def point(table: pd.DataFrame) -> pd.DataFrame:
    """The rows at the published depth and T."""
    return table.query("depth == 4 and train_size == 10_000")
