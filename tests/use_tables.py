"""Made-up tables of a study of the use of credit, and changes that break one claim each."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pandas as pd

Tables = dict[str, pd.DataFrame]
REFERENCE = {"depth": 4, "train_size": 10_000}
LEVELS, CLASSES = (0.8, 0.5, 0.2, 0.05), 10
LOSS = {"pi": 0.3, "snr": 0.2, "magnitude": 0.6}  # of accuracy, for each lost connection
ERRORS = {"mean": 0.03, "ensemble": 0.02, "mean_field": 0.035}  # of calibration
FORGETS = {"bp": 0.3, "ewc": 0.15, "gbp": 0.25, "vip": 0.12, "certainty": 0.1}


def tables(seeds: int = 3) -> Tables:
    """Tables on which every claim holds."""
    noise = np.random.default_rng(0)
    records: dict[str, list[dict[str, object]]] = {name: [] for name in (
        "evaluation", "uncertainty", "pruning", "continual_summary", "continual")}  # fmt: skip
    frames: dict[str, list[pd.DataFrame]] = {"reliability": [], "confusion": []}
    for rule, seed in product(("gbp", "bp"), range(seeds)):
        key: dict[str, object] = {"rule": rule, "replica": seed, "seed": seed}
        for way, error in ERRORS.items():
            mode, bump = key | {"way": way}, 1 + 0.02 * noise.normal()
            records["evaluation"].append(
                mode | {"n_images": 9000, "test_accuracy": 0.95, "log_loss": 10 * error,
                       "calibration_error": error * bump}
            )  # fmt: skip
            for kind in ("wrong", "shuffled"):
                area = 0.96 - error * bump
                records["uncertainty"].append(mode | {"kind": kind, "auroc": area})
            frames["reliability"].append(reliability(mode, error, noise))
            frames["confusion"].append(confusion(mode, noise))
        records["pruning"] += pruning(key, noise)
    for protocol, (method, lost), seed in product(
        ("split", "permuted"), FORGETS.items(), range(seeds)
    ):
        key = {"protocol": protocol, "method": method, "lr": 0.1, "strength": 1.0,
               "replica": seed, "seed": seed}  # fmt: skip
        forgetting = lost * (1 + 0.02 * noise.normal())
        records["continual_summary"].append(
            key | {"average_accuracy": 0.95 - forgetting, "learning_accuracy": 0.96,
                   "forgetting": forgetting, "backward_transfer": -forgetting}
        )  # fmt: skip
        records["continual"] += [
            key | {"after_task": after, "task": task,
                   "test_accuracy": 0.96 - forgetting * (after - task) / 4}
            for after in range(1, 6) for task in range(1, after + 1)
        ]  # fmt: skip
    made = {name: pd.DataFrame(rows) for name, rows in records.items()}
    return made | {name: pd.concat(parts) for name, parts in frames.items()}


def pruning(key: dict[str, object], noise: np.random.Generator) -> list[dict[str, object]]:
    """Rows of one network: unpruned, pruned by every criterion, and fine-tuned."""
    unpruned = 0.95 if key["rule"] == "gbp" else 0.94

    def row(criterion: str, level: float, epochs: int, accuracy: float, form: str = "csr") -> dict:
        return key | {
            "criterion": criterion, "level": level, "epochs": epochs, "format": form,
            "n_weights": int(9e4 * level), "kept_fraction": level, "n_neurons": int(200 * level),
            "bytes": int(6e5 * level), "seconds": 0.1 * level, "test_accuracy": accuracy,
            "n_changed": int(1e4 * (unpruned - accuracy)), "file": f"{criterion}-{level}",
        }  # fmt: skip

    rows = [row("none", 1.0, 0, unpruned), row("none", 1.0, 0, unpruned, "dense")]
    credit = key["rule"] == "gbp"
    if credit:
        rows += [row("threshold", 1.0, epochs, unpruned) for epochs in (0, 3)]
    for criterion, level, epochs in product(LOSS, LEVELS, (0, 3)):
        if credit or criterion == "magnitude":
            lost = LOSS[criterion] * (1 - level) * (0.5 if epochs else 1)
            accuracy = unpruned - lost + 0.005 * noise.normal()
            rows.append(row(criterion, level, epochs, accuracy))
    return rows


def reliability(key: dict[str, object], error: float, noise: np.random.Generator) -> pd.DataFrame:
    """The rows of one network in one prediction mode."""
    left = np.arange(5, 15) / 15
    confidence = left + 1 / 30
    accuracy = np.clip(confidence - 3 * error + 0.01 * noise.normal(size=10), 0, 1)
    content = {"bin_left": left, "bin_right": left + 1 / 15, "count": [5, *[100] * 9]}
    return pd.DataFrame(key | content | {"confidence": confidence, "accuracy": accuracy})


def confusion(key: dict[str, object], noise: np.random.Generator) -> pd.DataFrame:
    """Mostly correct, with a few confusions between all classes."""
    true, predicted = np.indices((CLASSES, CLASSES)).reshape(2, -1)
    count = np.where(true == predicted, 900, noise.integers(0, 20, CLASSES**2))
    return pd.DataFrame(key | {"class": true, "predicted": predicted, "count": count})


def violations() -> list[tuple[int, str, Callable[[Tables], None]]]:
    """Claim, name and a change to conforming tables after which the claim does not hold."""

    def shifted(table: str, column: str, query: str, by: float) -> Callable[[Tables], None]:
        def change(made: Tables) -> None:
            chosen = made[table].eval(query)
            made[table][column] = made[table][column].where(~chosen, made[table][column] + by)

        return change

    def accuracy(query: str, by: float) -> Callable[[Tables], None]:
        return shifted("pruning", "test_accuracy", query, by)

    def learnt(method: str, by: float, column: str = "forgetting") -> Callable[[Tables], None]:
        query = f"method == '{method}' and protocol == 'permuted'"
        return shifted("continual_summary", column, query, by)

    magnitude = "rule == 'gbp' and criterion == 'magnitude'"
    return [
        (1, "one image", shifted("pruning", "n_changed", "criterion == 'threshold'", 1)),
        (2, "magnitude better", accuracy(f"{magnitude} and level < 0.1", 1.2)),
        (3, "pi worse", accuracy("criterion == 'pi' and epochs == 0", -0.3)),
        (4, "snr worse", accuracy("criterion == 'snr' and epochs == 0", -0.4)),
        (4, "pi worse", accuracy("criterion == 'pi' and epochs == 0", -0.4)),
        (5, "pi worse after fine-tuning", accuracy("criterion == 'pi' and epochs > 0", -0.4)),
        (5, "snr worse after fine-tuning", accuracy("criterion == 'snr' and epochs > 0", -0.4)),
        (6, "ensemble worse", shifted(
            "evaluation", "calibration_error", "way == 'ensemble'", 0.02)),
        (7, "wrong not detected", shifted(
            "uncertainty", "auroc", "way == 'ensemble' and kind == 'wrong'", -0.1)),
        (7, "shuffled not detected", shifted(
            "uncertainty", "auroc", "way == 'ensemble' and kind == 'shuffled'", -0.1)),
        (8, "forgets as much", learnt("vip", 0.13)),
        (8, "learns nothing", learnt("vip", -0.3, "average_accuracy")),
        (9, "forgets as much", learnt("certainty", 0.15)),
        (9, "learns nothing", learnt("certainty", -0.3, "average_accuracy")),
        (10, "EWC forgets less", learnt("ewc", -0.1)),
        (10, "EWC learns more", learnt("ewc", 0.1, "average_accuracy")),
    ]  # fmt: skip
