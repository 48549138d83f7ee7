"""Changes of a model's connections: switched off or on, or pruned."""

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.utils.prune import custom_from_mask

from sascli.analysis.perturbation import PERTURBATIONS, Candidates, Thresholds
from sascli.analysis.pruning import fractions
from sascli.errors import UserError
from sascli.nn.convert import to_plain
from sascli.nn.layers import named_layers
from sascli.nn.tables import rows

CRITERIA = ("pi", "snr", "magnitude")


@torch.no_grad()
def perturb_(
    model: nn.Module,
    kind: str,
    fraction: float = 1.0,
    *,
    generator: torch.Generator,
    only: str | None = None,
    tolerance: float = 0.0,
) -> dict[str, int]:
    """Switch connections of every layer off (pi := 1) or on, in place.

    Arguments:
        kind: vip_off, uip_on, random_off (of all), other_off (neither VIP nor UIP).
        fraction: n = fraction x (number of the layer's VIPs, for uip_on of its UIPs) are drawn.
        only: the name of one layer; by default all.
        generator: on the model's device.
        tolerance: of pi and Xi in the definition of VIP and UIP.

    On sets pi = Xi = 0 and draws m ~ N(0, 1 / (s^2 N)), s the layer's prefactor and N its inputs,
    as `sas perturb` does: the published N(0, 1) where s = 1/sqrt(N), N(0, 1/N) where s = 1.

    Returns:
        The number of changed connections by layer.

    Raises:
        UserError: another kind, a fraction outside [0, 1], no such layer, or no spike-and-slab
            layer.
    """
    if kind not in PERTURBATIONS:
        raise UserError(f"kind is one of {', '.join(PERTURBATIONS)}, not {kind!r}")
    if not 0 <= fraction <= 1:
        raise UserError(f"fraction is in [0, 1], not {fraction}")
    network, changed = rows(model), dict[str, int]()
    if only not in (None, *network.layer_names):
        raise UserError(f"there is no layer {only!r}: choose {', '.join(network.layer_names)}")
    for name, slab, layer in zip(
        network.layer_names, network.layers, network.modules, strict=True
    ):
        if only in (None, name):
            candidates = Candidates(slab, Thresholds(tolerance))
            mask = candidates.choose(
                kind, torch.tensor([fraction], device=slab.m.device), generator
            )
            chosen = mask.view_as(layer.m)
            changed[name] = int(chosen.sum())
            if kind == "uip_on":
                draws = torch.empty_like(slab.m).normal_(generator=generator).view_as(layer.m)
                layer.m[chosen] = draws[chosen] / (layer.scale * layer.n_in**0.5)
                layer.pi[chosen] = layer.xi[chosen] = 0
            else:
                layer.pi[chosen] = 1
    return changed


@torch.no_grad()
def prune(model: nn.Module, keep: float, criterion: str = "pi") -> nn.Module:
    """A copy of the model in torch's layers: the mean network with a fraction of its weights.

    Connections are chosen from all layers together, as by `sas prune`: those remain that have
    the smallest `pi`, the largest signal-to-noise ratio (`snr`), or the largest `magnitude`. The
    others are masked by torch.nn.utils.prune, so that they remain 0 in fine-tuning, until
    `torch.nn.utils.prune.remove`. `keep=1` is the mean network. Layers that share a weight still
    do, other modules that share it keep a copy of m.

    Raises UserError for a fraction outside [0, 1], another criterion, or no spike-and-slab layer.
    """
    if not 0 <= keep <= 1 or criterion not in CRITERIA:
        raise UserError(f"keep is in [0, 1] and criterion one of {', '.join(CRITERIA)}")
    model = deepcopy(model)
    network = rows(model)
    masks = fractions(network, criterion, [keep])
    mask_of = dict(zip((layer.m for layer in network.modules), masks, strict=True))
    weights = dict[Tensor, nn.Parameter]()  # that layers share
    for _, layer in named_layers(model):
        mean = nn.Parameter(layer.scale * layer.mean(), layer.m.requires_grad)
        mask, weight = mask_of[layer.m].view_as(mean), weights.setdefault(layer.m, mean)
        to_plain(layer, weight)
        if keep < 1:
            custom_from_mask(layer, "weight", mask)
    return model
