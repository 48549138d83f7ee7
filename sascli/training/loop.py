"""The training loop, read top to bottom. It does not know which rule it runs."""

import time
from collections.abc import Collection, Iterable
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd
import torch

from sascli import runs
from sascli.config import Train, varied
from sascli.core.streams import streams
from sascli.data import Data
from sascli.errors import DivergedError
from sascli.rules.base import Rule
from sascli.training import checkpoint
from sascli.training.progress import Part, Progress
from sascli.training.replicas import Held
from sascli.training.signals import Stopping

HISTORY = ["replica", "seed", "epoch", "train_loss", "test_accuracy", "test_accuracy_mean"]
HISTORY += ["seconds"]
MEASURED = 1000
"""Training images, the first, on which a rule measures itself."""
METRICS = ["replica", "seed", "epoch", "layer", "name", "value"]
Ends = list[int | None]
"""The epoch in which each replica was stopped by its loss, None for one that was not."""


def train(
    config: Train,
    directory: Path,
    data: Data,
    rule: Rule,
    progress: Progress | Part,
    first: int = 0,
) -> Ends:
    """Epochs from the last checkpoint, or the beginning, until the last or all replicas stopped.

    `first` is the number of the rule's first replica in the tables. A replica whose loss stops it
    (`config.stop_loss`) keeps its numbers while its companions learn; its rows end there. Returns
    the epoch in which each replica stopped. Raises Stopped after the epoch in which a signal came,
    which is kept.
    """
    state = checkpoint.load_state(directory, data.train_x.device)
    history, metrics, epoch = [], [], 0
    ends: Ends = [None] * len(rule.setup.seeds)
    if state is None:
        rule.initialise()
        metrics += measured(rule, data, epoch, first, ends)
        snapshot(config, directory, rule, epoch)
    else:
        rule.load(state["rule"])
        history, metrics, epoch = state["history"], state["metrics"], state["epoch"]
        ends = state.get("ends", ends)  # a checkpoint of before has none
        progress.skip(epoch)
    del state  # its tensors take room on the device
    held = Held(rule, stopped(ends)) if any(ends) else None
    with Stopping() as stopping:
        while epoch < config.epochs and not all(ends):
            epoch += 1
            start = time.perf_counter()
            loss = one_epoch(config, data, rule, epoch, held)
            learned = [r for r, end in enumerate(ends) if end is None]
            now = [r for r in learned if stops(config, epoch, loss[r])]
            test, mean = evaluate(config, data, rule, epoch, now)
            seconds = time.perf_counter() - start
            for r in learned:
                seed = rule.setup.seeds[r]
                history.append([first + r, seed, epoch, loss[r], test[r], mean[r], seconds])
            metrics += measured(rule, data, epoch, first, ends)
            if now:
                ends = [epoch if r in now else end for r, end in enumerate(ends)]
                held = Held(rule, stopped(ends))
            means = [fmean(values[r] for r in learned) for values in (loss, test)]
            progress.update("loss {:.4f}, accuracy {:.4f}".format(*means))
            snapshot(config, directory, rule, epoch)
            stop = stopping.signal is not None  # one that comes later is seen an epoch later
            last = epoch == config.epochs or all(ends)
            if epoch % config.checkpoint_every == 0 or last or stop:
                keep(config, directory, rule, epoch, history, metrics, ends)
            if stop:
                break
        else:
            progress.skip(config.epochs - epoch)  # what no replica needed
    return ends


def stops(config: Train, epoch: int, loss: float) -> bool:
    """Whether a replica stops after an epoch of this training loss."""
    return config.stop_loss is not None and epoch > config.stop_after and loss < config.stop_loss


def stopped(ends: Ends) -> list[int]:
    """The replicas that have stopped."""
    return [r for r, end in enumerate(ends) if end is not None]


def snapshot(config: Train, directory: Path, rule: Rule, epoch: int) -> None:
    """A copy of the weights, where one is due."""
    if config.snapshot_every and epoch % config.snapshot_every == 0:
        path = directory / checkpoint.SNAPSHOT.format(epoch=epoch)
        checkpoint.save_weights(path, rule.network, rule.setup.seeds)


def one_epoch(
    config: Train, data: Data, rule: Rule, epoch: int, held: Held | None = None
) -> list[float]:
    """All batches of an epoch; mean training loss by replica. What is `held` stands still.

    Raises DivergedError when the loss or a parameter is no longer a finite number.
    """
    setup, size = rule.setup, 0
    rule.start_epoch(epoch)
    total = torch.zeros(len(setup.seeds), device=data.train_x.device, dtype=torch.float64)
    for x, y in data.batches(setup.seeds, epoch, setup.batch_size, config.batches):
        total += rule.step(x, y) * x.shape[1]
        size += x.shape[1]
        if held is not None:
            held.restore()
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


def measured(rule: Rule, data: Data, epoch: int, first: int, ends: Ends) -> list[list[Any]]:
    """The rule's own measurements as rows of metrics.csv; epoch 0 is before training.

    None of replicas that stopped in an earlier epoch.
    """
    rows = []
    for row in rule.measure(data.train_x[:MEASURED]):
        if ends[row["replica"]] is not None:
            continue
        own: dict[str, Any] = row | {"seed": rule.setup.seeds[row["replica"]], "epoch": epoch}
        own["replica"] += first
        rows.append([own[key] for key in METRICS])
    return in_order(rows)


def in_order(rows: Iterable[list[Any]]) -> list[list[Any]]:
    """Rows of metrics.csv by epoch, layer, name and replica."""
    order = [METRICS.index(name) for name in ("epoch", "layer", "name", "replica")]
    return sorted(rows, key=lambda row: [row[place] for place in order])


def evaluate(
    config: Train, data: Data, rule: Rule, epoch: int, ending: Collection[int] = ()
) -> tuple[list[float], list[float | None]]:
    """Test accuracy by replica: mean-field, and of the mean network (None where not due).

    The latter is due every so many epochs, after the last, and for replicas `ending` now.
    """
    noise = streams(rule.setup.seeds, "evaluation", epoch, device=data.test_x.device)
    test = data.accuracy(lambda some: rule.logits(some, noise)).tolist()
    every = epoch % config.eval.mean_every == 0 or epoch == config.epochs
    if not every and not ending:
        return test, [None] * len(test)
    mean = data.accuracy(rule.logits).tolist()
    return test, [value if every or r in ending else None for r, value in enumerate(mean)]


def keep(
    config: Train,
    directory: Path,
    rule: Rule,
    epoch: int,
    history: list[Any],
    metrics: list[Any],
    ends: Ends,
) -> None:
    """history.csv, metrics.csv where the rule measures something, and the checkpoint.

    The checkpoint comes last: what a kill before it leaves undone is done again.
    """
    tables = {"history": pd.DataFrame(history, columns=HISTORY)}
    if metrics:
        tables["metrics"] = pd.DataFrame(metrics, columns=METRICS)
    for name, table in tables.items():
        runs.write_table(directory / f"{name}.csv", table, varied(config))
    state = {"rule": rule.state(), "history": history, "metrics": metrics, "ends": ends}
    checkpoint.save_state(directory, epoch, state)
