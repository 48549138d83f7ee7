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
    check_prefactor,
)

NAMESAKES: dict[type[nn.Module], type[SpikeSlabLayer]] = {
    nn.Linear: SpikeSlabLinear,
    nn.Conv1d: SpikeSlabConv1d,
    nn.Conv2d: SpikeSlabConv2d,
}


def to_spike_slab(
    model: nn.Module,
    only: str | Collection[str] = "*",
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
        only: name of a module as of `named_modules()`, or a pattern such as "features.*"; or
            several. A module's name chooses what is inside it, too.
        prefactor, generator: as of `SpikeSlabLinear`.
        xi_max: the initial size of the slab's variance.

    A warning lists the chosen modules with parameters that were not converted: other kinds,
    subclasses, layers whose `forward` was replaced or whose weight is computed (weight_norm,
    pruning), complex or empty ones or on the device "meta", and with a prefactor layers that
    share their weight with one of those. Modules outside the model are not seen: pass all of it,
    and choose by `only`.

    Returns:
        The model.

    Raises:
        UserError: nothing to convert, a pattern without a module that has parameters, another
            prefactor than that of a layer with the same weight, or a negative xi_max.
    """
    check_prefactor(prefactor)
    if not xi_max >= 0:
        raise UserError(f"xi_max is a variance, not {xi_max}")
    patterns = [only] if isinstance(only, str) else list(only)
    named = list(model.named_modules(remove_duplicate=False))
    filled = [name for name, module in named if module._parameters]
    if unknown := [p for p in patterns if not any(_matches(name, p) for name in filled)]:
        raise UserError(
            f"no module with parameters is {', '.join(unknown)}: see model.named_modules()"
        )
    twins = {m.m: m for _, m in named if isinstance(m, SpikeSlabLayer)}
    chosen = {
        module: name
        for name, module in named
        if any(_matches(name, pattern) for pattern in patterns)
        and module._parameters
        and not isinstance(module, SpikeSlabLayer)
    }
    layers = [module for module in chosen if _convertible(module)]
    if prefactor is not None:  # it changes m, which may be a parameter of other modules too
        others = {p for _, m in named if m not in layers for p in m._parameters.values()}
        layers = [m for m in layers if m.weight not in others - twins.keys()]
    if not layers:
        raise UserError(
            "none of the chosen modules is an nn.Linear, nn.Conv1d or nn.Conv2d that is not "
            "converted yet"
        )
    for layer in layers:
        twin = twins.get(layer.weight)
        if twin and twin.prefactor != prefactor:
            raise UserError(
                f"{chosen[layer]} shares its weight with a layer of prefactor={twin.prefactor!r}"
            )
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


def _matches(name: str, pattern: str) -> bool:
    """Whether a pattern chooses a module, or one that it is in."""
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")


def _convertible(module: nn.Module) -> bool:
    """Whether a module is a layer of torch as torch made it, with a weight of real numbers."""
    weight = module._parameters.get("weight")
    if type(module) not in NAMESAKES or weight is None or "forward" in vars(module):
        return False
    return weight.is_floating_point() and weight.numel() > 0 and not weight.is_meta


def to_plain(layer: SpikeSlabLayer, weight: nn.Parameter) -> None:
    """Make a spike-and-slab layer torch's namesake with this weight, in place."""
    for name in ("m", "pi", "xi", "effective", "noise", "prefactor", "scale", "n_in", "field"):
        delattr(layer, name)
    kind = next(namesake for namesake, kind in NAMESAKES.items() if isinstance(layer, kind))
    layer.__class__ = kind  # type: ignore[assignment]
    layer.weight = weight  # type: ignore[misc]
