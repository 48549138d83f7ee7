"""The projection of pi and Xi after each step of an optimiser."""

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from sascli.errors import UserError
from sascli.nn.layers import named_layers


def project_(model: nn.Module) -> nn.Module:
    """Project pi into [0, 1] and Xi into [0, inf) in all layers; to be called after each step.

    Raises UserError for a model without spike-and-slab layers.
    """
    for _, layer in named_layers(model):
        layer.project_()
    return model


def project_after(optimiser: torch.optim.Optimizer, model: nn.Module) -> RemovableHandle:
    """Call `project_(model)` after each step of the optimiser, until the handle is removed.

    Raises UserError for a model without spike-and-slab layers, and for an optimiser made before
    the conversion of a layer, which would leave its pi and Xi as they are.
    """
    changed = {p for group in optimiser.param_groups for p in group["params"]}
    layers = dict(named_layers(model))
    without = {name: w for name, w in layers.items() if not {w.pi, w.xi} & changed}
    late = [name for name, layer in without.items() if layer.m in changed]
    if late or len(without) == len(layers):
        names = ", ".join(late) or "the model"
        raise UserError(f"the optimiser has no pi or xi of {names}: make it after the conversion")

    def hook(*_: object) -> None:
        project_(model)

    return optimiser.register_step_post_hook(hook)
