"""Targeted perturbation: switch connections of one layer off or on and test again, Fig. 4a."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from sascli.analysis.accuracy import Score
from sascli.analysis.ensemble import outputs
from sascli.core.network import FeedForward
from sascli.core.spike_slab import SpikeSlab
from sascli.core.streams import Generators, fill_normal, fill_uniform, streams

PERTURBATIONS = ("vip_off", "uip_on", "random_off", "other_off")


@dataclass(frozen=True)
class Thresholds:
    """What makes a VIP, as `SpikeSlab.vip` takes it, and up to `tolerance` a UIP."""

    tolerance: float = 0.0
    xi_max: float | None = None
    m_min: float = 0.0

    def vip(self, layer: SpikeSlab) -> Tensor:
        """The very important connections of a layer, (replicas, n_out, n_in)."""
        return layer.vip(self.tolerance, self.xi_max, self.m_min)


EXACT = Thresholds()


def candidates(layer: SpikeSlab, kind: str, thresholds: Thresholds = EXACT) -> Tensor:
    """Mask (replicas, n_out, n_in) of the connections that a perturbation chooses from."""
    vip, uip = thresholds.vip(layer), layer.uip(thresholds.tolerance)
    masks = {
        "vip_off": vip,
        "uip_on": uip,
        "random_off": torch.ones_like(vip),
        "other_off": ~(vip | uip),
    }
    return masks[kind]


def perturbed(
    w: Tensor,
    layer: SpikeSlab,
    kind: str,
    fractions: Tensor,
    thresholds: Thresholds,
    drawn: Generators,
) -> tuple[Tensor, Tensor]:
    """Weights (replicas, fractions, n_out, n_in) of perturbed networks, and how many changed.

    n = f x (number of VIPs), for `uip_on` f x (number of UIPs), drawn at random among the kind's
    candidates: off sets w = 0 (pi := 1), on draws w ~ N(0, 1). A larger fraction contains the
    smaller ones.
    """
    mask = candidates(layer, kind, thresholds).flatten(1)
    counted = mask if kind == "uip_on" else thresholds.vip(layer).flatten(1)
    wanted = (counted.sum(1, keepdim=True) * fractions.to(w.dtype)).round().long()
    n = torch.minimum(wanted, mask.sum(1, keepdim=True))
    scores = fill_uniform(w.new_empty(mask.shape), drawn).masked_fill_(~mask, 2.0)
    rank = scores.argsort(1).argsort(1)
    chosen = (rank.unsqueeze(1) < n.unsqueeze(2)).unflatten(2, w.shape[1:])
    new = fill_normal(torch.empty_like(w), drawn) if kind == "uip_on" else torch.zeros_like(w)
    return torch.where(chosen, new.unsqueeze(1), w.unsqueeze(1)), n


@torch.no_grad()
def perturbation(
    network: FeedForward,
    seeds: Sequence[int],
    score: Score,
    *,
    layer: int,
    kinds: Sequence[str] = PERTURBATIONS,
    fractions: Sequence[float],
    samples: int,
    thresholds: Thresholds = EXACT,
    draw: int = 0,
) -> pd.DataFrame:
    """Test error of effective networks of every replica after perturbing `layer` (from 1).

    Sample s is one effective network, the same for all kinds and layers, and one draw of the
    connections; `draw` begins another series of both. All fractions of all replicas are tested
    as one population.
    """
    own = network.layers[layer - 1]
    device, tables = network.all.device, []
    at = torch.tensor(fractions, device=device)
    for sample in range(samples):
        index = draw * samples + sample
        weights = network.sample(generator=streams(seeds, "perturbed", index, device=device))
        for kind in kinds:
            drawn = streams(seeds, f"{kind}/{layer}", index, device=device)
            changed, n = perturbed(weights[layer - 1], own, kind, at, thresholds, drawn)
            networks = [w.unsqueeze(1).expand(-1, len(at), -1, -1) for w in weights]
            networks[layer - 1] = changed
            flat = [w.flatten(0, 1) for w in networks]
            neurons = streams(seeds, "neurons", index, device=device)
            right = score(outputs(network, flat, neurons))
            tables.append(
                pd.DataFrame(
                    {
                        "replica": [r for r in range(len(seeds)) for _ in fractions],
                        "seed": [seed for seed in seeds for _ in fractions],
                        "layer": layer,
                        "kind": kind,
                        "fraction": [*fractions] * len(seeds),
                        "n_weights": n.flatten().tolist(),
                        "sample": sample,
                        "test_error": (1 - right).tolist(),
                    }
                )
            )
    return pd.concat(tables, ignore_index=True)
