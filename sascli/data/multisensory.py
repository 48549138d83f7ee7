"""The multisensory integration task: trials, targets and the input connectivity.

Is the flow of visual or auditory events, 9 to 16 a second, higher than 12.5? Inputs are visual+,
auditory+, visual-, auditory- and a start cue; output 0 means high, output 1 low.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from sascli.core.streams import Generators, fill_normal
from sascli.errors import UserError

MODALITIES = {"v": (0, 2), "a": (1, 3), "va": (0, 2, 1, 3)}
"""The input channels of a modality, positive before negative."""

INPUTS, OUTPUTS, START_CUE = 5, 2, 4
FREQUENCIES = tuple(range(9, 17))
BOUNDARY = 12.5
BASELINE, CUE, HIGH, LOW = 0.2, 1.0, 1.0, 0.2
NOISE = 0.01


@dataclass(frozen=True)
class Timing:
    """Time step dt, time constant tau and the lengths of the phases, in ms.

    The default is the timing of training. Raises UserError for a time step outside (0, tau], or
    longer than a phase.
    """

    dt: float = 20.0
    tau: float = 100.0
    fixation: float = 100.0
    stimulus: float = 1000.0
    decision: float = 300.0
    catch: float = 2500.0

    def __post_init__(self) -> None:
        if not 0 < self.dt <= self.tau:
            raise UserError(
                f"the time step must be in (0, tau = {self.tau:g} ms], not {self.dt:g}"
            )
        for phase in ("fixation", "stimulus", "decision", "catch"):
            if self.steps(getattr(self, phase)) < 1:
                raise UserError(f"{phase} must be at least one time step of {self.dt:g} ms")

    def steps(self, duration: float) -> int:
        """Time steps of a duration."""
        return round(duration / self.dt)

    @property
    def alpha(self) -> float:
        """dt / tau."""
        return self.dt / self.tau

    @property
    def ends(self) -> tuple[int, int, int]:
        """The steps at which fixation, stimulus and decision end."""
        fixation, stimulus = self.steps(self.fixation), self.steps(self.stimulus)
        return fixation, fixation + stimulus, fixation + stimulus + self.steps(self.decision)


@dataclass(frozen=True)
class Trials:
    """Trials of one length, the shorter ones padded with the loss masked.

    inputs (trials, steps, 5) are without noise; y (trials, steps, 2) is NaN where the loss is
    masked. A catch trial has no modality ("") and frequency NaN.
    """

    inputs: Tensor
    y: Tensor
    modality: tuple[str, ...]
    frequency: Tensor
    timing: Timing


def noisy(inputs: Tensor, timing: Timing, generator: Generators) -> Tensor:
    """Inputs (replicas, trials, n) with fresh noise (1 / alpha) sqrt(2 alpha) 0.01 n(t)."""
    noise = fill_normal(inputs.new_empty(inputs.shape), generator)
    return noise.mul_(math.sqrt(2 / timing.alpha) * NOISE).add_(inputs)


def trials(
    conditions: Iterable[tuple[str, float]],
    timing: Timing,
    *,
    catch: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Trials:
    """One trial for each condition (modality, frequency), then `catch` trials without stimulus.

    Raises UserError for an unknown modality, or a frequency outside 9..16.
    """
    conditions = list(conditions)
    for modality, f in conditions:
        if modality not in MODALITIES:
            raise UserError(f"modality must be {', '.join(MODALITIES)}, not '{modality}'")
        if not FREQUENCIES[0] <= f <= FREQUENCIES[-1]:
            raise UserError(f"frequencies are from {FREQUENCIES[0]} to {FREQUENCIES[-1]}, not {f}")
    fixation, stimulus, decision = timing.ends
    steps = max(decision, timing.steps(timing.catch)) if catch else decision
    count = len(conditions) + catch
    inputs = torch.full((count, steps, INPUTS), BASELINE, dtype=dtype)
    y = torch.full((count, steps, OUTPUTS), torch.nan, dtype=dtype)
    for (modality, f), x, target in zip(conditions, inputs, y, strict=False):
        for place, channel in enumerate(MODALITIES[modality]):
            x[fixation:stimulus, channel] += drive(f, positive=place % 2 == 0)
        x[fixation:decision, START_CUE] += CUE
        target[:fixation] = LOW
        target[stimulus:decision] = LOW
        target[stimulus:decision, 0 if f > BOUNDARY else 1] = HIGH
    y[len(conditions) :, : timing.steps(timing.catch)] = LOW
    names = tuple(modality for modality, _ in conditions) + ("",) * catch
    frequency = torch.tensor([f for _, f in conditions] + [math.nan] * catch, dtype=dtype)
    return Trials(inputs, y, names, frequency, timing)


def training_trials(timing: Timing | None = None, dtype: torch.dtype = torch.float32) -> Trials:
    """The batch of an epoch: 3 modalities times 8 frequencies, and 6 catch trials."""
    return trials(product(MODALITIES, FREQUENCIES), timing or Timing(), catch=6, dtype=dtype)


def drive(f: float, positive: bool) -> float:
    """Input of a positive or negative channel above baseline, for a stimulus of frequency f."""
    low, high = FREQUENCIES[0], FREQUENCIES[-1]
    return 0.4 + 0.8 * ((f - low) if positive else (high - f)) / (high - low)


def blocked(n_rec: int) -> Tensor:
    """Mask (n_rec, 5) of the input connections that do not exist.

    One third of the neurons gets no visual input, the second no auditory, the last neither; all
    get the start cue.
    """
    mask, third = torch.zeros(n_rec, INPUTS, dtype=torch.bool), n_rec // 3
    mask[:third, MODALITIES["v"]] = True
    mask[third : 2 * third, MODALITIES["a"]] = True
    mask[2 * third :, MODALITIES["va"]] = True
    return mask
