"""The training loop, read top to bottom. It does not know which rule it runs."""

import time
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd
import torch

from sascli import checkpoint, runs
from sascli.config import Train, varied
from sascli.core.streams import streams
from sascli.data import Data
from sascli.errors import DivergedError
from sascli.progress import Part, Progress
from sascli.rules.base import Rule
from sascli.stopping import Stopping

HISTORY = ["replica", "seed", "epoch", "train_loss", "test_accuracy", "test_accuracy_mean"]
HISTORY += ["seconds"]
MEASURED = 1000
"""Training images, the first, on which a rule measures itself."""
METRICS = ["replica", "seed", "epoch", "layer", "name", "value"]


def train(
    config: Train,
    directory: Path,
    data: Data,
    rule: Rule,
    progress: Progress | Part,
    first: int = 0,
) -> None:
    """Epochs from the last checkpoint, or the beginning, to the end.

    `first` is the number of the rule's first replica in the tables. Raises Stopped after the
    epoch in which a signal came, which is kept.
    """
    state = checkpoint.load_state(directory, data.train_x.device)
    history, metrics, epoch = [], [], 0
    if state is None:
        rule.initialise()
        metrics += measured(rule, data, epoch, first)
    else:
        rule.load(state["rule"])
        history, metrics, epoch = state["history"], state["metrics"], state["epoch"]
        progress.skip(epoch)
    del state  # its tensors take room on the device
    with Stopping() as stopping:
        while epoch < config.epochs:
            epoch += 1
            start = time.perf_counter()
            loss = one_epoch(config, data, rule, epoch)
            test, mean = evaluate(config, data, rule, epoch)
            seconds = time.perf_counter() - start
            for r, seed in enumerate(rule.setup.seeds):
                history.append([first + r, seed, epoch, loss[r], test[r], mean[r], seconds])
            metrics += measured(rule, data, epoch, first)
            progress.update(f"loss {fmean(loss):.4f}, accuracy {fmean(test):.4f}")
            if config.snapshot_every and epoch % config.snapshot_every == 0:
                path = directory / f"weights-{epoch:04d}.safetensors"
                checkpoint.save_weights(path, rule.network, rule.setup.seeds)
            stop = stopping.signal is not None  # one that comes later is seen an epoch later
            if epoch % config.checkpoint_every == 0 or epoch == config.epochs or stop:
                keep(config, directory, rule, epoch, history, metrics)
            if stop:
                break


def one_epoch(config: Train, data: Data, rule: Rule, epoch: int) -> list[float]:
    """All batches of an epoch; mean training loss by replica.

    Raises DivergedError when the loss or a parameter is no longer a finite number.
    """
    setup, size = rule.setup, 0
    rule.start_epoch(epoch)
    total = torch.zeros(len(setup.seeds), device=data.train_x.device, dtype=torch.float64)
    for x, y in data.batches(setup.seeds, epoch, setup.batch_size, config.batches):
        total += rule.step(x, y) * x.shape[1]
        size += x.shape[1]
    # The parameters too, or the last batch's divergence were in a checkpoint before it is seen.
    if not all(own.isfinite().all() for own in (total, rule.network.all, *rule.network.r)):
        raise DivergedError(epoch, largest(rule))
    return (total / size).tolist()


def largest(rule: Rule) -> str:
    """The layer and value of the parameter that is not finite, or largest."""
    sizes: dict[str, float] = {}
    for number, layer in enumerate(rule.network.layers, 1):
        for kind, value in layer.named_parameters():
            size = value.detach().abs().nan_to_num(nan=torch.inf).max()
            sizes[f"{kind} of layer {number}"] = float(size)
    worst = max(sizes, key=lambda name: sizes[name])
    return f"the largest parameter is {worst}, |{worst.split()[0]}| = {sizes[worst]:.3g}"


def measured(rule: Rule, data: Data, epoch: int, first: int) -> list[list[Any]]:
    """The rule's own measurements as rows of metrics.csv; epoch 0 is before training."""
    rows = []
    for row in rule.measure(data.train_x[:MEASURED]):
        own = row | {"seed": rule.setup.seeds[row["replica"]], "epoch": epoch}
        own["replica"] += first
        rows.append([own[key] for key in METRICS])
    return in_order(rows)


def in_order(rows: Iterable[list[Any]]) -> list[list[Any]]:
    """Rows of metrics.csv by epoch, layer, name and replica."""
    order = [METRICS.index(name) for name in ("epoch", "layer", "name", "replica")]
    return sorted(rows, key=lambda row: [row[place] for place in order])


def evaluate(
    config: Train, data: Data, rule: Rule, epoch: int
) -> tuple[list[float], list[float | None]]:
    """Test accuracy by replica: mean-field, and of the mean network (None where not due)."""
    noise = streams(rule.setup.seeds, "evaluation", epoch, device=data.test_x.device)
    test = data.accuracy(lambda some: rule.logits(some, noise)).tolist()
    if epoch % config.eval.mean_every and epoch != config.epochs:
        return test, [None] * len(test)
    return test, data.accuracy(rule.logits).tolist()


def keep(
    config: Train,
    directory: Path,
    rule: Rule,
    epoch: int,
    history: list[Any],
    metrics: list[Any],
) -> None:
    """history.csv, metrics.csv where the rule measures something, and the checkpoint.

    The checkpoint comes last: what a kill before it leaves undone is done again.
    """
    tables = {"history": pd.DataFrame(history, columns=HISTORY)}
    if metrics:
        tables["metrics"] = pd.DataFrame(metrics, columns=METRICS)
    for name, table in tables.items():
        runs.write_table(directory / f"{name}.csv", table, varied(config))
    state = {"rule": rule.state(), "history": history, "metrics": metrics}
    checkpoint.save_state(directory, epoch, state)
