"""Effective networks: weights drawn once for the whole test set, or at every time step."""

from collections.abc import Callable, Sequence
from functools import partial

import pandas as pd
import torch
from torch import Tensor

from sascli.analysis.replicas import replica_rows
from sascli.core.network import FeedForward, Weights
from sascli.core.streams import Generators, streams
from sascli.data.accuracy import Logits, Score


def outputs(
    network: FeedForward, weights: Weights | Callable[[], Weights], neurons: Generators
) -> Logits:
    """The network run with these weights; the noise of its neurons, if any, is from `neurons`."""

    def logits(x: Tensor) -> Tensor:
        eps = network.draw_noise(x.shape[-2], neurons) if network.noisy else None
        return network.run(weights, x, eps)

    return logits


def drawn(
    network: FeedForward, seeds: Sequence[int], sample: int, redraw: str = "once"
) -> Weights | Callable[[], Weights]:
    """Weights of one effective network per replica, or with redraw="step" what draws them."""
    generators = streams(seeds, "ensemble", sample, device=network.all.device)
    draw = partial(network.sample, generator=generators)
    return draw if redraw == "step" else draw()


def effective(
    network: FeedForward, seeds: Sequence[int], sample: int, redraw: str = "once"
) -> Logits:
    """Outputs of one effective network per replica.

    With redraw="step" a recurrent network draws new weights at every time step (stochastic
    plasticity), the same for all inputs.
    """
    neurons = streams(seeds, "neurons", sample, device=network.all.device)
    draw = partial(drawn, network, seeds, sample, redraw)
    if redraw == "once":
        return outputs(network, draw(), neurons)
    return lambda x: outputs(network, draw(), neurons)(x)


def ensemble(
    network: FeedForward, seeds: Sequence[int], score: Score, samples: int, redraw: str = "once"
) -> pd.DataFrame:
    """Test accuracy and error of `samples` effective networks of every replica."""
    columns = ["replica", "seed", "sample", "test_accuracy"]
    tables = [pd.DataFrame(columns=columns)] if not samples else []
    scores = [score(effective(network, seeds, sample, redraw)) for sample in range(samples)]
    for sample, accuracy in enumerate(torch.stack(scores).tolist() if scores else ()):
        tables.append(replica_rows(seeds, sample=sample, test_accuracy=accuracy))
    table = pd.concat(tables, ignore_index=True)
    return table.assign(test_error=1 - table["test_accuracy"])
