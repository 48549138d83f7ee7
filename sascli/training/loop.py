"""The training loop, read top to bottom. It does not know which rule it runs."""

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from operator import itemgetter
from statistics import fmean

import pandas as pd
import torch
from torch import Tensor

from sascli import runs
from sascli.analysis.ensemble import ensemble
from sascli.analysis.layers import entropies
from sascli.config import Train
from sascli.core.streams import streams
from sascli.data import Data
from sascli.errors import DivergedError
from sascli.rules.base import Rule
from sascli.training import checkpoint
from sascli.training.capture import step_of
from sascli.training.pace import Pace
from sascli.training.population import Log, Population, Row, Trained
from sascli.training.progress import Part, Progress
from sascli.training.signals import stopping

KEY = ["replica", "seed", "epoch"]
HISTORY = [*KEY, "train_loss", "test_accuracy", "test_accuracy_mean", "seconds"]
METRICS = [*KEY, "layer", "name", "value"]
MEASURED = 1000
"""The number of training images, the first, that a rule's measurements are made on."""


class Frozen:
    """Keeps some replicas of a rule as they are now while their companions learn.

    `restore` puts back their parameters and the optimiser's state, in place and without waiting
    for the device.
    """

    @torch.no_grad()
    def __init__(self, rule: Rule, replicas: Sequence[int]) -> None:
        self._saved = [(tensor, mask, tensor.clone()) for tensor, mask in rule.masks(replicas)]

    @torch.no_grad()
    def restore(self) -> None:
        """Undo the steps since the last call."""
        for tensor, mask, value in self._saved:
            torch.where(mask, value, tensor, out=tensor)


def train(population: Population, progress: Progress | Part) -> Trained:
    """Train from the last checkpoint, or from the start, and measure the trained networks.

    Training ends with the last epoch, or when all replicas have stopped. A replica whose loss
    stops it (`stop_loss`) keeps its numbers while its companions learn; its rows end there.
    Raises Stopped after the epoch in which a signal came; that epoch is saved.
    """
    data, setup, config = population.data, population.setup, population.config
    rule, log = load(population, population.device) or start(population)
    progress.skip(log.epoch)
    step = step_of(rule, config.capture)
    frozen = Frozen(rule, log.stopped) if log.stopped else None
    pace = Pace(config.checkpoint_every, 3 * rule.network.all.nbytes)  # and the moments of Adam
    with stopping() as signals:
        while log.epoch < config.epochs and log.learning:
            log.epoch += 1
            before = time.perf_counter()
            loss = one_epoch(data, rule, log.epoch, config.batches, frozen, step)
            learning = log.learning
            ending = []
            if config.stop_loss is not None and log.epoch > config.stop_after:
                ending = [r for r in learning if loss[r] < config.stop_loss]
            test, mean = evaluate(data, rule, log.epoch, config, ending)
            seconds = time.perf_counter() - before
            for r in learning:
                key = [population.first + r, setup.seeds[r], log.epoch]
                log.history.append([*key, loss[r], test[r], mean[r], seconds])
            log.metrics += measurements(population, rule, log)
            if population.show is not None:
                population.show(log.epoch, shown(population, rule, log))
            if ending:
                log.ends = [log.epoch if r in ending else end for r, end in enumerate(log.ends)]
                frozen = Frozen(rule, log.stopped)
            means = [fmean(values[r] for r in learning) for values in (loss, test)]
            progress.update("loss {:.4f}, accuracy {:.4f}".format(*means))
            save_snapshot(population, rule, log.epoch)
            signalled = bool(signals)  # a later signal waits for the next epoch
            last = log.epoch == config.epochs or not log.learning
            if pace.due(log.epoch) or last or signalled:
                with pace.measured():
                    save(population, rule, log)
            if signalled:
                break
        else:
            progress.skip(config.epochs - log.epoch)  # epochs that no replica needed
    return measure(population, rule, log)


def start(population: Population) -> tuple[Rule, Log]:
    """The rule with initial parameters, measured, and its log."""
    rule = population.make_rule(population.setup, population.device)
    rule.initialise()
    log = Log([None] * len(population.setup.seeds))
    log.metrics += measurements(population, rule, log)
    save_snapshot(population, rule, log.epoch)
    return rule, log


def load(population: Population, device: torch.device) -> tuple[Rule, Log] | None:
    """The rule and the log of the last checkpoint, None before the first."""
    state = checkpoint.load_state(population.directory, device)
    if state is None:
        return None
    rule = population.make_rule(population.setup, device)
    rule.load(state["rule"])
    ends = state.get("ends", [None] * len(population.setup.seeds))  # none in earlier versions
    return rule, Log(ends, state["epoch"], state["history"], state["metrics"])


def one_epoch(
    data: Data,
    rule: Rule,
    epoch: int,
    batches: int | None = None,
    frozen: Frozen | None = None,
    step: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> list[float]:
    """Train on all batches of an epoch, `batches` at most; mean training loss by replica.

    `step` is by default the rule's.

    Raises DivergedError when the loss or a parameter is no longer a finite number.
    """
    setup, size = rule.setup, 0
    rule.start_epoch(epoch)
    total = torch.zeros(len(setup.seeds), device=data.train_x.device, dtype=torch.float64)
    for x, y in data.batches(setup.seeds, epoch, setup.batch_size, batches):
        total += (step or rule.step)(x, y) * x.shape[1]
        size += x.shape[1]
        if frozen is not None:
            frozen.restore()
    # also the parameters: the last batch may diverge, and a checkpoint must not contain that
    numbers = (total, rule.network.all, *rule.network.r)
    finite = torch.stack([values.isfinite().all() for values in numbers]).all()
    *loss, all_finite = torch.cat([total / size, finite.double().view(1)]).tolist()
    if not all_finite:
        raise DivergedError(epoch, largest(rule))
    return loss


def largest(rule: Rule) -> str:
    """The layer and value of the parameter that is not finite, or largest."""
    sizes: dict[str, float] = {}
    for number, layer in enumerate(rule.network.layers, 1):
        for kind, value in layer.named_parameters():
            size = value.detach().abs().nan_to_num(nan=torch.inf).max()
            sizes[f"{kind} of layer {number}"] = float(size)
    for number, r in enumerate(rule.network.r, 1):
        sizes[f"R of layer {number}"] = float(r.abs().nan_to_num(nan=torch.inf).max())
    worst = max(sizes, key=lambda name: sizes[name])
    return f"the largest parameter is {worst}, |{worst.split()[0]}| = {sizes[worst]:.3g}"


def evaluate(
    data: Data, rule: Rule, epoch: int, config: Train, ending: Collection[int] = ()
) -> tuple[list[float], list[float | None]]:
    """Test accuracy by replica: mean-field, and of the mean network (None where not due).

    The latter is due every `eval.mean_every` epochs, after the last, and for replicas `ending`
    in this epoch.
    """
    noise = streams(rule.setup.seeds, "evaluation", epoch, device=data.test_x.device)
    test = data.accuracy(rule.predictor(noise)).tolist()
    due = epoch % config.eval.mean_every == 0 or epoch == config.epochs
    if not due and not ending:
        return test, [None] * len(test)
    mean = data.accuracy(rule.predictor()).tolist()
    return test, [value if due or r in ending else None for r, value in enumerate(mean)]


def measurements(population: Population, rule: Rule, log: Log) -> list[Row]:
    """The rule's measurements of learning replicas as rows of metrics.csv; epoch 0: untrained."""
    rows = []
    for row in rule.measure(population.data.train_x[:MEASURED]):
        r = row["replica"]
        if log.ends[r] is None:
            key = [population.first + r, population.setup.seeds[r], log.epoch]
            rows.append([*key, row["layer"], row["name"], row["value"]])
    return in_order(rows)


def shown(population: Population, rule: Rule, log: Log) -> dict[str, float]:
    """What a logger shows of an epoch: the last rows of history.csv, and the mean pi by layer."""
    values = dict[str, float]()
    sparsities = [layer.pi.mean((1, 2)).tolist() for layer in rule.network.layers]
    for row in log.history[-len(log.learning) :]:
        cells = dict(zip(HISTORY, row, strict=True))
        r = cells["replica"] - population.first
        cells |= {f"sparsity_{n}": layer[r] for n, layer in enumerate(sparsities, 1)}
        shown = {name: value for name, value in cells.items() if name not in KEY}
        values |= {f"{k}/replica {cells['replica']}": v for k, v in shown.items() if v is not None}
    return values


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Rows of metrics.csv by epoch, layer, name and replica."""
    order = (METRICS.index(name) for name in ("epoch", "layer", "name", "replica"))
    return sorted(rows, key=itemgetter(*order))


def save_snapshot(population: Population, rule: Rule, epoch: int) -> None:
    """Save a copy of the weights if one is due."""
    every = population.config.snapshot_every
    if every and epoch % every == 0:
        path = population.directory / checkpoint.SNAPSHOT.format(epoch=epoch)
        checkpoint.save_weights(path, rule.network, rule.setup.seeds)


def save(population: Population, rule: Rule, log: Log) -> None:
    """Write history.csv, metrics.csv if the rule measures anything, and the checkpoint.

    The checkpoint is written last: after a kill before it, these epochs are trained again.
    """
    tables = {"history": pd.DataFrame(log.history, columns=HISTORY)}
    if log.metrics:
        tables["metrics"] = pd.DataFrame(log.metrics, columns=METRICS)
    for name, table in tables.items():
        runs.write_table(population.directory / f"{name}.csv", table, population.rates)
    save_checkpoint(population, rule, log)


def save_checkpoint(population: Population, rule: Rule, log: Log) -> None:
    """Write the checkpoint, from which `load` continues the training bit for bit."""
    checkpoint.save_state(population.directory, log.epoch, {"rule": rule.state()} | vars(log))


def measure(population: Population, rule: Rule, log: Log) -> Trained:
    """Measure on the device what the tables of a trained population need."""
    network, seeds, settings = rule.network, population.setup.seeds, population.config.eval
    score = population.data.accuracy
    table = ensemble(network, seeds, score, settings.samples, settings.redraw)
    table["replica"] += population.first
    entropy = [layer.cpu() for layer in entropies(network, seeds, "paper")]
    return Trained(network.select(slice(None), "cpu"), entropy, table, len(seeds), log.ends)
