"""Pruning of a trained run: the connections that stay, fine-tuning, the sparse networks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import accuracy_score
from torch import Tensor

from sascli import runs
from sascli.analysis import sparse
from sascli.analysis.pruning import fractions, thresholds
from sascli.config import Prune, RuleSettings, Tune
from sascli.core.convolutional import Convolutional
from sascli.core.network import FeedForward
from sascli.errors import UserError
from sascli.measure.record import Results
from sascli.measure.run import TrainedRun
from sascli.rules.base import Setup
from sascli.rules.bp import BP
from sascli.training import loop
from sascli.training import run as training_run

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


class FineTuning(BP):
    """Back-propagation of the connections that stay; the others remain 0."""

    def __init__(self, network: FeedForward, setup: Setup, masks: Sequence[Tensor]) -> None:
        super().__init__(network, RuleSettings("bp"), setup)
        self.mask = torch.cat([mask.flatten() for mask in masks])

    def project(self) -> None:
        """The removed connections remain 0."""
        self.network.flat["m"].mul_(self.mask)


@torch.no_grad()
def prune(run: TrainedRun, config: Prune) -> Results:
    """pruning.csv and the files of a run's networks, and of its baseline pruned by magnitude.

    Raises UserError for a baseline of other images or not of BP, and for networks that are
    recurrent or whose inputs are decorrelated.
    """
    pruned = [(run, config)]
    if config.baseline is not None:
        by_magnitude = replace(config, criterion=["magnitude"], threshold=[])
        pruned.append((baseline(run, config), by_magnitude))
    networks = [
        network for source, settings in pruned for network in store(source, cuts(source, settings))
    ]
    table = pd.DataFrame([row for row, _ in networks])
    return {"pruning": table, **{row["file"]: content for row, content in networks}}


def baseline(run: TrainedRun, config: Prune) -> TrainedRun:
    """The run of BP that a run is compared with. Raises UserError for an unsuitable one."""
    other = replace(run, directory=runs.locate(str(config.baseline), Path(config.outputs)))
    if other.manifest["data"]["checksum"] != run.manifest["data"]["checksum"]:
        raise UserError(f"{other.directory} and {run.directory} are of different images")
    if other.manifest["rule"] != "bp" or run.manifest["rule"] == "bp":
        raise UserError("baseline must be a run of rule=bp, and run one of another rule")
    return other


def cuts(run: TrainedRun, config: Prune) -> Iterator[Cut]:
    """The unpruned network, then every criterion with its levels, also fine-tuned if set.

    Raises UserError for a network that cannot be pruned.
    """
    network = run.network
    if network.r:
        raise UserError(f"{run.directory} was trained by rule={run.manifest['rule']}: not sparse")
    if run.config.model.network == "recurrent":
        raise UserError(f"{run.directory} has a recurrent network, which cannot be pruned")
    mean = network.mean()
    yield Cut("none", [1.0], [], [w.unsqueeze(1) for w in mean])
    keep, limits = config.keep, config.threshold
    masks = {name: (keep, fractions(network, name, keep)) for name in config.criterion}
    if limits:
        masks["threshold"] = (limits, thresholds(network, limits))
    for criterion, (levels, stays) in masks.items():
        weights = [w.unsqueeze(1) * mask for w, mask in zip(mean, stays, strict=True)]
        cut = Cut(criterion, levels, stays, weights)
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


def store(run: TrainedRun, cuts: Iterable[Cut]) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Rows of pruning.csv with their files; the unpruned networks, which come first, also dense.

    n_changed counts the test images whose predicted class is not that of the unpruned network. A
    convolutional network is not run from its sparse matrices: its seconds are empty.
    """
    rule, network = run.manifest["rule"], run.network
    test_x, y = run.data.test_x, run.data.test_y.cpu().numpy()
    x = test_x.T.cpu().numpy()
    convolutional = isinstance(network, Convolutional)
    channels = network.widths[0] if convolutional else None
    total = network.flat["m"].numel() // network.replicas
    unpruned = dict[int, sparse.Matrix]()  # predicted classes by replica
    for cut in cuts:
        forms = ("csr", "dense") if cut.criterion == "none" else ("csr",)
        networks = product(range(network.replicas), enumerate(cut.levels), forms)
        for replica, (place, level), form in networks:
            layers = zip(cut.weights, network.scales, strict=True)
            weights = [(w[replica, place] * scale).cpu().numpy() for w, scale in layers]
            matrices: Sequence[Any] = weights
            if form == "csr":
                weights = sparse.without_dead(weights, channels)
                content = sparse.to_bytes(weights)
                matrices = sparse.from_bytes(content)
            else:
                content = sparse.dense_bytes(weights)
            if convolutional:
                outputs = network.run([w[replica, place, None] for w in cut.weights], test_x)
                result = sparse.Classified(outputs[0].argmax(-1).cpu().numpy(), None)
            else:
                result = sparse.classified(matrices, x)
            n_weights = sum(np.count_nonzero(w) for w in weights)
            changed = result.labels != unpruned.setdefault(replica, result.labels)
            name = f"{rule}-{cut.criterion}-{level:g}-e{cut.epochs}-r{replica}-{form}"
            row = {
                "rule": rule, "replica": replica, "seed": run.seeds[replica],
                "criterion": cut.criterion, "level": level, "epochs": cut.epochs, "format": form,
                "n_weights": n_weights, "kept_fraction": n_weights / total,
                "n_neurons": sum(w.shape[0] for w in weights[:-1]),
                "bytes": len(content), "seconds": result.seconds,
                "test_accuracy": accuracy_score(y, result.labels), "n_changed": int(changed.sum()),
                "file": f"networks/{name}.safetensors",
            }  # fmt: skip
            yield row, content


def overview(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Accuracy by fraction kept, rule and criterion, the mean over replicas."""
    levels, columns = ["epochs", "level"], ["rule", "criterion"]
    mean = tables["pruning"].pivot_table("test_accuracy", levels, columns)
    return mean.sort_index(ascending=False)
