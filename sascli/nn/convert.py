"""Conversion of a model's layers to spike-and-slab layers."""

import warnings
from collections.abc import Collection
from fnmatch import fnmatchcase

import torch
from torch import nn

from sascli.errors import UserError
from sascli.nn.layers import (
    XI_MAX,
    SpikeSlabConv1d,
    SpikeSlabConv2d,
    SpikeSlabLayer,
    SpikeSlabLinear,
)

NAMESAKES: dict[type[nn.Module], type[SpikeSlabLayer]] = {
    nn.Linear: SpikeSlabLinear,
    nn.Conv1d: SpikeSlabConv1d,
    nn.Conv2d: SpikeSlabConv2d,
}


def to_spike_slab(
    model: nn.Module,
    only: Collection[str] = ("*",),
    *,
    prefactor: str | None = None,
    xi_max: float = XI_MAX,
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Make every Linear, Conv1d and Conv2d of a model a spike-and-slab layer, in place.

    Modules, hooks and parameters remain the same objects: `weight` becomes `m`, so an optimiser
    of the model still has it, but needs the new pi and Xi. Layers that share a weight share its
    distribution. pi = 0 and s^2 N Xi ~ Uniform(0, xi_max), so the mean network is the model as it
    was; with `prefactor="sqrt"` m is sqrt(N) times the weight.

    Arguments:
        model: the model, or a single layer.
        only: names of modules as of `named_modules()`, or patterns such as "features.*".
        prefactor, generator: as of `SpikeSlabLinear`.
        xi_max: the initial size of the slab's variance.

    A warning lists the chosen modules with parameters that were not converted: other kinds,
    subclasses, layers whose weight is computed (weight_norm, pruning), and with a prefactor
    layers that share their weight with one of those.

    Returns:
        The model.

    Raises:
        UserError: nothing to convert, or a pattern without a module.
    """
    named = list(model.named_modules(remove_duplicate=False))
    if unknown := [p for p in only if not any(fnmatchcase(name, p) for name, _ in named)]:
        raise UserError(f"the model has no module {', '.join(unknown)}: see model.named_modules()")
    twins = {m.m: m for _, m in named if isinstance(m, SpikeSlabLayer)}
    chosen = {
        module: name
        for name, module in named
        if any(fnmatchcase(name, pattern) for pattern in only)
        and module._parameters
        and not isinstance(module, SpikeSlabLayer)
    }
    layers = [m for m in chosen if type(m) in NAMESAKES and "weight" in m._parameters]
    if prefactor is not None:  # it changes m, which may be a parameter of other modules too
        others = {p for _, m in named if m not in layers for p in m._parameters.values()}
        layers = [m for m in layers if m.weight not in others - twins.keys()]
    if not layers:
        raise UserError("none of the chosen modules is an nn.Linear, nn.Conv1d or nn.Conv2d")
    for layer in layers:
        layer.__class__ = NAMESAKES[type(layer)]
        assert isinstance(layer, SpikeSlabLayer)
        layer.spread(prefactor, generator)
        twin = twins.setdefault(layer.m, layer)
        if twin is layer:
            layer.m.data.div_(layer.scale)
            layer.draw_xi(xi_max)
        layer.pi, layer.xi = twin.pi, twin.xi
    if skipped := [
        f"{name or 'the model itself'} ({type(module).__name__})"
        for module, name in chosen.items()
        if module not in layers
    ]:
        warnings.warn(f"not converted: {', '.join(skipped)}", stacklevel=2)
    return model


def to_plain(layer: SpikeSlabLayer, weight: nn.Parameter) -> None:
    """Make a spike-and-slab layer torch's namesake with this weight, in place."""
    for name in ("m", "pi", "xi", "effective", "noise", "prefactor", "scale", "n_in", "field"):
        delattr(layer, name)
    kind = next(namesake for namesake, kind in NAMESAKES.items() if isinstance(layer, kind))
    layer.__class__ = kind  # type: ignore[assignment]
    layer.weight = weight  # type: ignore[misc]
