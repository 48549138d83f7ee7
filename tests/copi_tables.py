"""Made-up tables of a study of COPI, and changes that break one claim each."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pandas as pd

Tables = dict[str, pd.DataFrame]
REFERENCE = {"depth": 4, "train_size": 10_000}
PUBLISHED = {"depth": 8, "width": 500, "train_size": 60_000}
FINAL = {
    "copi-bp": 0.97, "copi-fa": 0.9, "copi-local": 0.965, "bp-adam": 0.968, "bp-decor": 0.96,
    "copi-fa-best": 0.93, "bp-adam-best": 0.972, "gbp": 0.95,
}  # fmt: skip
GAINS = {
    ("copi", "copi-bp-gain10", 10.0, 1e-3): 0.9,
    ("copi", "copi-bp", 1000.0, 1e-3): 0.97,
    ("bp_decor", "bp-adam", 1000.0, 1e-4): 0.968,
    ("bp_decor", "bp-adam-lr1e-05", 1000.0, 1e-5): 0.9,
}
FACTORS = (0.1, 1.0, 10.0)
RATES = {
    "copi-bp": (0.9, 0.97, 0.2), "copi-fa": (0.9, 0.8, None), "bp-decor": (0.9, 0.96, None),
    "bp-plain": (0.8, None, None),
    "bp-adam": (0.97, 0.96, 0.5), "gbp": (0.7, 0.95, 0.3),
}  # fmt: skip
EPOCHS, LAYERS, SHAPE = 5, (1, 2, 3), (1, 4, 4)


def tables(seeds: int = 3) -> Tables:
    """Tables on which every claim holds."""
    noise = np.random.default_rng(0)
    history, rates, decorrelation, compression, arms, gains = [], [], [], [], [], []
    for seed in range(seeds):
        arms.append(arm("bp-plain", seed, diverged=1))
        for (rule, point, gain, lr), final in GAINS.items():
            key = {"rule": rule, "point": point, "gain": gain, "lr": lr, "seed": seed}
            for epoch in range(1, EPOCHS + 1):
                reached = final - 0.2 / epoch + 0.002 * noise.normal()
                gains.append(key | learnt(epoch, reached))
        for point, final in FINAL.items():
            rule = point.split("-")[0]
            key = {"rule": rule, "depth": 4, "train_size": 10_000, "point": point, "seed": seed}
            for epoch in range(1, EPOCHS + 1):
                reached = final + 0.002 * noise.normal() if epoch > 1 else 0.1
                history.append(key | learnt(epoch, reached))
            arms.append(arm(point, seed, accuracy=reached))
        for point, accuracies in RATES.items():
            for factor, accuracy in zip(FACTORS, accuracies, strict=True):
                value = np.nan if accuracy is None else accuracy + 0.002 * noise.normal()
                rates.append(
                    {"point": point, "factor": factor, "lr": 0.001 * factor, "seed": seed,
                     "diverged": 2 if accuracy is None else None, "validation_accuracy": value}
                )  # fmt: skip
        for epoch, layer in product(range(EPOCHS + 1), LAYERS):
            before = 0.4 - 0.02 * epoch + 0.01 * noise.random()
            after = before if epoch == 0 else before / (4 + layer)
            decorrelation.append(
                {"point": "copi-bp", "seed": seed, "epoch": epoch, "layer": layer,
                 "before": before, "after": after}
            )  # fmt: skip
        for part, k in product(("first", "last"), range(4)):
            accuracy = 0.97 - (0.03 if part == "first" else 0.002) * k + 0.001 * noise.normal()
            compression.append(
                {"seed": seed, "part": part, "k": k, "parameters": 3000 - 800 * k,
                 "test_accuracy": accuracy}
            )  # fmt: skip
    return {
        "history": pd.DataFrame(history),
        "arms": pd.DataFrame(arms),
        "gains": pd.DataFrame(gains),
        "rates": pd.DataFrame(rates),
        "decorrelation": pd.DataFrame(decorrelation),
        "compression": pd.DataFrame(compression),
        "linear": pd.DataFrame([{"train_size": 10_000, "test_accuracy": 0.92}]),
        "decorrelated": pd.concat(
            pixels(noise, kind=kind, image=image, label=image)
            for kind, image in product(("input", "decorrelated", "zca"), range(4))
        ),
        "features": pd.concat(pixels(noise, layer=2, unit=unit) for unit in range(10)),
    }


def learnt(epoch: int, accuracy: float) -> dict[str, float]:
    """The columns of one epoch."""
    return {"epoch": epoch, "train_loss": 1.01 - accuracy, "test_accuracy": accuracy}


def arm(
    point: str, seed: int, *, diverged: int | None = None, accuracy: float | None = None
) -> dict[str, object]:
    """A row of arms.csv."""
    rule = {"copi": "copi", "bp": "bp_decor", "gbp": "gbp"}[point.split("-")[0]]
    return {
        "rule": rule, "point": point, "gain": None if rule == "gbp" else 1000.0, "lr": 1e-3,
        "seed": seed, "diverged": diverged, "test_accuracy": accuracy,
    }  # fmt: skip


def lose(made: Tables, point: str, seed: int) -> None:
    """Turn a network into one that diverged: without rows in history.csv."""
    history, arms = made["history"], made["arms"]
    made["history"] = history[(history["point"] != point) | (history["seed"] != seed)]
    rows = (arms["point"] == point) & (arms["seed"] == seed)
    arms.loc[rows, ["diverged", "test_accuracy"]] = [2, None]


def pixels(noise: np.random.Generator, **key: object) -> pd.DataFrame:
    """The rows of one image."""
    channel, row, column = (index.ravel() for index in np.indices(SHAPE))
    place = {"channel": channel, "row": row, "column": column}
    return pd.DataFrame({**key, **place, "value": noise.normal(size=16)})


def violations() -> list[tuple[int, str, Callable[[Tables], None]]]:
    """Claim, name and a change to conforming tables after which the claim does not hold."""

    def accuracy(point: str, value: float, epoch: int = EPOCHS) -> Callable[[Tables], None]:
        def change(made: Tables) -> None:
            table = made["history"]
            chosen = (table["point"] == point) & (table["epoch"] == epoch)
            table.loc[chosen, "test_accuracy"] = value

        return change

    def rate(point: str, factor: float, value: float, *seeds: int) -> Callable[[Tables], None]:
        def change(made: Tables) -> None:
            table = made["rates"]
            chosen = (table["point"] == point) & (table["factor"] == factor)
            chosen &= table["seed"].isin(seeds or table["seed"])
            table.loc[chosen, "validation_accuracy"] = value

        return change

    def diverged(point: str, *seeds: int) -> Callable[[Tables], None]:
        def change(made: Tables) -> None:
            for seed in seeds:
                lose(made, point, seed)

        return change

    def correlated(made: Tables) -> None:
        table = made["decorrelation"]
        last = (table["layer"] == 2) & (table["epoch"] == EPOCHS)
        table.loc[last, "after"] = table.loc[last, "before"] + 0.01

    def grown(made: Tables) -> None:
        made["decorrelation"].loc[made["decorrelation"]["epoch"] == 0, "after"] = 0.001
        made["decorrelation"].loc[made["decorrelation"]["epoch"] == 0, "before"] = 0.001

    def lossy(made: Tables) -> None:
        table = made["compression"]
        table.loc[(table["part"] == "last") & (table["k"] == 2), "test_accuracy"] = 0.95

    return [
        (1, "two points worse", accuracy("copi-bp", 0.952)),
        (1, "worse than Adam at its published rate", accuracy("bp-adam", 0.99)),
        (1, "worse than Adam at its best rate", accuracy("bp-adam-best", 0.99)),
        (1, "diverged with a seed", diverged("copi-bp", 1)),
        (2, "COPI learns at small rates alone", rate("copi-bp", 1.0, 0.5)),
        (2, "plain BP learns at COPI's largest rate", rate("bp-plain", 1.0, 0.95)),
        (2, "plain BP learns there with two seeds of three", rate("bp-plain", 1.0, 0.8, 0, 2)),
        (3, "FA stays", accuracy("copi-fa-best", 0.2)),
        (3, "FA far below", accuracy("copi-fa-best", 0.7)),
        (3, "FA diverged with a seed", diverged("copi-fa-best", 2)),
        (3, "FA diverged", diverged("copi-fa-best", 0, 1, 2)),
        (4, "one layer is not decorrelated", correlated),
        (4, "less correlated at the start", grown),
        (5, "lossy", lossy),
        (6, "linear is better", accuracy("copi-bp", 0.91)),
        (6, "diverged with two seeds", diverged("copi-bp", 0, 2)),
    ]
