"""Small made-up tables that look like a finished `sas reproduce temporal` directory, for tests."""

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
import pandas as pd
import tables as maker

from sascli.analysis.kernel import decay_table
from sascli.analysis.psychometric import sigmoids

REFERENCE = {"digits": "rnn_rows"}
MODELS = ("rnn_rows", "multisensory")
WAYS = ("field", "sampled", "redrawn")
MODALITIES = ("v", "a", "va")
FREQUENCIES = (9.0, 11.0, 11.5, 12.0, 12.5, 13.0, 13.5, 14.0, 16.0)
SLOPES = {"v": 1.5, "a": 1.6, "va": 3.0}
KINDS = ("choice", "modality", "mixed", "none")
NEURONS, SAMPLES = 12, 4

Change = Callable[[maker.Tables], None]


def tables(seeds: int = 3) -> maker.Tables:
    """Tables on which every claim of the study holds."""
    noise = np.random.default_rng(0)
    psychometric = pd.DataFrame(_choices(seeds, noise))
    kernel = pd.DataFrame(_kernels(seeds, noise))
    made = {
        "history": pd.DataFrame(_history(seeds, noise)),
        "histograms": pd.concat(
            maker.histogram(_key("multisensory", "gbp", seed), layer, name, values)
            for seed, layer in product(range(seeds), (1, 2, 3))
            for name, values in maker.parameters(layer, noise).items()
        ),
        "perturbation": pd.DataFrame(_perturbation(seeds, noise)),
        "redraw": pd.DataFrame(_redraw(seeds, noise)),
        "psychometric": psychometric,
        "sigmoids": sigmoids(psychometric),
        "kernel": kernel,
        "kernel_decay": decay_table(kernel),
        "lazy": pd.DataFrame(_lazy(seeds, noise)),
        "order_parameters": pd.DataFrame(_order_parameters(seeds, noise)),
    }
    return made | _neurons(seeds, noise) | _paths(seeds, noise)


def violations() -> list[tuple[int, str, Change]]:
    """Claim, name and a change to conforming tables after which the claim does not hold."""

    def change(
        table: str, column: str, value: Callable[[pd.DataFrame], pd.Series | float]
    ) -> Change:
        def changed(made: maker.Tables) -> None:
            made[table][column] = value(made[table])

        return changed

    def worse(model: str, by: float) -> Callable[[pd.DataFrame], pd.Series]:
        return lambda t: t["test_accuracy"] - by * (t["model"] == model)

    def harmless(model: str) -> Change:
        def changed(made: maker.Tables) -> None:
            t = made["perturbation"]
            t.loc[(t["model"] == model) & (t["kind"] == "vip_off"), "test_error"] = 0.02

        return changed

    def step_worse(model: str) -> Callable[[pd.DataFrame], pd.Series]:
        return lambda t: (
            t["test_accuracy"] - 0.03 * ((t["model"] == model) & (t["redraw"] == "step"))
        )

    def as_both(modality: str) -> Callable[[pd.DataFrame], pd.Series]:
        return lambda t: t["slope"].where(t["modality"] != modality, 9.0)

    def dips(t: pd.DataFrame) -> pd.Series:
        return t["high"].where((t["frequency"] != 14) | (t["modality"] != "a"), 0.3)

    return [
        (1, "digits", change("history", "test_accuracy", worse("rnn_rows", 0.2))),
        (1, "task", change("history", "test_accuracy", worse("multisensory", 0.1))),
        (2, "digits", change("redraw", "test_accuracy", worse("rnn_rows", 0.03))),
        (2, "task", change("redraw", "test_accuracy", worse("multisensory", -0.03))),
        (3, "digits", harmless("rnn_rows")),
        (3, "task", harmless("multisensory")),
        (4, "v", change("sigmoids", "slope", as_both("v"))),
        (4, "a", change("sigmoids", "slope", as_both("a"))),
        (5, "dip", change("psychometric", "high", dips)),
        (6, "none", change("selectivity", "kind", lambda t: t["kind"].replace("mixed", "none"))),
        (6, "chance", change("selectivity", "control_mixed", lambda t: 0.3)),
        (7, "slow", change("kernel_decay", "exponent", lambda t: -0.1)),
        (7, "one leak", change(
            "kernel_decay", "exponent", lambda t: t["exponent"].where(t["alpha"] == 1, 0.1))),
        (8, "digits", change("redraw", "test_accuracy", step_worse("rnn_rows"))),
        (8, "task", change("redraw", "test_accuracy", step_worse("multisensory"))),
    ]  # fmt: skip


Rows = Iterator[dict[str, object]]


def _key(model: str, rule: str, seed: int) -> dict[str, object]:
    return {"model": model, "rule": rule, "depth": 3, "train_size": 10_000,
            "point": f"{model}-{rule}", "replica": seed, "seed": seed}  # fmt: skip


def _history(seeds: int, noise: np.random.Generator) -> Rows:
    for model, rule, seed in product(MODELS, ("gbp", "bp"), range(seeds)):
        final = 0.95 + 0.003 * noise.normal()
        for epoch in range(1, 21):
            yield _key(model, rule, seed) | {
                "epoch": epoch, "train_loss": 1 / epoch, "seconds": 1.0,
                "test_accuracy": final - 0.4 * np.exp(-epoch / 2),
            }  # fmt: skip


def _perturbation(seeds: int, noise: np.random.Generator) -> Rows:
    rise = {"vip_off": 0.1, "random_off": 0.01, "other_off": 0.002}
    for model, seed, kind in product(MODELS, range(seeds), rise):
        for fraction, sample in product((0.0, 0.5, 1.0), range(SAMPLES)):
            error = 0.05 + rise[kind] * fraction**2 + 0.001 * noise.normal()
            yield _key(model, "gbp", seed) | {
                "layer": 2, "kind": kind, "fraction": fraction, "sample": sample,
                "n_weights": round(1000 * fraction), "test_error": error,
            }  # fmt: skip


def _redraw(seeds: int, noise: np.random.Generator) -> Rows:
    for model, seed, redraw in product(MODELS, range(seeds), ("once", "step")):
        for sample in range(SAMPLES):
            right = 0.95 + 0.002 * noise.normal() + 0.004 * (redraw == "step")
            yield _key(model, "gbp", seed) | {
                "sample": sample, "test_accuracy": right, "test_error": 1 - right,
                "redraw": redraw,
            }  # fmt: skip


def _choices(seeds: int, noise: np.random.Generator) -> Rows:
    for way, modality, seed in product(WAYS, MODALITIES, range(seeds)):
        slope = SLOPES[modality] * (1 + 0.05 * noise.normal())
        for frequency in FREQUENCIES:
            yield {
                "replica": seed, "seed": seed, "way": way, "sample": 0, "modality": modality,
                "frequency": frequency, "trials": 100,
                "high": 1 / (1 + np.exp(-slope * (frequency - 12.5))),
            }  # fmt: skip


def _kernels(seeds: int, noise: np.random.Generator) -> Rows:
    for alpha, width, seed in product((0.5, 1.0), (100, 400, 1600), range(seeds)):
        for angle in np.linspace(0, 2 * np.pi, 5):
            theta = alpha * (1.5 + np.cos(angle))
            value = theta * (1 + (1 + 0.2 * noise.normal()) / np.sqrt(width))
            yield {"alpha": alpha, "width": width, "seed": seed, "angle": angle,
                   "kernel": value, "analytic": theta}  # fmt: skip


def _lazy(seeds: int, noise: np.random.Generator) -> Rows:
    floor = {"analytic": 0.0, "empirical": 0.0, "descent": 0.01, "projected": 0.1, "fresh": 0.05}
    for seed, dynamics in product(range(seeds), floor):
        for step in range(10):
            loss = floor[dynamics] + np.exp(-step / 4) * (1 + 0.01 * noise.normal())
            yield {"seed": seed, "dynamics": dynamics, "step": step, "loss": loss,
                   "output_low": -1.0, "output_high": 1.0}  # fmt: skip


def _order_parameters(seeds: int, noise: np.random.Generator) -> Rows:
    others = {"m": 0.9, "pi": 0.75, "xi": 0.75}
    for seed, parameter, epoch in product(range(seeds), others, range(0, 101, 10)):
        rise = (1 - np.exp(-epoch / 20)) * (1 + 0.01 * noise.normal())
        yield {
            "seed": seed, "epoch": epoch, "parameter": parameter, "field": 1.5 * rise,
            "to_start": 1 - 0.2 * rise,
            "to_others": np.nan if seeds == 1 else others[parameter] * rise,
            "loss": 4 * (1.2 - rise),
        }  # fmt: skip


def _neurons(seeds: int, noise: np.random.Generator) -> maker.Tables:
    found, responses = [], []
    for seed, neuron in product(range(seeds), range(NEURONS)):
        kind = KINDS[neuron % 4]
        key = {"replica": seed, "seed": seed, "neuron": neuron}
        found.append(key | {
            "gets": "visual", "choice": 0.5 * (kind in ("choice", "mixed")), "choice_p": 0.001,
            "modality": 0.4 * (kind in ("modality", "mixed")), "modality_p": 0.001, "kind": kind,
            "control_choice": 0.01, "control_modality": 0.01, "control_mixed": 0.0,
            "control_none": 0.98, "rate": 1.0 + neuron,
        })  # fmt: skip
        for modality, choice, time in product(MODALITIES, ("high", "low"), (-100, 0, 500, 1000)):
            responses.append(key | {
                "modality": modality, "choice": choice, "trials": 5, "time": float(time),
                "rate": 1 + noise.random(),
            })  # fmt: skip
    return {"selectivity": pd.DataFrame(found), "responses": pd.DataFrame(responses)}


def _paths(seeds: int, noise: np.random.Generator) -> maker.Tables:
    rates = [
        {"replica": seed, "seed": seed, "space": "rates", "modality": modality, "frequency": f,
         "time": float(time), "pc1": time * (f - 12.5), "pc2": noise.normal(), "pc3": 0.0}
        for seed, modality, f, time in product(
            range(seeds), MODALITIES, (9, 12, 13, 16), (-100, 500, 1300))
    ]  # fmt: skip
    synapses = [
        {"replica": seed, "seed": seed, "space": space, "epoch": epoch, "pc1": float(epoch),
         "pc2": noise.normal(), "pc3": 0.0}
        for seed, space, epoch in product(range(seeds), ("m", "pi", "xi"), (10, 20, 30))
    ]  # fmt: skip
    shares = [
        {"replica": seed, "seed": seed, "space": space, "component": number, "share": 0.5**number}
        for seed, space, number in product(range(seeds), ("rates", "m", "pi", "xi"), (1, 2, 3))
    ]
    return {
        "trajectories": pd.DataFrame(rates),
        "synapses": pd.DataFrame(synapses),
        "components": pd.DataFrame(shares),
    }
