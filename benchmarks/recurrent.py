"""An epoch of the recurrent network on 28 rows of 28 pixels, gBP and BP.

python -m benchmarks.recurrent [--rounds N] [--check]

An epoch is 200 batches of 128 images with clipped gradients, and two evaluations on 10,000 images.
A reference implementation in NumPy takes 24 s on two cores.
"""

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
PARTS = 10  # a tenth of an epoch is timed at once
REFERENCE, BAR = 24.0, 1.3
"""Seconds per epoch of the reference, and the bar of gBP (--check)."""


def make_network(generator: torch.Generator) -> Recurrent:
    """An initial network: m_rec = 1, m_in and m_out ~ N(0, n_in / n_rec)."""
    network = Recurrent(WIDTHS, ROWS)
    w_in, w_rec, w_out = network.layers
    for layer in (w_in, w_out):
        fill_normal(layer.m.data, generator).mul_((WIDTHS[0] / WIDTHS[1]) ** 0.5)
    w_rec.m.data.copy_(torch.eye(WIDTHS[1]))
    fill_uniform(network.flat["xi"], generator).mul_(0.1)
    return network


def epoch_part(
    network: Recurrent, gradients: ThroughTime, generator: torch.Generator
) -> Callable[[], None]:
    """A function that runs a part of an epoch, on images with dark margins."""
    x = torch.rand(IMAGES, 784, generator=generator)
    x *= torch.rand(IMAGES, 784, generator=generator) < 0.2
    y = torch.randint(0, WIDTHS[-1], (IMAGES,), generator=generator)
    for kind, grad in gradients.grads.items():
        network.flat[kind].grad = grad
    tensors = [network.flat[kind] for kind in gradients.grads]
    optimiser = torch.optim.AdamW(tensors, lr=1e-3, weight_decay=1e-4, fused=True)
    noisy = len(tensors) > 1

    def draw(batch: int) -> list[Tensor] | None:
        if not noisy:
            return None
        noise = torch.empty(1, batch * network.noise_size)
        return network.split_noise(fill_normal(noise, generator), batch)

    def run() -> None:
        for _ in range(BATCHES // PARTS):
            batch = torch.randint(0, IMAGES, (1, BATCH), generator=generator)
            gradients(x[batch], y[batch], draw(BATCH))
            grads = gradients.grads.values()
            clip_spectral_([matrix for grad in grads for matrix in network.split(grad)], 10.0)
            optimiser.step()
            network.project_()
        test_x, test_y = x[: IMAGES // PARTS], y[: IMAGES // PARTS]
        accuracy(lambda images: gradients.logits(images, draw(len(images))), test_x, test_y)
        weights = network.sample(generator=generator)
        accuracy(lambda images: network.run(weights, images), test_x, test_y)

    return run


def main() -> None:
    """Measure, print, write outputs/bench/recurrent.csv."""
    args = timing.parser(__doc__, rounds=20).parse_args()
    torch.set_flush_denormal(True)
    generator = torch.Generator().manual_seed(0)
    variants = {}
    for name in ("gBP", "BP"):
        network = make_network(generator)
        if name == "BP":
            network.flat["xi"].zero_()
        gradients = network.gbp() if name == "gBP" else network.bp()
        variants[name] = epoch_part(network, gradients, generator)
    table = timing.in_turn(variants, args.rounds, "BP")
    table[["ms", "ms_min"]] *= PARTS
    table["speed_up"] = REFERENCE / (table["ms"] / 1e3)
    timing.report("recurrent", table)
    if args.check:
        seconds = table.loc[table["variant"] == "gBP", "ms"].iloc[0] / 1e3
        print(f"an epoch of gBP takes {seconds:.2f} s, bar {BAR}")
        sys.exit(bool(seconds > BAR))


if __name__ == "__main__":
    main()
