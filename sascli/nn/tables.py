"""Tables of a model's credit: one row for each layer, or for each connection."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor, nn

from sascli.analysis.layers import entropies, layers
from sascli.analysis.pruning import keys
from sascli.core.spike_slab import SpikeSlab, at_least_single
from sascli.nn.layers import SpikeSlabLayer, named_layers


@dataclass(frozen=True)
class Rows:
    """A model's layers as `sascli.analysis` reads those of a population of one.

    The weights of a kernel are one row: shapes (1, n_out, n_in). Layers that share parameters
    are one layer.
    """

    layer_names: Sequence[str]
    layers: Sequence[SpikeSlab]
    scales: Sequence[float]
    modules: Sequence[SpikeSlabLayer]

    def mean(self) -> list[Tensor]:
        """Weights of the mean network, without prefactors."""
        return [layer.mean() for layer in self.layers]


def rows(model: nn.Module) -> Rows:
    """The layers of a model. Raises UserError if there is none."""
    named = dict[Tensor, tuple[str, SpikeSlabLayer]]()
    for name, layer in named_layers(model):
        named.setdefault(layer.m, (name, layer))
    names, modules = zip(*named.values(), strict=True)
    slabs = [SpikeSlab(0, 0) for _ in modules]
    for slab, layer in zip(slabs, modules, strict=True):
        for kind in ("m", "pi", "xi"):
            values = getattr(layer, kind).detach().flatten(1).unsqueeze(0)
            setattr(slab, kind, nn.Parameter(values, requires_grad=False))
    return Rows(names, slabs, [layer.scale for layer in modules], modules)


def credit(
    model: nn.Module, *, tolerance: float = 0.0, estimator: str = "paper", seed: int = 0
) -> pd.DataFrame:
    """Sparsity, fractions of VIPs and UIPs, moments and entropy: one row for each layer.

    Columns are those of `layers.csv`; `layer_name` is the module's name, n_in the number of
    connections to an output.

    Arguments:
        tolerance: of pi and Xi, as of `SpikeSlab.vip` and `SpikeSlab.uip`.
        estimator: of the entropy; "mixed" is exact and faster, "paper" draws 100 times for each
            connection.
        seed: of those draws.

    Raises UserError for a model without spike-and-slab layers.
    """
    network = rows(model)
    table = layers(network, [seed], entropies(network, [seed], estimator), tolerance)
    return table.drop(columns=["replica", "seed"])


@torch.no_grad()
def connections(model: nn.Module, *, tolerance: float = 0.0) -> pd.DataFrame:
    """Every connection of a model, one row each.

    Columns: layer, layer_name; out, in, position: the indices of `m` with the axes of a kernel
    as one, so that channels of a group count from 0; m, pi, xi; snr, the signal-to-noise ratio
    |mu| / sigma; vip, uip.

    Raises UserError for a model without spike-and-slab layers.
    """
    network = rows(model)
    snr = torch.from_numpy(keys(network, "snr")[1][0])
    parts = snr.split([layer.m.numel() for layer in network.layers])
    tables = []
    for number, (name, layer, module, ratios) in enumerate(
        zip(network.layer_names, network.layers, network.modules, parts, strict=True), 1
    ):
        shape = (*module.m.shape[:2], module.m[0, 0].numel())
        indices = torch.cartesian_prod(*(torch.arange(n) for n in shape)).unbind(1)
        columns = dict(zip(("out", "in", "position"), indices, strict=True))
        dtype = at_least_single(layer.m)  # numpy has no bfloat16
        columns |= {kind: getattr(layer, kind).to(dtype) for kind in ("m", "pi", "xi")}
        columns["snr"] = ratios
        columns |= {"vip": layer.vip(tolerance), "uip": layer.uip(tolerance)}
        values = {key: value.flatten().cpu().numpy() for key, value in columns.items()}
        tables.append(pd.DataFrame({"layer": number, "layer_name": name, **values}))
    return pd.concat(tables, ignore_index=True)
