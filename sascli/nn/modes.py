"""Prediction modes of a model in evaluation other than the mean network."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from sascli.nn.layers import named_layers


@contextmanager
def sampled(model: nn.Module, generator: torch.Generator) -> Iterator[nn.Module]:
    """Within it, the model is an effective network: each weight is drawn once, at the beginning.

    Layers that share parameters share the draw. The generator is on the model's device.
    """
    layers = [layer for _, layer in named_layers(model)]
    before = [layer.effective for layer in layers]
    different = {layer.m: layer for layer in layers}.values()
    drawn = {layer.m: layer.sample(generator=generator) for layer in different}
    try:
        for layer in layers:
            layer.effective = drawn[layer.m]
        yield model
    finally:
        for layer, weights in zip(layers, before, strict=True):
            layer.effective = weights


def reseed_(model: nn.Module, generator: torch.Generator | None = None) -> nn.Module:
    """Give every layer a new stream of noise, seeded by the generator or torch's global stream.

    Copies of a layer draw the same noise until then, and so do processes of the same seed.
    """
    for _, layer in named_layers(model):
        layer.reseed(generator)
    return model


@contextmanager
def mean_field(model: nn.Module) -> Iterator[nn.Module]:
    """Within it, the model in evaluation is the mean field with fresh noise, as in training.

    nn.TransformerEncoderLayer reads weights instead of calling layers when it can, which is
    switched off meanwhile.
    """
    layers = [layer for _, layer in named_layers(model)]
    before, fast = [layer.field for layer in layers], torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        for layer in layers:
            layer.field = True
        yield model
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for layer, field in zip(layers, before, strict=True):
            layer.field = field
