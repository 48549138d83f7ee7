"""The pruning of a run: which connections stay, fine-tuning of the rest, the sparse networks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from sklearn.metrics import accuracy_score
from torch import Tensor

from sascli import runs
from sascli.analysis import sparse
from sascli.analysis.pruning import fractions, thresholds
from sascli.config import Prune, RuleSettings, Tune
from sascli.core.network import FeedForward
from sascli.errors import UserError
from sascli.measure.record import Results
from sascli.measure.run import TrainedRun
from sascli.rules.base import Setup
from sascli.rules.bp import BP
from sascli.training import loop
from sascli.training import run as training_run

TENTH = 0.1
"""Of the learning rate of training is that of fine-tuning."""


@dataclass(frozen=True)
class Cut:
    """Networks (replicas, levels) that a criterion leaves: masks and weights of every layer."""

    criterion: str
    levels: Sequence[float]
    masks: Sequence[Tensor]
    weights: Sequence[Tensor]


class FineTuning(BP):
    """Back-propagation of the connections that stay; the others remain 0."""

    def __init__(self, network: FeedForward, setup: Setup, masks: Sequence[Tensor]) -> None:
        super().__init__(network, RuleSettings("bp"), setup)
        self.mask = torch.cat([mask.flatten() for mask in masks])

    def step(self, x: Tensor, y: Tensor) -> Tensor:
        """One step of BP."""
        loss = super().step(x, y)
        self.network.flat["m"].mul_(self.mask)
        return loss


@torch.no_grad()
def prune(run: TrainedRun, config: Prune) -> Results:
    """pruning.csv and the files of the networks of a run, and of the baseline by magnitude.

    Raises UserError for a baseline of other images or not of BP, and for networks that are
    recurrent or whose inputs are decorrelated.
    """
    whole = [(run, config.criterion, config.threshold)]
    if config.baseline is not None:
        other = replace(run, directory=runs.locate(config.baseline, Path(config.outputs)))
        if other.manifest["data"]["checksum"] != run.manifest["data"]["checksum"]:
            raise UserError(f"{other.directory} and {run.directory} are of different images")
        if other.manifest["rule"] != "bp" or run.manifest["rule"] == "bp":
            raise UserError("baseline is a run of rule=bp beside one of another rule")
        whole.append((other, ["magnitude"], []))
    rows, files = list[dict[str, Any]](), dict[str, bytes]()
    for own, criteria, limits in whole:
        if own.network.r:
            raise UserError(f"{own.directory} is of rule {own.manifest['rule']}: not sparse")
        if own.config.model.network != "feedforward":
            raise UserError(f"{own.directory} has a recurrent network: only others are pruned")
        for row, content in stored(own, cuts(own, config, criteria, limits)):
            rows.append(row)
            files[row["file"]] = content
    return {"pruning": pd.DataFrame(rows), **files}


def cuts(
    run: TrainedRun, config: Prune, criteria: Sequence[str], limits: Sequence[float]
) -> Iterator[tuple[int, Cut]]:
    """Every criterion with its levels: as cut, and after some epochs of fine-tuning."""
    network = run.network
    masks = {name: (config.keep, fractions(network, name, config.keep)) for name in criteria}
    if limits:
        masks["threshold"] = (list(limits), thresholds(network, limits))
    for criterion, (levels, own) in masks.items():
        weights = [w.unsqueeze(1) * m for w, m in zip(network.mean(), own, strict=True)]
        cut = Cut(criterion, levels, own, weights)
        yield 0, cut
        if config.tune.epochs:
            yield config.tune.epochs, tuned(run, cut, config.tune)


def tuned(run: TrainedRun, cut: Cut, how: Tune) -> Cut:
    """The networks of a cut after some epochs of BP, all of them side by side."""
    base, count = training_run.setup(run.config, run.data), len(cut.levels)
    seeds = [seed for seed in base.seeds for _ in cut.levels]
    rates = [how.lr or TENTH * own for own in base.lr["m"] for _ in cut.levels]
    decay = [own for own in base.decay["m"] for _ in cut.levels]
    optim = replace(base.optim, halve_every=None)  # it would halve by the epochs of the run
    setup = replace(base, seeds=seeds, lr={"m": rates}, decay={"m": decay}, optim=optim)
    like = run.network.flat["m"]
    network = FeedForward(run.network.widths, len(seeds), device=like.device, dtype=like.dtype)
    for layer, w in zip(network.layers, cut.weights, strict=True):
        layer.m.data.copy_(w.flatten(0, 1))
    rule = FineTuning(network, setup, cut.masks)
    for epoch in range(how.epochs):
        loop.one_epoch(run.config, run.data, rule, run.config.epochs + 1 + epoch)
    weights = [layer.m.detach().unflatten(0, (-1, count)) for layer in network.layers]
    return replace(cut, weights=weights)


def stored(
    run: TrainedRun, found: Iterator[tuple[int, Cut]]
) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Rows of pruning.csv with their files: the whole networks, then those of every cut."""
    rule, scales = run.manifest["rule"], run.network.scales
    x, y = run.data.test_x.T.cpu().numpy(), run.data.test_y.cpu().numpy()
    total = run.network.flat["m"].numel() // run.network.replicas
    labels = dict[int, Any]()  # of the whole network of each replica

    def row(
        replica: int, criterion: str, level: float, epochs: int, weights: list[Any], *, csr: bool
    ) -> tuple[dict[str, Any], bytes]:
        kept = sparse.without_dead(weights) if csr else weights
        content = sparse.to_bytes(kept) if csr else sparse.dense_bytes(kept)
        found = sparse.classified(sparse.from_bytes(content) if csr else kept, x)
        reference = labels.setdefault(replica, found.labels)
        stays = sum(int((w != 0).sum()) for w in kept)
        form = "csr" if csr else "dense"
        return {
            "rule": rule,
            "replica": replica,
            "seed": run.seeds[replica],
            "criterion": criterion,
            "level": level,
            "epochs": epochs,
            "format": form,
            "n_weights": stays,
            "kept_fraction": stays / total,
            "n_neurons": sum(w.shape[0] for w in kept[:-1]),
            "bytes": len(content),
            "seconds": found.seconds,
            "test_accuracy": accuracy_score(y, found.labels),
            "n_changed": int((found.labels != reference).sum()),
            "file": f"networks/{rule}-{criterion}-{level:g}-e{epochs}-r{replica}-{form}"
            ".safetensors",
        }, content

    def numbers(weights: Sequence[Tensor]) -> list[Any]:
        return [(w * s).cpu().numpy() for w, s in zip(weights, scales, strict=True)]

    for replica in range(run.network.replicas):
        weights = numbers([w[replica] for w in run.network.mean()])
        for csr in (True, False):
            yield row(replica, "none", 1.0, 0, weights, csr=csr)
    for epochs, cut in found:
        for replica in range(run.network.replicas):
            for place, level in enumerate(cut.levels):
                weights = numbers([w[replica, place] for w in cut.weights])
                yield row(replica, cut.criterion, level, epochs, weights, csr=True)


def overview(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Accuracy by fraction kept, rule and criterion, the mean over replicas."""
    table = tables["pruning"]
    columns = ["rule", "criterion"]
    mean = table.pivot_table("test_accuracy", ["epochs", "level"], columns)
    return mean.sort_index(ascending=False)
