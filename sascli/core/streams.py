"""Streams of random numbers, each a function of a replica's seed alone."""

import hashlib
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

PIECE = 2**17
"""Numbers drawn at a time on a GPU. Above 2048 times its multiprocessors (221,184 on an A100,
270,336 on an H100) the numbers of one call depend on the model of the GPU."""
UNIT = 1000
"""Samples whose noise is drawn at a time on a GPU, however many are computed together."""

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
    return _fill(Tensor.normal_, out, generator)


def fill_uniform(out: Tensor, generator: Generators) -> Tensor:
    """Fill (replicas, ...) with draws from Uniform(0, 1); generators as in `fill_normal`."""
    return _fill(Tensor.uniform_, out, generator)


def fill_on_cpu(
    fill: Callable[[Tensor, Generators], Tensor], out: Tensor, generator: Generators
) -> Tensor:
    """Fill a tensor of any device by `fill` with draws of the CPU, the same for all devices.

    They are drawn in the layout of `out`: a strided tensor gets other numbers than a contiguous
    one.
    """
    if out.device.type == "cpu":
        return fill(out, generator)
    return out.copy_(
        fill(torch.empty_strided(out.shape, out.stride(), dtype=out.dtype), generator)
    )


def _fill(draw: Callable[..., Tensor], out: Tensor, generator: Generators) -> Tensor:
    """Fill a tensor by one of torch's methods, on a GPU in pieces."""
    for part, g in _parts(out, generator):
        large = part.device.type == "cuda" and part.numel() > PIECE
        for piece in part.view(-1).split(PIECE) if large else [part]:
            draw(piece, generator=g)
    return out


def _parts(out: Tensor, generator: Generators) -> Iterator[tuple[Tensor, torch.Generator]]:
    """The whole tensor with its generator, or each replica with its own."""
    if isinstance(generator, torch.Generator):
        return iter([(out, generator)])
    return zip(out, generator, strict=True)
