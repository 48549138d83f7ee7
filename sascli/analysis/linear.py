"""Linear maps through several layers, from decorrelated inputs: features and compression."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from sascli.analysis.pixels import pixels
from sascli.analysis.replicas import replica_rows
from sascli.core.copi import Decorrelated
from sascli.core.products import product
from sascli.data import Data
from sascli.data.accuracy import CHUNK

Span = tuple[int, int]
"""The first and the last of consecutive layers, counted from 1."""


@torch.no_grad()
def linear_maps(layers: Decorrelated, x: Tensor, spans: Iterable[Span]) -> dict[Span, Tensor]:
    """B = <a x^T> diag<x^2>^-1 of each span of layers, (replicas, n_out, n_in).

    x are the decorrelated inputs of the span's first layer and a the activations of its last,
    <> the mean over images (T, n). On decorrelated inputs B is the least-squares map from x to
    a; a column is 0 where <x_j^2> = 0.
    """
    spans = list(spans)
    hebb: defaultdict[Span, Any] = defaultdict(int)
    power: defaultdict[int, Any] = defaultdict(int)
    for images in x.split(CHUNK):
        inputs, activations = layers.forward(images)
        for start in {start for start, _ in spans}:
            power[start] += inputs[start - 1].square().sum(-2, keepdim=True)
        for start, stop in spans:
            hebb[start, stop] += product(activations[stop - 1].mT, inputs[start - 1])
    return {
        (start, stop): torch.where(power[start] > 0, sums / power[start], 0)
        for (start, stop), sums in hebb.items()
    }


def features(
    layers: Decorrelated, x: Tensor, data: Data, *, layer: int, units: Sequence[int], replica: int
) -> pd.DataFrame:
    """features.csv: B R of a layer's units, B from the input to their activations on images x."""
    span = (1, layer)
    maps = linear_maps(layers, x, [span])[span][replica, list(units)] @ layers.r[0][replica]
    return pixels(maps, data.image_shape, layer=layer, unit=list(units))


def outputs(weights: Sequence[Tensor], slope: float, x: Tensor) -> Tensor:
    """Outputs of leaky ReLU networks with these weights, each (replicas, n_out, n_in)."""
    a = x.expand(len(weights[0]), *x.shape)
    for number, w in enumerate(weights):
        a = product(F.leaky_relu(a, slope) if number else a, w.mT)
    return a


@torch.no_grad()
def compression(layers: Decorrelated, seeds: Sequence[int], x: Tensor, data: Data) -> pd.DataFrame:
    """compression.csv: test accuracy with the first, or the last, k layers as their linear map.

    The maps are estimated from images x. The other layers have the weights W R, a map B becomes
    B R.
    """
    depth = len(layers.w)
    spans = {("first", k): (1, k) for k in range(depth + 1)}
    spans |= {("last", k): (depth - k + 1, depth) for k in range(depth + 1)}
    maps = linear_maps(layers, x, {span for (_, k), span in spans.items() if k})
    tables = []
    for (part, k), (start, stop) in spans.items():
        weights = layers.network.mean()
        if k:
            weights[start - 1 : stop] = [product(maps[start, stop], layers.r[start - 1])]
        values = data.accuracy(partial(outputs, weights, layers.slope)).tolist()
        parameters = sum(w[0].numel() for w in weights)
        columns = {"part": part, "k": k, "parameters": parameters, "test_accuracy": values}
        tables.append(replica_rows(seeds, **columns))
    return pd.concat(tables).sort_values(["replica", "part", "k"], ignore_index=True)
