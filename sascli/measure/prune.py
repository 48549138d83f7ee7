"""Pruning of a trained run: the connections that stay, fine-tuning, the sparse networks."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import accuracy_score
from torch import Tensor

from sascli import runs
from sascli.analysis import sparse
from sascli.analysis.pruning import fractions, thresholds
from sascli.config import Prune, RuleSettings, Tune, varied
from sascli.core.convolutional import Convolutional
from sascli.core.network import FeedForward
from sascli.errors import UserError
from sascli.measure.credit import rates_of
from sascli.measure.record import Results
from sascli.measure.run import TrainedRun
from sascli.rules.base import Setup
from sascli.rules.bp import BP
from sascli.training import loop
from sascli.training import run as training_run

Labels = Callable[[], Sequence[sparse.Matrix]]
TUNING_RATE = 0.1
"""Default learning rate of fine-tuning, in units of the run's."""


@dataclass(frozen=True)
class Cut:
    """Networks (replicas, levels) that a criterion leaves: masks and weights of every layer."""

    criterion: str  # none for the unpruned network
    levels: Sequence[float]
    masks: Sequence[Tensor]
    weights: Sequence[Tensor]
    epochs: int = 0  # of fine-tuning


@dataclass(frozen=True)
class Stored:
    """The file of a network, and the classes that it predicts."""

    content: bytes
    n_weights: int
    n_neurons: int
    classified: sparse.Classified


class FineTuning(BP):
    """Back-propagation of the connections that stay; the others remain 0."""

    def __init__(self, network: FeedForward, setup: Setup, masks: Sequence[Tensor]) -> None:
        super().__init__(network, RuleSettings("bp"), setup)
        self.mask = torch.cat([mask.flatten() for mask in masks])

    def project(self) -> None:
        """The removed connections remain 0."""
        self.network.flat["m"].mul_(self.mask)


def prune(run: TrainedRun, config: Prune) -> Results:
    """pruning.csv and the files of a run's networks, and of its baseline pruned by magnitude.

    Raises UserError for a baseline of other images or not of BP, and for networks that are
    recurrent or whose inputs are decorrelated.
    """
    made = [measure() for measure in pieces(run, config).values()]
    tables = [cast(pd.DataFrame, results["pruning"]) for results in made]
    files = {path: content for results in made for path, content in results.items()}
    return {**files, "pruning": pd.concat(tables, ignore_index=True)}


def pieces(run: TrainedRun, config: Prune) -> Mapping[str, Callable[[], Results]]:
    """The functions that prune by one criterion each; keys are rule-criterion.

    Raises UserError for an unsuitable baseline; the functions do so for unsuitable networks.
    """
    pruned = [(run, config)]
    if config.baseline is not None:
        by_magnitude = replace(config, criterion=["magnitude"], threshold=[])
        pruned.append((baseline(run, config), by_magnitude))
    return {
        f"{source.manifest['rule']}-{criterion}": partial(
            piece, source, settings, labels, criterion
        )
        for source, settings in pruned
        for labels in [cache(partial(unpruned, source))]
        for criterion in ("none", *settings.criterion, *["threshold"] * bool(settings.threshold))
    }


@torch.no_grad()
def piece(run: TrainedRun, config: Prune, labels: Labels, criterion: str) -> Results:
    """Rows of pruning.csv for one criterion, and the files of its networks.

    `labels` gives the classes that the unpruned networks predict. Raises UserError for networks
    that cannot be pruned.
    """
    check_sparse(run)
    networks = list(store(run, cuts(run, config, criterion), labels()))
    table = pd.DataFrame([row for row, _ in networks])
    return {"pruning": table, **{row["file"]: content for row, content in networks}}


def check_sparse(run: TrainedRun) -> None:
    """Raises UserError for a network that cannot be pruned."""
    if run.network.r:
        raise UserError(f"{run.directory} was trained by rule={run.manifest['rule']}: not sparse")
    if run.config.model.network == "recurrent":
        raise UserError(f"{run.directory} has a recurrent network, which cannot be pruned")


def baseline(run: TrainedRun, config: Prune) -> TrainedRun:
    """The run of BP that a run is compared with. Raises UserError for an unsuitable one."""
    other = replace(run, directory=runs.locate(str(config.baseline), Path(config.outputs)))
    if other.manifest["data"]["checksum"] != run.manifest["data"]["checksum"]:
        raise UserError(f"{other.directory} and {run.directory} are of different images")
    if other.manifest["rule"] != "bp" or run.manifest["rule"] == "bp":
        raise UserError("baseline must be a run of rule=bp, and run one of another rule")
    if rates := varied(other.config):
        raise UserError(f"{other.directory} has several values of {' and '.join(rates)}: give one")
    return other


def cuts(run: TrainedRun, config: Prune, criterion: str) -> Iterator[Cut]:
    """The networks that a criterion leaves, also fine-tuned if set."""
    network = run.network
    mean = network.mean()
    if criterion == "none":
        yield Cut("none", [1.0], [], [w.unsqueeze(1) for w in mean])
        return
    if criterion == "threshold":
        levels = config.threshold
        masks = thresholds(network, levels)
    else:
        levels = config.keep
        masks = fractions(network, criterion, levels)
    weights = [w.unsqueeze(1) * mask for w, mask in zip(mean, masks, strict=True)]
    cut = Cut(criterion, levels, masks, weights)
    yield cut
    if config.tune.epochs:
        yield fine_tune(run, cut, config.tune)


def fine_tune(run: TrainedRun, cut: Cut, tune: Tune) -> Cut:
    """The networks of a cut after some epochs of BP, all of them side by side."""
    base, count = training_run.setup(run.config, run.data), len(cut.levels)
    setup = replace(
        base,
        seeds=[seed for seed in base.seeds for _ in cut.levels],
        lr={"m": [tune.lr or TUNING_RATE * lr for lr in base.lr["m"] for _ in cut.levels]},
        decay={"m": [decay for decay in base.decay["m"] for _ in cut.levels]},
        optim=replace(base.optim, halve_every=None),  # it counts the run's epochs
    )
    network = run.network.like(len(setup.seeds), run.device)
    for layer, w in zip(network.layers, cut.weights, strict=True):
        layer.m.data.copy_(w.flatten(0, 1))
    rule = FineTuning(network, setup, cut.masks)
    for epoch in range(tune.epochs):
        loop.one_epoch(run.data, rule, run.config.epochs + 1 + epoch, run.config.batches)
    weights = [layer.m.detach().unflatten(0, (-1, count)) for layer in network.layers]
    return replace(cut, weights=weights, epochs=tune.epochs)


@torch.no_grad()
def unpruned(run: TrainedRun) -> list[sparse.Matrix]:
    """The classes that each replica's unpruned network predicts, run from its sparse matrices."""
    x, mean = pixels(run), run.network.mean()
    replicas = range(run.network.replicas)
    return [stored(run, x, [w[k] for w in mean], "csr").classified.labels for k in replicas]


def pixels(run: TrainedRun) -> sparse.Matrix:
    """The test images (n_in, images) as an array."""
    return run.data.test_x.T.cpu().numpy()


def store(
    run: TrainedRun, cuts: Iterable[Cut], labels: Sequence[sparse.Matrix]
) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Rows of pruning.csv with their files; the unpruned networks also dense.

    n_changed counts the test images whose predicted class is not that of the unpruned network,
    which `labels` has for each replica.
    """
    x = pixels(run)
    rule, network, y = run.manifest["rule"], run.network, run.data.test_y.cpu().numpy()
    total = network.flat["m"].numel() // network.replicas
    for cut in cuts:
        forms = ("csr", "dense") if cut.criterion == "none" else ("csr",)
        networks = product(range(network.replicas), enumerate(cut.levels), forms)
        for replica, (place, level), form in networks:
            made = stored(run, x, [w[replica, place] for w in cut.weights], form)
            changed = made.classified.labels != labels[replica]
            name = f"{rule}-{cut.criterion}-{level:g}-e{cut.epochs}-r{replica}-{form}"
            row = {
                "rule": rule, "replica": replica, "seed": run.seeds[replica],
                "criterion": cut.criterion, "level": level, "epochs": cut.epochs, "format": form,
                "n_weights": made.n_weights, "kept_fraction": made.n_weights / total,
                "n_neurons": made.n_neurons, "bytes": len(made.content),
                "seconds": made.classified.seconds,
                "test_accuracy": accuracy_score(y, made.classified.labels),
                "n_changed": int(changed.sum()), "file": f"networks/{name}.safetensors",
            }  # fmt: skip
            yield row, made.content


def stored(run: TrainedRun, x: sparse.Matrix, mean: Sequence[Tensor], form: str) -> Stored:
    """One network of mean weights (n_out, n_in) in a form, csr or dense, run from that form on x.

    A convolutional network is not run from its sparse matrices: its seconds are None.
    """
    network = run.network
    channels = network.widths[0] if isinstance(network, Convolutional) else None
    scaled = zip(mean, network.scales, strict=True)
    weights: Sequence[Any] = [(w * scale).cpu().numpy() for w, scale in scaled]
    matrices: Sequence[Any] = weights
    if form == "csr":
        weights = sparse.without_dead(weights, channels)
        content = sparse.to_bytes(weights)
        matrices = sparse.from_bytes(content)
    else:
        content = sparse.dense_bytes(weights)
    if isinstance(network, Convolutional):
        outputs = network.run([w[None] for w in mean], run.data.test_x)
        result = sparse.Classified(outputs[0].argmax(-1).cpu().numpy(), None)
    else:
        result = sparse.classified(matrices, x)
    n_weights = sum(int(np.count_nonzero(w)) for w in weights)
    return Stored(content, n_weights, sum(w.shape[0] for w in weights[:-1]), result)


def overview(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Accuracy by fraction kept, rule and criterion, the mean over replicas of one rate."""
    table, columns = tables["pruning"], ["rule", "criterion"]
    levels = [*rates_of(table), "epochs", "level"]  # NaN: the rate of a baseline
    means = table.groupby([*levels, *columns], dropna=False)["test_accuracy"].mean()
    return means.unstack(columns).sort_index(ascending=False)
