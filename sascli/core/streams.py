"""Streams of random numbers, each a function of a replica's seed alone."""

import hashlib
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

Generators = torch.Generator | Sequence[torch.Generator]
"""One generator for a whole tensor, or one for each replica of its leading axis."""


def stream(
    seed: int, purpose: str, index: int = 0, *, device: torch.device | str = "cpu"
) -> torch.Generator:
    """The generator of one purpose ("init", "order", "noise", ...) and index (epoch, sample).

    Resuming needs no stored state: the same arguments give the same numbers. On the CPU torch
    uses 32 bits of the key, so two of n streams coincide with probability n^2 / 2^33.
    """
    words = f"{seed}/{purpose}/{index}".encode()
    key = int.from_bytes(hashlib.blake2b(words, digest_size=8).digest(), "little") >> 1
    return torch.Generator(device=device).manual_seed(key)


def streams(
    seeds: Sequence[int], purpose: str, index: int = 0, *, device: torch.device | str = "cpu"
) -> list[torch.Generator]:
    """One `stream` for each replica."""
    return [stream(seed, purpose, index, device=device) for seed in seeds]


def fill_normal(out: Tensor, generator: Generators) -> Tensor:
    """Fill contiguous (replicas, ...) with normal draws, each replica's from its generator."""
    for part, g in _parts(out, generator):
        part.normal_(generator=g)
    return out


def fill_uniform(out: Tensor, generator: Generators) -> Tensor:
    """Fill (replicas, ...) with draws from Uniform(0, 1); generators as in `fill_normal`."""
    for part, g in _parts(out, generator):
        part.uniform_(generator=g)
    return out


def _parts(out: Tensor, generator: Generators) -> Iterable[tuple[Tensor, torch.Generator]]:
    """The whole tensor with its generator, or each replica with its own."""
    if isinstance(generator, torch.Generator):
        return [(out, generator)]
    return zip(out, generator, strict=True)
