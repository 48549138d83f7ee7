"""Small made-up tables that look like a finished `sas reproduce temporal` directory, for tests."""

from collections.abc import Callable, Iterator
from functools import cache
from itertools import product

import numpy as np
import pandas as pd
import tables as maker

from sascli.analysis.kernel import decay_table
from sascli.analysis.psychometric import sigmoids

REFERENCE = {"digits": "rnn_rows", "pixels": "rnn_pixels"}
MODELS = ("rnn_rows", "multisensory")
WAYS = ("field", "sampled", "redrawn")
MODALITIES = ("v", "a", "va")
FREQUENCIES = (9.0, 11.0, 11.5, 12.0, 12.5, 13.0, 13.5, 14.0, 16.0)
SLOPES = {"v": 1.5, "a": 1.6, "va": 3.0}
KINDS = ("choice", "modality", "mixed", "none")
NEURONS, SAMPLES = 12, 4

Change = Callable[[maker.Tables], None]


def tables(seeds: int = 5) -> maker.Tables:
    """Tables on which every claim of the study holds; copies, which a test may change."""
    return {name: table.copy() for name, table in _tables(seeds).items()}


@cache
def _tables(seeds: int) -> maker.Tables:
    """The tables themselves, made once: their sigmoids take two seconds to fit."""
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
        "entropy_epochs": pd.DataFrame(_entropy(seeds, noise)),
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

    def harmless(model: str, kind: str) -> Change:
        def changed(made: maker.Tables) -> None:
            t = made["perturbation"]
            t.loc[(t["model"] == model) & (t["kind"] == kind), "test_error"] = 0.02

        return changed

    def drawn_worse(model: str, redraw: str, by: float, spread: float = 0.0) -> Change:
        """Less accurate by `by` on average, with a `spread` over seeds."""

        def changed(made: maker.Tables) -> None:
            t = made["redraw"]
            sides = spread * (t["seed"] - t["seed"].mean())
            t["test_accuracy"] -= (by + sides) * ((t["model"] == model) & (t["redraw"] == redraw))

        return changed

    def as_both(modality: str) -> Callable[[pd.DataFrame], pd.Series]:
        return lambda t: t["slope"].where(t["modality"] != modality, 9.0)

    def dips(t: pd.DataFrame) -> pd.Series:
        return t["high"].where((t["frequency"] != 14) | (t["modality"] != "a"), 0.3)

    def noisy(t: pd.DataFrame) -> pd.Series:
        """A fall of 25 points on average, of 0 to 60 in single seeds."""
        low = (t["frequency"] == 14) & (t["modality"] == "a")
        return t["high"].where(~low, 0.9 - 0.15 * (4 - t["seed"]))

    def as_untrained(kind: str) -> Change:
        def changed(made: maker.Tables) -> None:
            t = made["selectivity"]
            other = t[t["network"] == "untrained"].set_index(["seed", "neuron"])["kind"]
            keys = zip(t["seed"], t["neuron"], strict=True)
            before = pd.Series([other[key] for key in keys], t.index)
            swapped = (t["kind"] == kind) | (before == kind)
            t["kind"] = t["kind"].where(~swapped, before)

        return changed

    def reversed_entropy(model: str) -> Callable[[pd.DataFrame], pd.Series]:
        return lambda t: t["mean"].where(t["model"] != model, -1.4 + 0.01 * t["epoch"])

    def unbroken(column: str, value: float) -> Callable[[pd.DataFrame], pd.Series]:
        return lambda t: t[column].where(t["parameter"] != "m", value)

    return [
        (1, "digits", change("history", "test_accuracy", worse("rnn_rows", 0.2))),
        (1, "task", change("history", "test_accuracy", worse("multisensory", 0.1))),
        (2, "digits", drawn_worse("rnn_rows", "step", 0.008)),
        (2, "task", drawn_worse("multisensory", "once", 0.04)),
        (2, "task, unresolved", drawn_worse("multisensory", "once", 0.01, 0.08)),
        (3, "digits", harmless("rnn_rows", "vip_off")),
        (3, "task", harmless("multisensory", "vip_off")),
        (3, "task, same magnitude", harmless("multisensory", "paired_off")),
        (4, "v", change("sigmoids", "slope", as_both("v"))),
        (4, "a", change("sigmoids", "slope", as_both("a"))),
        (5, "dip", change("psychometric", "high", dips)),
        (5, "dip in some seeds", change("psychometric", "high", noisy)),
        (5, "flat", change("psychometric", "high", lambda t: 0.5 + 0.02 * (t["frequency"] - 12))),
        (6, "chance", change("selectivity", "control_mixed", lambda t: 0.5)),
        (6, "no more of choice", as_untrained("choice")),
        (6, "no fewer of modality", as_untrained("modality")),
        (7, "slow", change("kernel_decay", "exponent", lambda t: -0.1)),
        (7, "one leak", change(
            "kernel_decay", "exponent", lambda t: t["exponent"].where(t["alpha"] == 1, 0.1))),
        (8, "digits", drawn_worse("rnn_rows", "step", 0.03)),
        (8, "task", drawn_worse("multisensory", "step", 0.03)),
        (9, "stays", change("order_parameters", "to_start", unbroken("to_start", 0.999))),
        (9, "apart", change("order_parameters", "to_others", unbroken("to_others", 0.0))),
        (10, "digits", drawn_worse("rnn_rows", "step", 0.0041)),
        (10, "task", drawn_worse("multisensory", "step", 0.0061)),
        (11, "digits", change("entropy_epochs", "mean", reversed_entropy("rnn_rows"))),
        (11, "task", change("entropy_epochs", "mean", reversed_entropy("multisensory"))),
        (12, "digits", drawn_worse("rnn_rows", "once", 0.008)),
    ]  # fmt: skip


Rows = Iterator[dict[str, object]]


def _key(model: str, rule: str, seed: int) -> dict[str, object]:
    return {"model": model, "rule": rule, "depth": 3, "train_size": 10_000,
            "point": f"{model}-{rule}", "replica": seed, "seed": seed}  # fmt: skip


def _history(seeds: int, noise: np.random.Generator) -> Rows:
    runs = [*product(MODELS, ("gbp", "bp")), ("rnn_pixels", "gbp")]
    for (model, rule), seed in product(runs, range(seeds)):
        final = 0.95 + 0.003 * noise.normal()
        for epoch in range(1, 21):
            yield _key(model, rule, seed) | {
                "epoch": epoch, "train_loss": 1 / epoch, "seconds": 1.0,
                "test_accuracy": final - 0.4 * np.exp(-epoch / 2),
            }  # fmt: skip


def _perturbation(seeds: int, noise: np.random.Generator) -> Rows:
    rise = {"vip_off": 0.1, "random_off": 0.01, "other_off": 0.002, "paired_off": 0.05,
            "matched_off": 0.01}  # fmt: skip
    for model, seed, kind, criterion in product(MODELS, range(seeds), rise, ("ours", "published")):
        for fraction, sample in product((0.0, 0.5, 1.0), range(SAMPLES)):
            error = 0.05 + rise[kind] * fraction**2 + 0.001 * noise.normal()
            yield _key(model, "gbp", seed) | {
                "layer": 2, "kind": kind, "fraction": fraction, "sample": sample,
                "n_weights": round((500 if kind in ("paired_off", "matched_off") else 1000)
                                   * fraction),
                "test_error": error, "way": "field" if criterion == "published" else "sampled",
                "m_abs": 0.1 if fraction else np.nan, "criterion": criterion,
            }  # fmt: skip


def _redraw(seeds: int, noise: np.random.Generator) -> Rows:
    lost = {"once": {"rnn_rows": 0.004, "multisensory": 0.02},
            "step": {"rnn_rows": 0.0001, "multisensory": 0.014}}  # fmt: skip
    for model, seed in product(MODELS, range(seeds)):
        for redraw, sample in product(lost, range(SAMPLES)):
            field = 0.95 + 0.01 * seed / seeds
            right = field - lost[redraw][model] + 0.0002 * noise.normal()
            yield _key(model, "gbp", seed) | {
                "sample": sample, "test_accuracy": right, "test_error": 1 - right,
                "redraw": redraw, "dt": 0.5 if model == "multisensory" else np.nan,
                "field_accuracy": field,
            }  # fmt: skip


def _entropy(seeds: int, noise: np.random.Generator) -> Rows:
    for model, seed, layer in product(MODELS, range(seeds), (1, 2, 3)):
        last = 20 + 2 * (seed if model == "multisensory" else 0)  # stopped in different epochs
        for epoch, estimator in product((0, 5, 10, last), ("paper", "mixed")):
            mean = -1.4 - 0.1 * layer - 0.02 * epoch + 0.01 * noise.normal()
            yield _key(model, "gbp", seed) | {
                "epoch": epoch, "layer": layer, "estimator": estimator, "mean": mean, "std": 0.3,
                "n_connections": 100 * layer,
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
    neurons, responses = [], []
    for seed, neuron, network in product(range(seeds), range(NEURONS), ("trained", "untrained")):
        kind = KINDS[neuron % 4]
        if network == "untrained" and neuron in (0, 4):
            kind = "modality"
        if network == "untrained" and neuron == 1:
            kind = "none"
        key = {"replica": seed, "seed": seed, "neuron": neuron}
        neurons.append(key | {
            "gets": "visual", "choice": 0.5 * (kind in ("choice", "mixed")), "choice_p": 0.001,
            "modality": 0.4 * (kind in ("modality", "mixed")), "modality_p": 0.001, "kind": kind,
            "control_choice": 0.01, "control_modality": 0.01, "control_mixed": 0.0,
            "control_none": 0.98, "rate": 1.0 + neuron, "network": network,
        })  # fmt: skip
        if network == "untrained":
            continue
        for modality, choice, time in product(MODALITIES, ("high", "low"), (-100, 0, 500, 1000)):
            responses.append(key | {
                "modality": modality, "choice": choice, "trials": 5, "time": float(time),
                "rate": 1 + noise.random(),
            })  # fmt: skip
    table = pd.DataFrame(neurons).sort_values("network", kind="stable", ignore_index=True)
    return {"selectivity": table, "responses": pd.DataFrame(responses)}


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
