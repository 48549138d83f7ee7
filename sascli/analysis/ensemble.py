"""Effective networks: weights drawn once for the whole test set, or at every time step."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import pandas as pd
from torch import Tensor

from sascli.core.network import FeedForward
from sascli.core.streams import Generators, streams
from sascli.data.accuracy import Logits, Score


def outputs(network: FeedForward, weights: Any, neurons: Generators) -> Logits:
    """What networks of given weights make of inputs, their neurons with what noise they have."""

    def logits(x: Tensor) -> Tensor:
        eps = network.draw_noise(x.shape[-2], neurons) if network.noisy else None
        return network.run(weights, x, eps)

    return logits


def effective(
    network: FeedForward, seeds: Sequence[int], sample: int, redraw: str = "once"
) -> Logits:
    """Outputs of one effective network per replica.

    With redraw="step" a recurrent network draws its weights anew at every time step (stochastic
    plasticity), the same for all inputs.
    """
    stream_of = partial(streams, seeds, index=sample, device=network.all.device)
    neurons = stream_of("neurons")
    if redraw == "once":
        return outputs(network, network.sample(generator=stream_of("ensemble")), neurons)

    def logits(x: Tensor) -> Tensor:
        again = partial(network.sample, generator=stream_of("ensemble"))
        return outputs(network, again, neurons)(x)

    return logits


def ensemble(
    network: FeedForward, seeds: Sequence[int], score: Score, samples: int, redraw: str = "once"
) -> pd.DataFrame:
    """Test accuracy and error of `samples` effective networks of every replica."""
    rows = []
    for sample in range(samples):
        right = score(effective(network, seeds, sample, redraw))
        rows += [
            {"replica": r, "seed": seed, "sample": sample, "test_accuracy": value}
            for r, (seed, value) in enumerate(zip(seeds, right.tolist(), strict=True))
        ]
    columns = ["replica", "seed", "sample", "test_accuracy"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(test_error=1 - table["test_accuracy"])
