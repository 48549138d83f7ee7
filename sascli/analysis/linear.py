"""Linear maps through several layers, read off decorrelated inputs: features, compression."""

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import product as product_of

import pandas as pd
import torch
from torch import Tensor

from sascli.analysis.pixels import pixels
from sascli.core.copi import Decorrelated
from sascli.core.network import FeedForward
from sascli.core.products import product
from sascli.data import Data
from sascli.data.accuracy import CHUNK, accuracy

Span = tuple[int, int]
"""The first and the last of some layers in a row, counted from 1."""


@torch.no_grad()
def linear_maps(layers: Decorrelated, x: Tensor, spans: Iterable[Span]) -> dict[Span, Tensor]:
    """B = <a x^T> diag<x^2>^-1 of each span of layers, (replicas, n_out, n_in).

    x are the decorrelated inputs of the span's first layer and a the activations of its last,
    <> the mean over images (T, n). On decorrelated inputs B is the least-squares map from x to
    a; a column is 0 where <x_j^2> is.
    """
    spans = list(spans)
    hebb: dict[Span, Tensor] = {}
    power: dict[int, Tensor] = {}
    for some in x.split(CHUNK):
        inputs, activations = layers.forward(some)
        for start in {start for start, _ in spans}:
            own = inputs[start - 1].square().sum(-2, keepdim=True)
            power[start] = power.get(start, 0) + own
        for start, stop in spans:
            own = product(activations[stop - 1].mT, inputs[start - 1])
            hebb[start, stop] = hebb.get((start, stop), 0) + own
    return {
        span: torch.where(power[span[0]] > 0, own / power[span[0]], 0)
        for span, own in hebb.items()
    }


def features(
    layers: Decorrelated, x: Tensor, data: Data, *, layer: int, units: Sequence[int], replica: int
) -> pd.DataFrame:
    """features.csv: B R of a layer's units, B from the input to their activations on images x."""
    span = (1, layer)
    own = linear_maps(layers, x, [span])[span][replica, list(units)] @ layers.r[0][replica]
    return pixels(own, data.image_shape, [{"layer": layer, "unit": unit} for unit in units])


def network_of(weights: Sequence[Tensor], slope: float) -> FeedForward:
    """A network without R of given weights, (replicas, n_out, n_in) each, and leaky ReLUs."""
    first = weights[0]
    widths = [first.shape[2], *(w.shape[1] for w in weights)]
    network = FeedForward(widths, len(first), device=first.device, dtype=first.dtype)
    network.decorrelate([], slope)
    for own, w in zip(network.split(network.flat["m"]), weights, strict=True):
        own.copy_(w)
    return network


@torch.no_grad()
def compression(layers: Decorrelated, seeds: Sequence[int], x: Tensor, data: Data) -> pd.DataFrame:
    """compression.csv: test accuracy with the first, or the last, k layers as their linear map.

    The maps are read from images x. The other layers have the weights W R, a map B becomes B R.
    """
    network, depth = layers.network, len(layers.w)
    spans = {("first", k): (1, k) for k in range(1, depth + 1)}
    spans |= {("last", k): (depth - k + 1, depth) for k in range(1, depth + 1)}
    maps, rows = linear_maps(layers, x, {*spans.values()}), []
    for part, k in product_of(("first", "last"), range(depth + 1)):
        weights = network.mean()
        if k:
            start, stop = span = spans[part, k]
            weights[start - 1 : stop] = [product(maps[span], layers.r[start - 1])]
        small = network_of(weights, layers.slope)
        right = accuracy(partial(small.run, weights), data.test_x, data.test_y)
        rows += [
            {
                "replica": r,
                "seed": seed,
                "part": part,
                "k": k,
                "parameters": sum(w[r].numel() for w in weights),
                "test_accuracy": value,
            }
            for r, (seed, value) in enumerate(zip(seeds, right.tolist(), strict=True))
        ]
    return pd.DataFrame(rows).sort_values(["replica", "part", "k"], ignore_index=True)
