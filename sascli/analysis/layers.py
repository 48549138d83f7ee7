"""One row per layer: sparsity, VIP and UIP fractions, moments, entropy."""

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor

from sascli.analysis.replicas import replica_rows
from sascli.core.spike_slab import Layered
from sascli.core.streams import streams


def entropies(network: Layered, seeds: Sequence[int], estimator: str) -> list[Tensor]:
    """Entropy of every connection, one (replicas, n_out, n_in) per layer."""
    generators = streams(seeds, "entropy", device=network.layers[0].m.device)
    return [layer.entropy(estimator, generator=generators) for layer in network.layers]


@torch.no_grad()
def layers(
    network: Layered, seeds: Sequence[int], entropy: Sequence[Tensor], tolerance: float = 0.0
) -> pd.DataFrame:
    """layers.csv: statistics of every layer, counted from 1."""

    def mean(values: Tensor) -> list[float]:
        # float64 and one replica at a time: the sums do not depend on the companions
        return [replica.double().mean().item() for replica in values]

    parts = enumerate(zip(network.layers, network.layer_names, entropy, strict=True), 1)
    tables = [
        replica_rows(
            seeds,
            layer=number,
            layer_name=name,
            n_out=layer.m.shape[1],
            n_in=layer.m.shape[2],
            sparsity=mean(layer.pi),
            vip_fraction=mean(layer.vip(tolerance)),
            uip_fraction=mean(layer.uip(tolerance)),
            m_mean=mean(layer.m),
            m_std=[replica.double().std(correction=0).item() for replica in layer.m],
            xi_mean=mean(layer.xi),
            variance_mean=mean(layer.variance()),
            entropy=mean(values),
        )
        for number, (layer, name, values) in parts
    ]
    return pd.concat(tables).sort_values(["replica", "layer"], ignore_index=True)
