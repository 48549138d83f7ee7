"""Targeted perturbation: switch connections of one layer off or on and test again, Fig. 4a."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sascli.analysis.ensemble import outputs
from sascli.core.network import FeedForward
from sascli.core.spike_slab import SpikeSlab
from sascli.core.streams import Generators, fill_normal, fill_uniform, streams
from sascli.data.accuracy import Score

PERTURBATIONS = ("vip_off", "uip_on", "random_off", "other_off")
PAIRED = ("paired_off", "matched_off")
"""VIPs that have a counterpart of the same |m| which is none, and these counterparts."""
ALIKE = 1.05
"""Greatest ratio of the |m| of a VIP and its counterpart."""

Test = Callable[[FeedForward, int], Tensor]
"""Accuracy of every replica of a network's mean field; the number is that of the draws."""


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
PUBLISHED = Thresholds(tolerance=0.1, xi_max=0.1, m_min=0.08)
"""pi <= 0.1, Xi < 0.1 and |m| > 0.08, the published ones for recurrent connections (PRE 107,
024307); an Xi or |m| of exactly these numbers counts here."""


@dataclass(frozen=True)
class Perturbed:
    """The connections of one layer that perturbations choose from."""

    layer: SpikeSlab
    thresholds: Thresholds = EXACT

    @cached_property
    def vip(self) -> Tensor:
        """The VIPs, (replicas, n_out, n_in)."""
        return self.thresholds.vip(self.layer)

    @cached_property
    def pairs(self) -> tuple[Tensor, Tensor]:
        """VIPs that have a counterpart of the same |m| which is none, and these counterparts.

        Masks (replicas, n_out, n_in) with as many connections each: pairs whose |m| differ by a
        factor of at most `ALIKE`, no connection in two of them, and as many as there can be. A
        VIP without a counterpart left is in neither mask.
        """
        m = self.layer.m.detach().abs().flatten(1).double().cpu().numpy()
        vip = self.vip.flatten(1).cpu().numpy()
        masks = np.zeros((2, *vip.shape), dtype=bool)
        for r, (size, important) in enumerate(zip(m, vip, strict=True)):
            sides = [np.flatnonzero(important), np.flatnonzero(~important)]
            one, other = (side[size[side].argsort(kind="stable")] for side in sides)
            for a, b in alike(size[one], size[other], ALIKE):
                masks[0, r, one[a]] = masks[1, r, other[b]] = True
        first, second = torch.from_numpy(masks).to(self.vip.device).view(2, *self.vip.shape)
        return first, second

    def candidates(self, kind: str) -> Tensor:
        """Mask (replicas, n_out, n_in) of the connections that a kind chooses from."""
        if kind in PAIRED:
            return self.pairs[PAIRED.index(kind)]
        uip = self.layer.uip(self.thresholds.tolerance)
        masks = {
            "vip_off": self.vip,
            "uip_on": uip,
            "random_off": torch.ones_like(uip),
            "other_off": ~(self.vip | uip),
        }
        return masks[kind]

    def chosen(self, kind: str, fractions: Tensor, drawn: Generators) -> Tensor:
        """The connections changed, (replicas, fractions, n_out, n_in).

        n = f x (number of VIPs), for `uip_on` f x (number of UIPs), for the `PAIRED` kinds f x
        (number of pairs), drawn at random among the kind's candidates. A larger fraction contains
        the smaller ones.
        """
        mask = self.candidates(kind).flatten(1)
        counted = mask if kind in ("uip_on", *PAIRED) else self.vip.flatten(1)
        like = self.layer.m.detach()
        wanted = (counted.sum(1, keepdim=True) * fractions.to(like.dtype)).round().long()
        n = torch.minimum(wanted, mask.sum(1, keepdim=True))
        scores = fill_uniform(like.new_empty(mask.shape), drawn).masked_fill_(~mask, 2.0)
        rank = scores.argsort(1).argsort(1)
        chosen: Tensor = (rank.unsqueeze(1) < n.unsqueeze(2)).unflatten(2, like.shape[1:])
        return chosen

    def rows(
        self, seeds: Sequence[int], kind: str, fractions: Sequence[float], chosen: Tensor
    ) -> pd.DataFrame:
        """Replica, seed, kind, fraction, number of connections and their mean |m|."""
        m = self.layer.m.detach().double().abs().unsqueeze(1)
        n = chosen.sum((-2, -1))
        mean = torch.where(chosen, m, 0.0).sum((-2, -1)) / n  # NaN where none was changed
        return pd.DataFrame(
            {
                "replica": [r for r in range(len(seeds)) for _ in fractions],
                "seed": [seed for seed in seeds for _ in fractions],
                "kind": kind,
                "fraction": [*fractions] * len(seeds),
                "n_weights": n.flatten().tolist(),
                "m_abs": mean.flatten().tolist(),
            }
        )


def alike(one: np.ndarray, other: np.ndarray, ratio: float) -> list[tuple[int, int]]:
    """As many pairs of places as two ascending arrays of numbers >= 0 have within a ratio."""
    pairs, a, b = [], 0, 0
    while a < len(one) and b < len(other):
        if other[b] * ratio < one[a]:
            b += 1
        elif one[a] * ratio < other[b]:
            a += 1
        else:
            pairs.append((a, b))
            a, b = a + 1, b + 1
    return pairs


def perturbed(
    w: Tensor, target: Perturbed, kind: str, fractions: Tensor, drawn: Generators
) -> tuple[Tensor, Tensor]:
    """Weights (replicas, fractions, n_out, n_in) of perturbed networks, and which changed.

    Off sets w = 0 (pi := 1), on draws w ~ N(0, 1).
    """
    chosen = target.chosen(kind, fractions, drawn)
    new = fill_normal(torch.empty_like(w), drawn) if kind == "uip_on" else torch.zeros_like(w)
    return torch.where(chosen, new.unsqueeze(1), w.unsqueeze(1)), chosen


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
    target = Perturbed(network.layers[layer - 1], thresholds)
    device, tables = network.all.device, []
    at = torch.tensor(fractions, device=device)
    for sample in range(samples):
        index = draw * samples + sample
        weights = network.sample(generator=streams(seeds, "perturbed", index, device=device))
        for kind in kinds:
            drawn = streams(seeds, f"{kind}/{layer}", index, device=device)
            changed, chosen = perturbed(weights[layer - 1], target, kind, at, drawn)
            networks = [w.unsqueeze(1).expand(-1, len(at), -1, -1) for w in weights]
            networks[layer - 1] = changed
            flat = [w.flatten(0, 1) for w in networks]
            neurons = streams(seeds, "neurons", index, device=device)
            right = score(outputs(network, flat, neurons))
            table = target.rows(seeds, kind, fractions, chosen)
            tables.append(table.assign(sample=sample, test_error=(1 - right).tolist()))
    return ordered(tables, layer, "sampled")


@torch.no_grad()
def field_perturbation(
    network: FeedForward,
    seeds: Sequence[int],
    test: Test,
    *,
    layer: int,
    kinds: Sequence[str],
    fractions: Sequence[float],
    samples: Sequence[int],
    thresholds: Thresholds,
) -> pd.DataFrame:
    """As `perturbation`, switching off alone, of the mean field with pi := 1.

    Sample s is one draw of the connections and of the test's noise, the latter the same for all
    kinds and fractions.
    """
    target = Perturbed(network.layers[layer - 1], thresholds)
    device, tables = network.all.device, []
    at, changed = torch.tensor(fractions, device=device), deepcopy(network)
    pi, before = changed.layers[layer - 1].pi, target.layer.pi
    for sample in samples:
        for kind in kinds:
            drawn = streams(seeds, f"{kind}/{layer}", sample, device=device)
            chosen = target.chosen(kind, at, drawn)
            right = []
            for where in chosen.unbind(1):
                pi.copy_(before.masked_fill(where, 1.0))
                right.append(test(changed, sample))
            error = 1 - torch.stack(right, 1).flatten()
            table = target.rows(seeds, kind, fractions, chosen)
            tables.append(table.assign(sample=sample, test_error=error.tolist()))
    return ordered(tables, layer, "field")


def ordered(tables: Sequence[pd.DataFrame], layer: int, way: str) -> pd.DataFrame:
    """perturbation.csv of these parts."""
    table = pd.concat(tables, ignore_index=True).assign(layer=layer, way=way)
    leading = ["replica", "seed", "layer", "kind", "fraction", "n_weights", "sample"]
    return table[[*leading, "test_error", "way", "m_abs"]]
