"""One row per layer: sparsity, VIP and UIP fractions, moments, entropy."""

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor

from sascli.core.network import FeedForward
from sascli.core.streams import streams


def entropies(network: FeedForward, seeds: Sequence[int], estimator: str) -> list[Tensor]:
    """Entropy of every connection, one (replicas, n_out, n_in) per layer."""
    drawn = streams(seeds, "entropy", device=network.flat["m"].device)
    return [layer.entropy(estimator, generator=drawn) for layer in network.layers]


@torch.no_grad()
def layers(
    network: FeedForward, seeds: Sequence[int], entropy: Sequence[Tensor], tolerance: float = 0.0
) -> pd.DataFrame:
    """The table of method.md's per-layer statistics, layers counted from 1."""
    rows = []
    names = network.layer_names
    for number, (layer, name, s) in enumerate(zip(network.layers, names, entropy, strict=True), 1):
        statistics = {
            "sparsity": layer.pi,
            "vip_fraction": layer.vip(tolerance),
            "uip_fraction": layer.uip(tolerance),
            "m_mean": layer.m,
            "xi_mean": layer.xi,
            "variance_mean": layer.variance(),
            "entropy": s,
        }
        # float64 and one replica at a time: the sums do not depend on the companions
        means = {key: [v.double().mean().item() for v in t] for key, t in statistics.items()}
        means["m_std"] = [m.double().std(correction=0).item() for m in layer.m]
        for r, seed in enumerate(seeds):
            row = {"replica": r, "seed": seed, "layer": number, "layer_name": name}
            row |= {"n_out": layer.m.shape[1], "n_in": layer.m.shape[2]}
            rows.append(row | {key: values[r] for key, values in means.items()})
    order = ["replica", "seed", "layer", "layer_name", "n_out", "n_in", "sparsity"]
    order += ["vip_fraction", "uip_fraction", "m_mean", "m_std", "xi_mean", "variance_mean"]
    return pd.DataFrame(rows)[[*order, "entropy"]].sort_values(["replica", "layer"])
