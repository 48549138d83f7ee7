"""One epoch of the recurrent network on 28 rows of 28 pixels, gBP and BP.

python -m benchmarks.recurrent [--rounds N] [--check]

An epoch is 200 batches of 128 images, gradients clipped, and two evaluations on 10,000 images. A
reference implementation in NumPy takes 24 s for it on two cores.
"""

import argparse
import sys
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks import timing
from sascli.core.recurrent import Dynamics, Recurrent
from sascli.core.recurrent_backprop import ThroughTime, clip_spectral_
from sascli.core.streams import fill_normal, fill_uniform
from sascli.data.accuracy import accuracy

WIDTHS, ROWS = [28, 100, 10], Dynamics(28, 0.1, start=0.1)
BATCH, BATCHES, IMAGES = 128, 200, 10_000
PARTS = 10  # an epoch is timed by tenths
REFERENCE, BAR = 24.0, 4.8
"""Seconds of the reference, and what an epoch of gBP may take at most (--check)."""


def network(generator: torch.Generator) -> Recurrent:
    """The network as a run begins: m_rec = 1, m_in and m_out ~ N(0, n_in / n_rec)."""
    made = Recurrent(WIDTHS, ROWS)
    w_in, w_rec, w_out = made.layers
    for layer in (w_in, w_out):
        fill_normal(layer.m.data, generator).mul_((WIDTHS[0] / WIDTHS[1]) ** 0.5)
    w_rec.m.data.copy_(torch.eye(WIDTHS[1]))
    fill_uniform(made.flat["xi"], generator).mul_(0.1)
    return made


def part(
    made: Recurrent, gradients: ThroughTime, generator: torch.Generator
) -> Callable[[], None]:
    """A function that runs a part of an epoch, on images with dark margins."""
    x = torch.rand(IMAGES, 784, generator=generator)
    x *= torch.rand(IMAGES, 784, generator=generator) < 0.2
    y = torch.randint(0, WIDTHS[-1], (IMAGES,), generator=generator)
    for kind, grad in gradients.grads.items():
        made.flat[kind].grad = grad
    tensors = [made.flat[kind] for kind in gradients.grads]
    optimiser = torch.optim.AdamW(tensors, lr=1e-3, weight_decay=1e-4, fused=True)
    noisy = len(tensors) > 1

    def draw(batch: int) -> list[Tensor] | None:
        if not noisy:
            return None
        noise = torch.empty(1, batch * made.noise_size)
        return made.split_noise(fill_normal(noise, generator), batch)

    def run() -> None:
        for _ in range(BATCHES // PARTS):
            chosen = torch.randint(0, IMAGES, (1, BATCH), generator=generator)
            gradients(x[chosen], y[chosen], draw(BATCH))
            for grad in gradients.grads.values():
                clip_spectral_(made.split(grad), 10.0)
            optimiser.step()
            made.project_()
        some_x, some_y = x[: IMAGES // PARTS], y[: IMAGES // PARTS]
        accuracy(lambda some: gradients.logits(some, draw(len(some))), some_x, some_y)
        weights = made.sample(generator=generator)
        accuracy(lambda some: made.run(weights, some), some_x, some_y)

    return run


def main() -> None:
    """Measure, print, write outputs/bench/recurrent.csv; with --check, exit 1 above the bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--check", action="store_true")
    words = parser.parse_args()
    torch.set_flush_denormal(True)
    generator = torch.Generator().manual_seed(0)
    variants = {}
    for name in ("gBP", "BP"):
        made = network(generator)
        if name == "BP":
            made.flat["xi"].zero_()
        gradients = made.gbp() if name == "gBP" else made.bp()
        variants[name] = part(made, gradients, generator)
    table = timing.in_turn(variants, words.rounds, "BP")
    table[["ms", "ms_min"]] *= PARTS
    table["speed_up"] = REFERENCE / (table["ms"] / 1e3)
    timing.report("recurrent", table)
    if words.check:
        seconds = table.loc[table["variant"] == "gBP", "ms"].iloc[0] / 1e3
        print(f"an epoch of gBP takes {seconds:.2f} s, bar {BAR}")
        sys.exit(seconds > BAR)


if __name__ == "__main__":
    main()
