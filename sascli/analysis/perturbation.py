"""Targeted perturbation: switch connections of one layer off or on and test again, Fig. 4a."""

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sascli.analysis.ensemble import outputs
from sascli.analysis.replicas import replica_tables
from sascli.core.network import FeedForward
from sascli.core.spike_slab import SpikeSlab, at_least_single
from sascli.core.streams import Generators, fill_normal, fill_uniform, streams
from sascli.data.accuracy import Score

PERTURBATIONS = ("vip_off", "uip_on", "random_off", "other_off")
PAIRED = ("paired_off", "matched_off")
"""VIPs that have a counterpart, a connection of the same |m| that is none; and these."""
RATIO = 1.05
"""Greatest ratio of the |m| of a VIP and its counterpart."""

Test = Callable[[FeedForward, int], Tensor]
"""Accuracy of every replica of a network's mean field, and the number of the noise sample."""


@dataclass(frozen=True)
class Thresholds:
    """The definition of a VIP, as in `SpikeSlab.vip`, and with `tolerance` that of a UIP."""

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
class Candidates:
    """The connections of one layer that perturbations choose from."""

    layer: SpikeSlab
    thresholds: Thresholds = EXACT

    @cached_property
    def vip(self) -> Tensor:
        """The VIPs, (replicas, n_out, n_in)."""
        return self.thresholds.vip(self.layer)

    @cached_property
    def pairs(self) -> tuple[Tensor, Tensor]:
        """VIPs that have a counterpart, and their counterparts.

        Masks (replicas, n_out, n_in) with the same number of connections: as many disjoint pairs
        as possible whose |m| differ by a factor of at most `RATIO`. A VIP without a counterpart
        is in neither mask.
        """
        m = self.layer.m.detach().abs().flatten(1).double().cpu().numpy()
        vips = self.vip.flatten(1).cpu().numpy()
        masks = np.zeros((2, *vips.shape), dtype=bool)
        for r, (size, vip) in enumerate(zip(m, vips, strict=True)):
            sides = [np.flatnonzero(vip), np.flatnonzero(~vip)]
            chosen, other = (side[size[side].argsort(kind="stable")] for side in sides)
            for a, b in matching_pairs(size[chosen], size[other], RATIO):
                masks[0, r, chosen[a]] = masks[1, r, other[b]] = True
        paired, matched = torch.from_numpy(masks).to(self.vip.device).view(2, *self.vip.shape)
        return paired, matched

    def mask(self, kind: str) -> Tensor:
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

    def choose(self, kind: str, fractions: Tensor, generator: Generators) -> Tensor:
        """Masks (replicas, fractions, n_out, n_in) of the connections to be changed.

        n = f x (number of VIPs), for `uip_on` f x (number of UIPs), for the `PAIRED` kinds f x
        (number of pairs), drawn at random among the kind's candidates. A larger fraction contains
        the smaller ones.
        """
        mask = self.mask(kind).flatten(1)
        counted = mask if kind in ("uip_on", *PAIRED) else self.vip.flatten(1)
        m = self.layer.m.detach()
        dtype = at_least_single(m)
        n = (counted.sum(1, keepdim=True) * fractions.to(dtype)).round().long()
        n = torch.minimum(n, mask.sum(1, keepdim=True))
        scores = fill_uniform(m.new_empty(mask.shape, dtype=dtype), generator)
        scores.masked_fill_(~mask, 2.0)
        rank = scores.argsort(1).argsort(1)
        chosen: Tensor = (rank.unsqueeze(1) < n.unsqueeze(2)).unflatten(2, m.shape[1:])
        return chosen

    def rows(
        self, seeds: Sequence[int], kind: str, fractions: Sequence[float], chosen: Tensor
    ) -> pd.DataFrame:
        """Replica, seed, kind, fraction, number of connections and their mean |m|."""
        m = self.layer.m.detach().double().abs().unsqueeze(1)
        n = chosen.sum((-2, -1))
        mean = torch.where(chosen, m, 0.0).sum((-2, -1)) / n  # NaN where none was changed
        tables = (
            pd.DataFrame({"kind": kind, "fraction": [*fractions], "n_weights": k, "m_abs": m_abs})
            for k, m_abs in zip(n.tolist(), mean.tolist(), strict=True)
        )
        return replica_tables(seeds, tables)


def matching_pairs(x: np.ndarray, y: np.ndarray, ratio: float) -> list[tuple[int, int]]:
    """Indices of as many disjoint pairs as possible of numbers within a ratio of each other.

    x and y are ascending, their numbers >= 0.
    """
    pairs, a, b = [], 0, 0
    while a < len(x) and b < len(y):
        if y[b] * ratio < x[a]:
            b += 1
        elif x[a] * ratio < y[b]:
            a += 1
        else:
            pairs.append((a, b))
            a, b = a + 1, b + 1
    return pairs


def switched_on_std(network: FeedForward, layer: int) -> float:
    """Standard deviation 1 / (s sqrt(N)) of the weights that are switched on in a layer (from 1).

    N are the layer's inputs and s the network's prefactor: 1, the published one, where s is
    1/sqrt(N). Of recurrent networks, where s = 1, no switching on is published: there, too, it is
    1/sqrt(N), N the inputs of this matrix.
    """
    root = math.sqrt(network.layers[layer - 1].m.shape[-1])
    scale = network.prefactors[layer - 1]
    return 1.0 if scale == 1 / root else 1 / (scale * root)


def perturbed_weights(
    w: Tensor,
    candidates: Candidates,
    kind: str,
    fractions: Tensor,
    generator: Generators,
    std: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Weights (replicas, fractions, n_out, n_in) of perturbed networks, and which changed.

    Off sets w = 0 (pi := 1), on draws w ~ N(0, std^2), see `switched_on_std`.
    """
    chosen = candidates.choose(kind, fractions, generator)
    new = torch.zeros_like(w)
    if kind == "uip_on":
        new = fill_normal(new, generator).mul_(std)  # by 1 it changes no bit
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
    connections; another `draw` gives another series of both. All fractions of all replicas are
    tested as one population. `uip_on` draws w ~ N(0, 1 / (s^2 N)), s the prefactor and N the
    layer's inputs: N(0, 1), as published, with the prefactor 1/sqrt(N).
    """
    candidates = Candidates(network.layers[layer - 1], thresholds)
    std = switched_on_std(network, layer)
    device, tables = network.all.device, []
    f = torch.tensor(fractions, device=device)
    for sample in range(samples):
        index = draw * samples + sample
        weights = network.sample(generator=streams(seeds, "perturbed", index, device=device))
        for kind in kinds:
            generators = streams(seeds, f"{kind}/{layer}", index, device=device)
            changed, chosen = perturbed_weights(
                weights[layer - 1], candidates, kind, f, generators, std
            )
            networks = [w.unsqueeze(1).expand(-1, len(f), -1, -1) for w in weights]
            networks[layer - 1] = changed
            neurons = streams(seeds, "neurons", index, device=device)
            accuracy = score(outputs(network, [w.flatten(0, 1) for w in networks], neurons))
            table = candidates.rows(seeds, kind, fractions, chosen)
            tables.append(table.assign(sample=sample, test_error=(1 - accuracy).tolist()))
    return perturbation_table(tables, layer, "sampled")


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
    """As `perturbation`, of the mean field, where connections are switched off by pi := 1.

    Sample s is one draw of the connections and of the test's noise, the latter the same for all
    kinds and fractions. There is no switching on.
    """
    candidates = Candidates(network.layers[layer - 1], thresholds)
    f, tables = torch.tensor(fractions, device=network.all.device), []
    changed = deepcopy(network)
    pi, before = changed.layers[layer - 1].pi, candidates.layer.pi
    for sample in samples:
        for kind in kinds:
            generators = streams(seeds, f"{kind}/{layer}", sample, device=f.device)
            chosen, accuracies = candidates.choose(kind, f, generators), []
            for mask in chosen.unbind(1):
                pi.copy_(before.masked_fill(mask, 1.0))
                accuracies.append(test(changed, sample))
            error = 1 - torch.stack(accuracies, 1).flatten()
            table = candidates.rows(seeds, kind, fractions, chosen)
            tables.append(table.assign(sample=sample, test_error=error.tolist()))
    return perturbation_table(tables, layer, "field")


def perturbation_table(tables: Sequence[pd.DataFrame], layer: int, mode: str) -> pd.DataFrame:
    """perturbation.csv of a layer in a prediction mode, which is the column `way`."""
    table = pd.concat(tables, ignore_index=True).assign(layer=layer, way=mode)
    leading = ["replica", "seed", "layer", "kind", "fraction", "n_weights", "sample"]
    return table[[*leading, "test_error", "way", "m_abs"]]
