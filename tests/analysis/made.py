"""A small network of two replicas with every kind of connection, for the tests of the analysis."""

import torch

from sascli.core.network import FeedForward

SEEDS = (3, 8)


def network(widths: tuple[int, ...] = (20, 12, 10, 4), replicas: int = 2) -> FeedForward:
    """Random m, pi and Xi; a part of the connections are VIPs, UIPs, or have Xi = 0."""
    made = FeedForward(widths, replicas, dtype=torch.float64)
    for layer in made.layers:
        generator = torch.Generator().manual_seed(layer.m.shape[1])
        for value in (layer.m.data, layer.pi.data, layer.xi.data):
            value.uniform_(generator=generator)
        kind = torch.rand(layer.m.shape, generator=generator)
        layer.m.data.sub_(0.5).mul_(4)
        layer.pi.data[kind < 0.3] = 0
        layer.xi.data[(kind < 0.2) | (kind > 0.9)] = 0
        layer.pi.data[(kind > 0.4) & (kind < 0.6)] = 1
    return made


def replica(population: FeedForward, which: int) -> FeedForward:
    """One replica as a separate network."""
    return population.select(slice(which, which + 1))


def images(count: int = 150, n: int = 20, classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Random images and labels."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(count, n, generator=generator, dtype=torch.float64)
    return x, torch.randint(classes, (count,), generator=generator)
