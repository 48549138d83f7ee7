"""Small made-up tables that look like a finished `sas reproduce credit` directory, for tests."""

import json
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

Tables = dict[str, pd.DataFrame]

REFERENCE = {"depth": 4, "train_size": 10_000, "deep": 5}
SIZES = (1_000, 2_000, 5_000, 10_000, 20_000, 40_000, 60_000)
DEEP_SIZES = (10_000, 20_000, 30_000, 40_000)
BINS = {"pi": (0.0, 1.0), "m": (-2.0, 2.0), "xi": (0.0, 0.2), "entropy": (-4.0, 2.0)}
EPOCHS, SAMPLES = 20, 4


def tables(seeds: int = 3) -> Tables:
    """Tables on which every claim of the paper holds, without 15, which needs two data sets.

    They are copies, which a test may change.
    """
    return {name: table.copy() for name, table in _tables(seeds).items()}


@cache
def _tables(seeds: int) -> Tables:
    """The tables themselves, made once."""
    noise = np.random.default_rng(0)
    points = [(4, size) for size in SIZES] + [(5, size) for size in DEEP_SIZES]
    points += [(6, 10_000), (7, 10_000)]
    records: dict[str, list[dict[str, object]]] = {
        name: [] for name in ("history", "datasize", "datasize_layers", "perturbation")
    }
    for (depth, size), seed in product(points, range(seeds)):
        key = {"rule": "gbp", "depth": depth, "train_size": size, "seed": seed}
        bump = 1 + 0.03 * noise.normal()
        records["datasize"].append(_errors(key, bump))
        records["datasize_layers"] += _layers(key, bump)
    for seed in range(seeds):
        key = {"depth": 4, "train_size": 10_000, "replica": 0, "seed": seed}
        bump = 1 + 0.03 * noise.normal()
        records["history"] += _history(key | {"rule": "gbp"}, 0.953 * (1 + 0.1 * (bump - 1)))
        records["history"] += _history(key | {"rule": "bp"}, 0.949 * (1 + 0.08 * (bump - 1)))
        records["perturbation"] += _perturbation(key | {"rule": "gbp"}, bump, noise)
    made = {name: pd.DataFrame(rows) for name, rows in records.items()}
    deep = made["datasize_layers"].query("depth == 5 and train_size == 10_000")
    widths = {1: 784 * 100, 4: 100 * 10}
    n_in = deep["layer"].map(widths).fillna(100 * 100) / 100
    made["layers"] = deep.assign(n_out=100, n_in=n_in)
    made["histograms"] = pd.concat(
        histogram(key_values("gbp", seed), layer, parameter, parameters(layer, noise)[parameter])
        for seed, layer, parameter in product(range(seeds), (1, 2, 3), BINS)
    )
    return made


def key_values(rule: str, seed: int) -> dict[str, object]:
    """The key columns of one seed at the reference point."""
    return {"rule": rule, "depth": 4, "train_size": 10_000, "replica": 0, "seed": seed}


def parameters(layer: int, noise: np.random.Generator, n: int = 4_000) -> dict[str, np.ndarray]:
    """pi (U-shaped), m (peaked, broad), xi (L-shaped) and entropies of n connections."""
    kind = noise.choice(3, size=n, p=(0.3, 0.3, 0.4))
    pi = np.choose(kind, (np.zeros(n), np.ones(n), noise.beta(0.6, 0.6, n)))
    xi = np.where(noise.random(n) < 0.3, 0, noise.exponential(0.01 * layer, n))
    entropy = np.where(kind < 2, 0, noise.normal(-1, 0.7, n))
    return {"pi": pi, "m": noise.laplace(0, 0.15 * layer, n), "xi": xi, "entropy": entropy}


def histogram(
    key: dict[str, object], layer: int, parameter: str, values: np.ndarray, bins: int = 60
) -> pd.DataFrame:
    """Rows of histograms.csv for one layer's values."""
    low, high = BINS[parameter]
    count, edges = np.histogram(np.clip(values, low, high), bins, (low, high))
    content = {"bin_left": edges[:-1], "bin_right": edges[1:], "count": count,
               "density": count / count.sum() / np.diff(edges)}  # fmt: skip
    return pd.DataFrame({**key, "layer": layer, "parameter": parameter, **content})


def with_histograms(
    old: Tables, parameter: str, values: Callable[[np.random.Generator], np.ndarray]
) -> None:
    """Replace a parameter's histograms in every layer by those of `values`."""
    noise = np.random.default_rng(1)
    table = old["histograms"]
    new = [
        histogram(key_values("gbp", seed), layer, parameter, values(noise))
        for seed, layer in product(table["seed"].unique(), table["layer"].unique())
    ]
    old["histograms"] = pd.concat([table[table["parameter"] != parameter], *new])


def violations() -> list[tuple[int, str, Callable[[Tables], None]]]:
    """Claim, name and a change to conforming tables after which the claim does not hold."""

    def column(
        table: str, name: str, value: Callable[[pd.DataFrame], pd.Series | float]
    ) -> Callable[[Tables], None]:
        def change(made: Tables) -> None:
            made[table][name] = value(made[table])

        return change

    def drawn(
        parameter: str, values: Callable[[np.random.Generator], np.ndarray]
    ) -> Callable[[Tables], None]:
        return lambda made: with_histograms(made, parameter, values)

    def errors(kind: str, rise: float) -> Callable[[Tables], None]:
        def change(made: Tables) -> None:
            table = made["perturbation"]
            table.loc[(table["kind"] == kind) & (table["fraction"] == 1), "test_error"] += rise

        return change

    def worse_gbp(table: pd.DataFrame) -> pd.Series:
        return table["test_accuracy"] - 0.02 * (table["rule"] == "gbp")

    def uncertain(made: Tables) -> None:
        table = made["histograms"]
        between = (table["parameter"] == "pi") & table["bin_left"].between(0.1, 0.8)
        table["count"] = table["count"].where(~between | (table["layer"] != 2), 1_000)

    def dip(table: pd.DataFrame) -> pd.Series:
        return table["test_error"] + 0.02 * (table["train_size"] == 20_000)

    return [
        (1, "gBP worse", column("history", "test_accuracy", worse_gbp)),
        (2, "rises", column("datasize", "test_error", lambda t: 1e-6 * t["train_size"])),
        (2, "rises in between", column("datasize", "test_error", dip)),
        (3, "wide", column("datasize", "sampled_error_std", lambda t: 0.03)),
        (3, "biased", column("datasize", "sampled_error_mean", lambda t: t["test_error"] + 0.02)),
        (4, "grows", column("datasize_layers", "sparsity", lambda t: 0.1 * t["layer"])),
        (4, "flat", column("datasize_layers", "sparsity", lambda t: 0.5)),
        (4, "grows at one depth", column(
            "datasize_layers", "sparsity",
            lambda t: t["sparsity"].where(t["depth"] != 7, 0.1 * t["layer"]))),
        (4, "grows at one T", column(
            "datasize_layers", "sparsity",
            lambda t: t["sparsity"].where(t["train_size"] != 40_000, 0.1 * t["layer"]))),
        (5, "hump", drawn("pi", lambda noise: noise.beta(5, 5, 4_000))),
        (5, "one end only", drawn("pi", lambda noise: noise.beta(0.3, 3, 4_000))),
        (6, "two peaks", drawn("m", lambda noise: noise.choice([-1, 1], 4_000)
                               + noise.normal(0, 0.1, 4_000))),
        (6, "needle", drawn("m", lambda noise: np.where(noise.random(4_000) < 0.02, 1.9, 0.0))),
        (7, "flat", drawn("xi", lambda noise: noise.uniform(0, 0.2, 4_000))),
        (7, "all zero", drawn("xi", lambda noise: np.zeros(4_000))),
        (8, "falls", column("datasize_layers", "variance_mean", lambda t: 1 / t["train_size"])),
        (8, "no residual", column(
            "datasize_layers", "variance_mean",
            lambda t: t["variance_mean"].where(t["train_size"] < 60_000, 0.0))),
        (9, "peak elsewhere", drawn("entropy", lambda noise: noise.normal(-1, 0.2, 4_000))),
        (10, "grows", column("datasize_layers", "entropy", lambda t: 0.1 * t["layer"])),
        (11, "grows with T", column("datasize_layers", "entropy",
                                    lambda t: 1e-5 * t["train_size"])),
        (11, "to zero", column("datasize_layers", "entropy",
                               lambda t: (1 - t["train_size"] / 40_000) ** 2)),
        (11, "noise around zero", column(
            "datasize_layers", "entropy",
            lambda t: (1 - t["train_size"] / 40_000) ** 2 + 0.01 * (-1.0) ** t["seed"])),
        (11, "no saturation", column("datasize_layers", "entropy",
                                     lambda t: 1 - t["train_size"] / 60_000)),
        (12, "VIPs harmless", errors("vip_off", -0.06)),
        (12, "UIPs below dilution", errors("random_off", -0.01)),
        (12, "UIPs harmful", errors("uip_on", 0.008)),
        (13, "as many in layers of equal size", column("layers", "n_in", lambda t: 100 / t[
            "vip_fraction"])),
        (13, "more in a larger layer", column(
            "layers", "n_in", lambda t: t["n_in"] * (1 + 9 * (t["layer"] == 3)))),
        (14, "deeper worse", column("perturbation", "layer", lambda t: 4 - t["layer"])),
        (16, "spread out", drawn("pi", lambda noise: noise.uniform(0, 1, 4_000))),
        (16, "in one layer", uncertain),
        (17, "grows", column("datasize_layers", "vip_fraction", lambda t: 0.05 * t["layer"])),
        (17, "rises in between", column(
            "datasize_layers", "vip_fraction",
            lambda t: t["vip_fraction"] + 0.1 * (t["layer"] == 3))),
    ]  # fmt: skip


def violate(made: Tables, *claims: int) -> Tables:
    """Change tables so that `claims` do not hold."""
    for claim in claims:
        next(change for number, _, change in violations() if number == claim)(made)
    return made


def directory(path: Path, made: Tables, **manifest: object) -> Path:
    """Write tables and a manifest as `sas reproduce credit` leaves them."""
    path.mkdir(parents=True, exist_ok=True)
    for name, table in made.items():
        table.to_csv(path / f"{name}.csv", index=False)
    about = {"format": 1, "kind": "reproduce", "study": "credit", "model": "mnist",
             "preset": "quick", "reference": REFERENCE,
             "command": "sas reproduce credit model=mnist preset=quick", "git_commit": "0123abc",
             "git_dirty": False, "packages": {"torch": "2.15.0", "numpy": "2.4.6"},
             "data": {"name": "mnist", "checksum": "sha256:abc"}, "device": "cpu",
             "start": "2026-11-21T00:00:00+0000"}  # fmt: skip
    (path / "manifest.json").write_text(json.dumps(about | manifest))
    return path


def _errors(key: dict[str, object], bump: float) -> dict[str, object]:
    error = bump * (0.02 + 0.9 / np.sqrt(float(str(key["train_size"]))))
    return key | {"test_error": error, "sampled_error_mean": error + 0.001,
                  "sampled_error_std": 0.0015 * bump}  # fmt: skip


def _layers(key: dict[str, object], bump: float) -> Iterator[dict[str, object]]:
    depth, size = int(str(key["depth"])), float(str(key["train_size"]))
    more = 1 - 1_000 / size
    for layer in range(1, depth):
        place = (layer - 1) / (depth - 2)
        arch = np.sin(np.pi * (0.15 + 0.7 * place))
        hump = np.exp(-(np.log(size / 8_000) ** 2))
        yield key | {
            "layer": layer,
            "sparsity": 0.6 * arch * bump,
            "xi_mean": 0.02 * bump,
            "variance_mean": (0.004 + 0.001 * layer) * (1 + hump) * bump,
            "entropy": (0.2 + 0.4 * arch) * (1.4 - 0.6 * more) * bump,
            "vip_fraction": 0.2 * (1 - 0.8 * place) * bump,
            "uip_fraction": 0.1 * arch * bump,
        }


def _history(key: dict[str, object], final: float) -> Iterator[dict[str, object]]:
    for epoch in range(1, EPOCHS + 1):
        accuracy = final - 0.4 * np.exp(-epoch / 2)
        yield key | {"epoch": epoch, "train_loss": 1 / epoch, "test_accuracy": accuracy,
                     "test_accuracy_mean": accuracy, "seconds": 0.1}  # fmt: skip


def _perturbation(
    key: dict[str, object], bump: float, noise: np.random.Generator
) -> Iterator[dict[str, object]]:
    rise = {"vip_off": 0.06, "random_off": 0.01, "other_off": 0.002, "uip_on": 0.0005}
    for layer, kind, step in product((1, 2, 3), rise, range(11)):
        error = 0.048 * bump + rise[kind] / layer * (step / 10) ** 2
        for sample in range(SAMPLES):
            yield key | {"layer": layer, "kind": kind, "fraction": step / 10,
                         "n_weights": 500 * step, "sample": sample,
                         "test_error": error + 0.0003 * noise.normal()}  # fmt: skip
