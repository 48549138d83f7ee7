"""A trained network on images: accuracy, calibration and uncertainty, asked in three ways."""

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
from sascli.core.network import FeedForward
from sascli.core.streams import stream
from sascli.data.accuracy import CHUNK

WAYS = ("mean_field", "mean", "ensemble")
"""Noise drawn as in training; the mean network; the mean prediction of sampled networks."""

Array = NDArray[Any]


@torch.no_grad()
def probabilities(
    network: FeedForward,
    seeds: Sequence[int],
    x: Tensor,
    way: str,
    *,
    samples: int,
    epochs: Sequence[int],
) -> Array:
    """Predicted probabilities of the classes, (replicas, images, classes), in double precision.

    The draws of the mean field are those of the test after the replicas' last `epochs`, the
    sampled networks those of ensemble.csv. A decorrelated network has no mean field: there it is
    the mean network. Nor was it trained to predict probabilities: they are the softmax of outputs
    that learned 0 and 1.
    """
    gbp, device = network.gbp(), x.device
    noise = [
        stream(seed, "evaluation", epoch, device=device)
        for seed, epoch in zip(seeds, epochs, strict=True)
    ]
    if way == "ensemble":
        networks = [effective(network, seeds, sample) for sample in range(samples)]
    elif way == "mean_field" and not network.r:
        networks = [lambda some: gbp.logits(some, network.draw_noise(some.shape[-2], noise))]
    else:
        networks = [network.forward]
    total = sum(
        torch.cat([logits(some).double().softmax(-1) for some in x.split(CHUNK)], 1)
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
    bins: int,
) -> dict[str, pd.DataFrame]:
    """The tables of a network on images x (V, n) of labels y and on images of other things."""
    tables: dict[str, list[pd.DataFrame]] = {}
    labels = y.cpu().numpy()
    for way in WAYS:
        ask = partial(probabilities, network, seeds, way=way, samples=samples, epochs=epochs)
        own, others = ask(x), {name: ask(images) for name, images in against.items()}
        for r, seed in enumerate(seeds):
            entropies = {name: predictive_entropy(p[r]) for name, p in others.items()}
            found = judged(own[r], labels, classes, bins)
            found["uncertainty"] = uncertainty(own[r], labels, entropies)
            for name, table in found.items():
                table.insert(0, "way", way)
                table.insert(0, "seed", seed)
                table.insert(0, "replica", r)
                tables.setdefault(name, []).append(table)
    return {name: pd.concat(parts, ignore_index=True) for name, parts in tables.items()}


def predictive_entropy(p: Array) -> Array:
    """Entropy in nats of each row of probabilities."""
    return np.asarray(entr(p).sum(-1))


def judged(p: Array, y: Array, classes: Sequence[str], bins: int) -> dict[str, pd.DataFrame]:
    """Tables of one network: the whole, by class, confusion of classes, by confidence."""
    numbers, predicted = np.arange(len(classes)), p.argmax(-1)
    curve = reliability(predicted == y, p.max(-1), bins)
    gap = (curve["accuracy"] - curve["confidence"]).abs()
    whole = {
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
    true, said = np.indices(counts.shape).reshape(2, -1)
    names = np.array(classes)
    return {
        "evaluation": pd.DataFrame([whole]),
        "classes": pd.DataFrame({"class": names} | dict(zip(columns, by_class, strict=True))),
        "confusion": pd.DataFrame(
            {"class": names[true], "predicted": names[said], "count": counts.ravel()}
        ),
        "reliability": curve,
    }


def reliability(right: Array, confidence: Array, bins: int) -> pd.DataFrame:
    """Mean confidence and accuracy of the images in each bin of confidence that has any."""
    edges = np.linspace(0, 1, bins + 1)
    place = np.searchsorted(edges[1:-1], confidence)  # the bins of calibration_curve
    count = np.bincount(place, minlength=bins)
    accuracy, mean = calibration_curve(right, confidence, n_bins=bins, pos_label=True)
    full = count > 0
    return pd.DataFrame(
        {
            "bin_left": edges[:-1][full],
            "bin_right": edges[1:][full],
            "count": count[full],
            "confidence": mean,
            "accuracy": accuracy,
        }
    )


def uncertainty(p: Array, y: Array, others: Mapping[str, Array]) -> pd.DataFrame:
    """How well the entropy of the prediction tells wrong from right answers, and other things.

    The area under the ROC curve: 1 where all of the kind have the greater entropy, 1/2 where it
    tells nothing, empty where there are none of one side.
    """
    own = predictive_entropy(p)
    wrong = p.argmax(-1) != y
    rows = [("wrong", own, wrong)]
    rows += [
        (name, np.append(own, other), np.repeat([False, True], [len(own), len(other)]))
        for name, other in others.items()
    ]
    return pd.DataFrame(
        {
            "kind": kind,
            "auroc": metrics.roc_auc_score(odd, score) if 0 < odd.sum() < len(odd) else np.nan,
            "n_images": len(odd) - odd.sum(),
            "n_kind": odd.sum(),
        }
        for kind, score, odd in rows
    )
