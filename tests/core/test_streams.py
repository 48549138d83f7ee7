"""Streams of random numbers: the same words give the same numbers, other words others."""

import math
from collections.abc import Callable

import pytest
import torch
from reference import fill, normal, rng
from torch import Tensor

from sascli.core import FeedForward, mean_field_linear
from sascli.core.streams import fill_normal, fill_uniform, stream, streams

PURPOSES = ("init", "order", "noise", "sample")


def draw(generator: torch.Generator, n: int = 4) -> tuple[float, ...]:
    return tuple(torch.rand(n, generator=generator, dtype=torch.float64).tolist())


def test_same_arguments_give_same_numbers() -> None:
    assert draw(stream(3, "noise", 5)) == draw(stream(3, "noise", 5))
    assert draw(stream(3, "noise")) == draw(stream(3, "noise", 0))


def test_other_arguments_give_other_numbers() -> None:
    words = [(s, p, i) for s in range(15) for p in PURPOSES for i in range(15)]
    assert len({draw(stream(*word)) for word in words}) == len(words)


def test_arguments_are_separated_in_the_key() -> None:
    words = [(1, "x", 11), (11, "x", 1), (1, "x1", 1), (1, "1x", 1), (11, "x", 11), (1, "x", 1)]
    assert len({draw(stream(*word)) for word in words}) == len(words)


@pytest.mark.parametrize("seed", [0, 2**31, 2**63])
def test_any_integer_is_a_seed(seed: int) -> None:
    first = draw(stream(seed, "init"))
    assert first == draw(stream(seed, "init"))
    assert first != draw(stream(seed + 1, "init"))


def test_seed_zero_is_a_seed() -> None:
    unseeded = torch.Generator()
    assert stream(0, "init").initial_seed() != unseeded.initial_seed()
    assert draw(stream(0, "init")) != draw(unseeded)


def test_streams_ignore_the_global_seed() -> None:
    state = torch.get_rng_state()
    try:
        torch.manual_seed(1)
        first = draw(stream(0, "init"))
        torch.manual_seed(2)
        assert draw(stream(0, "init")) == first
    finally:
        torch.set_rng_state(state)


def test_streams_are_one_stream_for_each_replica() -> None:
    several = [draw(generator) for generator in streams([5, 0, 9], "order", 2)]
    assert several == [draw(stream(seed, "order", 2)) for seed in (5, 0, 9)]


def test_neighbouring_streams_are_uncorrelated() -> None:
    n = 20_000
    words = [(0, "noise", 0), (1, "noise", 0), (0, "noise", 1), (0, "order", 0)]
    generators = [stream(*word) for word in words]
    z = fill_normal(torch.empty(4, n, dtype=torch.float64), generators)
    products = (z @ z.mT / n).fill_diagonal_(0)
    assert (products.abs() < 4.5 / math.sqrt(n)).all()


@pytest.mark.parametrize("shape", [(3, 2), (3, 40), (3, 5, 7), (3, 4, 20, 6)])
@pytest.mark.parametrize("fill_", [fill_normal, fill_uniform])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_replica_depends_on_its_generator_only(
    fill_: Callable[..., Tensor], shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    out = torch.empty(shape, dtype=dtype)
    assert fill_(out, streams([4, 5, 6], "noise")) is out
    for r, seed in enumerate([4, 5, 6]):
        in_company = fill_(torch.empty(2, *shape[1:], dtype=dtype), streams([seed, 7], "noise"))
        alone = fill_(torch.empty(1, *shape[1:], dtype=dtype), streams([seed], "noise"))
        single = fill_(torch.empty(1, *shape[1:], dtype=dtype), stream(seed, "noise"))
        assert torch.equal(alone[0], out[r])
        assert torch.equal(single[0], out[r])
        assert torch.equal(in_company[0], out[r])


def check_moments(draws: Tensor, mean: float, variance: float, fourth: float) -> None:
    n = draws.numel()
    centred = draws - mean
    assert abs(centred.mean().item()) < 4.5 * math.sqrt(variance / n)
    error = math.sqrt((fourth - variance**2) / n)
    assert abs(centred.square().mean().item() - variance) < 4.5 * error


def test_distributions() -> None:
    out = torch.empty(3, 30_000, dtype=torch.float64)
    check_moments(fill_normal(out, streams([0, 1, 2], "noise")), 0.0, 1.0, 3.0)
    check_moments(fill_uniform(out, streams([0, 1, 2], "noise")), 0.5, 1 / 12, 1 / 80)
    assert out.min() >= 0
    assert out.max() < 1
    check_moments(fill_normal(out, rng(1)), 0.0, 1.0, 3.0)
    assert not torch.equal(out[0], out[1])


def test_core_does_not_use_the_global_stream() -> None:
    before = torch.get_rng_state()
    network = fill(FeedForward([6, 5, 4], 2, dtype=torch.float64))
    generators = streams([0, 1], "noise")
    flat = fill_normal(torch.empty(2, 3 * network.noise_size, dtype=torch.float64), generators)
    fill_uniform(flat.clone(), generators)
    eps = network.split_noise(flat, 3)
    x, y = normal(2, 3, 6), torch.zeros(2, 3, dtype=torch.long)
    network(x, eps).sum().backward()
    network.gbp()(x, y, eps)
    network.bp()(x, y)
    network.run(network.sample(generator=generators), x)
    for layer in network.layers:
        layer.project_().sample(generator=rng(1))
        layer.entropy("paper", generator=generators)
        layer.entropy("mixed")
    mean_field_linear(x[0], *(p[0] for p in network.layers[0].parameters()), eps[0][0])
    assert torch.equal(torch.get_rng_state(), before)
