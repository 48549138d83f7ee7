"""Trials of the multisensory task by a trained network, in batches that bound the memory."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import product as every_pair

import numpy as np
import torch
from torch import Tensor

from sascli.analysis.ensemble import drawn
from sascli.core.products import product
from sascli.core.recurrent import Recurrent
from sascli.core.streams import streams
from sascli.data.multisensory import BOUNDARY, FREQUENCIES, MODALITIES, Timing, Trials, noisy
from sascli.data.multisensory import trials as trials_of

MODES = ("field", "mean", "sampled", "redrawn")
"""Prediction modes: mean field (eps drawn), mean network, effective networks with weights drawn
once, and with new weights at every time step."""
CONDITIONS = [*every_pair(MODALITIES, FREQUENCIES)]
"""Every modality with every frequency."""
BATCH = 200_000
"""Trials times steps of a batch."""


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
    network: Recurrent, seeds: Sequence[int], trials: Trials, mode: str, sample: int = 0
) -> Tensor:
    """Whether "high" is chosen, (replicas, trials); `sample` numbers networks and noise."""
    running = _with_dynamics(network, trials, steps=trials.timing.ends[2], every_step=False)
    field = running.gbp().predictor() if mode == "field" else None
    weights = drawn(running, seeds, sample) if mode == "sampled" else running.mean()
    chosen = []
    for x, eps in _batches(running, seeds, trials, sample, 1.0):
        if field is not None:
            y = field(x, eps)
        else:
            redrawn = mode == "redrawn"
            y = running.run(drawn(running, seeds, sample, "step") if redrawn else weights, x, eps)
        chosen.append(y[..., 0] > y[..., 1])
    return torch.cat(chosen, 1)


def correct(
    network: Recurrent, seeds: Sequence[int], trials: Trials, mode: str, sample: int = 0
) -> Tensor:
    """Fraction of correct choices, (replicas,); arguments as of `choices`."""
    high = (trials.frequency > BOUNDARY).to(network.all.device)
    return (choices(network, seeds, trials, mode, sample) == high).double().mean(1)


@torch.no_grad()
def rates(
    network: Recurrent,
    seeds: Sequence[int],
    trials: Trials,
    *,
    noise: float,
    every: int,
) -> Tensor:
    """r of the mean network after every `every`-th step, (replicas, trials, times, n_rec).

    `noise` scales the noise of the inputs and that of the neurons.
    """
    running = _with_dynamics(network, trials, steps=trials.inputs.shape[1], every_step=True)
    w_in, w_rec, _ = running.mean()
    step = torch.cat((w_rec, w_in), -1).mT
    tensors = []
    for x, eps in _batches(running, seeds, trials, 0, noise):
        r = running.rates(x, lambda t, a: product(a, step), eps)
        tensors.append(r[:, every - 1 :: every].transpose(1, 2))
    return torch.cat(tensors, 1)


def _with_dynamics(
    network: Recurrent, trials: Trials, *, steps: int, every_step: bool
) -> Recurrent:
    """A copy of the network that runs with the time step of the trials."""
    copy, alpha = deepcopy(network), trials.timing.alpha
    copy.dynamics = replace(network.dynamics, steps=steps, alpha=alpha, every_step=every_step)
    return copy


def _batches(
    network: Recurrent, seeds: Sequence[int], trials: Trials, sample: int, noise: float
) -> Iterator[tuple[Tensor, list[Tensor]]]:
    """Inputs (replicas, trials, steps * 5) with fresh noise, and eps, for batches of trials."""
    steps = network.dynamics.steps
    generators = streams(seeds, "trials", sample, device=network.all.device)
    for inputs in trials.inputs.to(network.all)[:, :steps].split(max(1, BATCH // steps)):
        clean = inputs.flatten(1).expand(len(seeds), -1, -1)
        x = torch.lerp(clean, noisy(clean, trials.timing, generators), noise)
        *eps, last = network.draw_noise(len(inputs), generators)
        yield x, [*eps, last * noise] if network.dynamics.sigma else [*eps, last]
