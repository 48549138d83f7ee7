"""A trained network on images: accuracy, calibration and uncertainty by prediction mode."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.special import entr
from sklearn import metrics
from sklearn.calibration import calibration_curve
from torch import Tensor

from sascli.analysis.ensemble import effective
from sascli.analysis.replicas import replica_tables
from sascli.core.network import FeedForward
from sascli.core.streams import stream
from sascli.data.accuracy import in_chunks

MODES = ("mean_field", "mean", "ensemble")
"""Prediction modes: mean field, with noise as in training; mean network; mean prediction of
sampled networks."""

Array = NDArray[Any]


@torch.no_grad()
def probabilities(
    network: FeedForward,
    seeds: Sequence[int],
    x: Tensor,
    mode: str,
    *,
    samples: int,
    epochs: Sequence[int],
    redraw: str,
) -> Array:
    """Predicted probabilities of the classes, (replicas, images, classes), in double precision.

    The noise of the mean field is that of the test after the replicas' last `epochs`, the sampled
    networks are those of ensemble.csv, their weights drawn as often as `redraw` says. A
    decorrelated network has no mean field, so that its mean network is used; its probabilities
    are the softmax of outputs that were trained towards 0 and 1.
    """
    generators = [
        stream(seed, "evaluation", epoch, device=x.device)
        for seed, epoch in zip(seeds, epochs, strict=True)
    ]
    if mode == "ensemble":
        networks = [effective(network, seeds, sample, redraw) for sample in range(samples)]
    elif mode == "mean_field" and not network.r:
        outputs = network.gbp().predictor()
        networks = [lambda x: outputs(x, network.draw_noise(x.shape[-2], generators))]
    else:
        weights = network.mean()
        networks = [lambda x: network.run(weights, x)]
    total = sum(
        torch.cat([outputs.double().softmax(-1) for outputs in in_chunks(logits, x)], 1)
        for logits in networks
    )
    return (torch.as_tensor(total) / len(networks)).cpu().numpy()


def evaluation(
    network: FeedForward,
    seeds: Sequence[int],
    x: Tensor,
    y: Tensor,
    classes: Sequence[str],
    against: Mapping[str, Tensor],
    *,
    samples: int,
    epochs: Sequence[int],
    redraw: str,
    bins: int,
) -> dict[str, pd.DataFrame]:
    """The tables of a network on images x (V, n) of labels y and on images of other data sets."""
    tables: dict[str, list[pd.DataFrame]] = {}
    labels = y.cpu().numpy()
    for mode in MODES:
        predict = partial(
            probabilities, network, seeds,
            mode=mode, samples=samples, epochs=epochs, redraw=redraw,
        )  # fmt: skip
        others = {name: predict(images) for name, images in against.items()}
        by_replica = []
        for r, p in enumerate(predict(x)):
            entropies = {name: predictive_entropy(other[r]) for name, other in others.items()}
            detected = {"uncertainty": uncertainty(p, labels, entropies)}
            by_replica.append(scores(p, labels, classes, bins) | detected)
        for name in by_replica[0]:
            table = replica_tables(seeds, (parts[name] for parts in by_replica))
            table.insert(2, "way", mode)
            tables.setdefault(name, []).append(table)
    return {name: pd.concat(parts, ignore_index=True) for name, parts in tables.items()}


def predictive_entropy(p: Array) -> Array:
    """Entropy in nats of each row of probabilities."""
    return np.asarray(entr(p).sum(-1))


def scores(p: Array, y: Array, classes: Sequence[str], bins: int) -> dict[str, pd.DataFrame]:
    """Tables of one network: over all images, by class, confusion of classes, by confidence."""
    numbers, predicted = np.arange(len(classes)), p.argmax(-1)
    curve = reliability(predicted == y, p.max(-1), bins)
    gap = (curve["accuracy"] - curve["confidence"]).abs()
    overall = {
        "n_images": len(y),
        "test_accuracy": metrics.accuracy_score(y, predicted),
        "log_loss": metrics.log_loss(y, p, labels=numbers),
        "calibration_error": np.average(gap, weights=curve["count"]),
        "entropy": predictive_entropy(p).mean(),
    }
    by_class = metrics.precision_recall_fscore_support(
        y, predicted, labels=numbers, zero_division=np.nan
    )
    columns = ("precision", "recall", "f1", "n_images")
    counts = metrics.confusion_matrix(y, predicted, labels=numbers)
    true, prediction = np.indices(counts.shape).reshape(2, -1)
    names = np.array(classes)
    return {
        "evaluation": pd.DataFrame([overall]),
        "classes": pd.DataFrame({"class": names} | dict(zip(columns, by_class, strict=True))),
        "confusion": pd.DataFrame(
            {"class": names[true], "predicted": names[prediction], "count": counts.ravel()}
        ),
        "reliability": curve,
    }


def reliability(correct: Array, confidence: Array, bins: int) -> pd.DataFrame:
    """Mean confidence and accuracy of the images in each bin of confidence that is not empty."""
    edges = np.linspace(0, 1, bins + 1)
    index = np.searchsorted(edges[1:-1], confidence)  # the bins of calibration_curve
    count = np.bincount(index, minlength=bins)
    accuracy, mean = calibration_curve(correct, confidence, n_bins=bins, pos_label=True)
    used = count > 0
    return pd.DataFrame(
        {
            "bin_left": edges[:-1][used],
            "bin_right": edges[1:][used],
            "count": count[used],
            "confidence": mean,
            "accuracy": accuracy,
        }
    )


def uncertainty(p: Array, y: Array, others: Mapping[str, Array]) -> pd.DataFrame:
    """How well predictive entropy detects wrong answers, and images of other data sets.

    `others` are the entropies of those images. The measure is the area under the ROC curve: 1 if
    all images to be detected have the greater entropy, 1/2 if it is uninformative, empty if there
    are none to be detected, or no others.
    """
    entropy = predictive_entropy(p)
    rows = [("wrong", entropy, p.argmax(-1) != y)]
    for name, other in others.items():
        foreign = np.repeat([False, True], [len(entropy), len(other)])
        rows.append((name, np.append(entropy, other), foreign))
    return pd.DataFrame(
        {
            "kind": kind,
            "auroc": metrics.roc_auc_score(mask, score) if 0 < mask.sum() < len(mask) else np.nan,
            "n_images": len(mask) - mask.sum(),
            "n_kind": mask.sum(),
        }
        for kind, score, mask in rows
    )
