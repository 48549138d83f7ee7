"""Trials of the multisensory task by a trained network, a few at a time so that memory stays."""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from itertools import product as every_pair

import numpy as np
import torch
from torch import Tensor

from sascli.core.network import Weights
from sascli.core.products import product
from sascli.core.recurrent import Recurrent
from sascli.core.streams import fill_normal, streams
from sascli.data.multisensory import BOUNDARY, FREQUENCIES, MODALITIES, Timing, Trials, noisy
from sascli.data.multisensory import trials as trials_of

WAYS = ("field", "mean", "sampled", "redrawn")
"""Mean field (eps drawn), mean network, effective networks with weights drawn once, and drawn anew
at every time step."""
CONDITIONS = [*every_pair(MODALITIES, FREQUENCIES)]
"""Every modality with every frequency."""
PIECE = 200_000
"""Trials times steps at a time."""


@dataclass(frozen=True)
class Recording:
    """Noise-reduced trials of every condition, and the times at which rates are recorded."""

    timing: Timing
    noise: float  # factor of the noise of inputs and neurons
    repeats: int  # trials of every condition
    every: float  # ms

    @property
    def step(self) -> int:
        """Time steps between two recorded rates."""
        return max(1, round(self.every / self.timing.dt))

    def of(self, network: Recurrent, seeds: Sequence[int]) -> tuple[Tensor, np.ndarray]:
        """r of the mean network, (replicas, repeats * conditions, times, n_rec), and the times.

        In double precision; times in ms since the stimulus began.
        """
        batch = trials_of(CONDITIONS * self.repeats, self.timing)
        r = rates(network, seeds, batch, noise=self.noise, every=self.step).double()
        steps = self.step * np.arange(1, r.shape[2] + 1)
        return r, steps * self.timing.dt - self.timing.fixation


@torch.no_grad()
def choices(
    network: Recurrent, seeds: Sequence[int], trials: Trials, way: str, sample: int = 0
) -> Tensor:
    """Whether "high" is chosen, (replicas, trials); `sample` numbers networks and noise."""
    running = deepcopy(network)
    time = replace(running.dynamics, steps=trials.timing.ends[2], alpha=trials.timing.alpha)
    running.dynamics = replace(time, every_step=False)
    chosen = []
    for x, eps in _pieces(running, seeds, trials, sample, 1.0):
        if way == "field":
            y = running.gbp().logits(x, eps)
        else:
            y = running.run(_weights(running, seeds, way, sample), x, eps)
        chosen.append(y[..., 0] > y[..., 1])
    return torch.cat(chosen, 1)


def correct(
    network: Recurrent, seeds: Sequence[int], trials: Trials, way: str, sample: int = 0
) -> Tensor:
    """Fraction of right choices, (replicas,); arguments as of `choices`."""
    high = (trials.frequency > BOUNDARY).to(network.all.device)
    return (choices(network, seeds, trials, way, sample) == high).double().mean(1)


@torch.no_grad()
def rates(
    network: Recurrent,
    seeds: Sequence[int],
    trials: Trials,
    *,
    noise: float,
    every: int,
    sample: int | None = None,
) -> Tensor:
    """r after every so many steps, (replicas, trials, times, n_rec).

    Of the mean network, or of effective network number `sample`; `noise` scales the noise of the
    inputs and that of the neurons.
    """
    running = deepcopy(network)
    running.dynamics = replace(
        running.dynamics, steps=trials.inputs.shape[1], alpha=trials.timing.alpha, every_step=True
    )
    weights = _weights(running, seeds, "mean" if sample is None else "sampled", sample or 0)
    assert not callable(weights)
    w_in, w_rec, _ = weights
    step = torch.cat((w_rec, w_in), -1).mT
    seen = []
    for x, eps in _pieces(running, seeds, trials, sample or 0, noise):
        r = running.rates(x, lambda t, a: product(a, step), eps)
        seen.append(r[:, every - 1 :: every].transpose(1, 2))
    return torch.cat(seen, 1)


def _weights(
    network: Recurrent, seeds: Sequence[int], way: str, sample: int
) -> Weights | Callable[[], Weights]:
    """What `Recurrent.run` runs; redrawn weights are the same for all trials."""
    if way == "mean":
        return network.mean()
    drawn = streams(seeds, "ensemble", sample, device=network.flat["m"].device)
    draw = partial(network.sample, generator=drawn)
    return draw if way == "redrawn" else draw()


def _pieces(
    network: Recurrent, seeds: Sequence[int], trials: Trials, sample: int, noise: float
) -> Iterator[tuple[Tensor, list[Tensor]]]:
    """Inputs (replicas, some trials, steps * 5) and eps, both with noise of their own."""
    like, steps = network.flat["m"], network.dynamics.steps
    drawn = streams(seeds, "trials", sample, device=like.device)
    for inputs in trials.inputs.to(like)[:, :steps].split(max(1, PIECE // steps)):
        clean = inputs.flatten(1).expand(len(seeds), -1, -1)
        x = torch.lerp(clean, noisy(clean, trials.timing, drawn), noise)
        flat = like.new_empty(len(seeds), len(inputs) * network.noise_size)
        *eps, own = network.split_noise(fill_normal(flat, drawn), len(inputs))
        yield x, [*eps, own * noise] if network.dynamics.sigma else [*eps, own]
