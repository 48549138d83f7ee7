r"""What neurons are selective for, from noise-reduced trials: choice, modality, both, neither.

A neuron's response is its mean rate during the stimulus of a visual or auditory trial. The share
of its variance over trials that two groups of trials explain is

.. math::
    \eta^2 = n_1 n_2 / n \, (\bar r_1 - \bar r_2)^2 / \sum_k (r_k - \bar r)^2

for choice (high against low) and for modality (v against a). The control permutes the choices
among the trials of a modality, and the modalities among the trials of a choice; for mixed
selectivity only one of the two at a time, since what must not pass for mixed is a neuron that is
selective for the other alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from sascli.analysis.trials import CONDITIONS, Recording
from sascli.core.recurrent import Recurrent
from sascli.data.multisensory import BOUNDARY, MODALITIES

KINDS = ("choice", "modality", "mixed", "none")
GROUPS = ("auditory", "visual", "neither")
"""What the three thirds of the neurons get as inputs, beside the start cue."""
CONTROLS = 20
"""Sets of permuted labels that are classified."""


@dataclass(frozen=True)
class Criterion:
    """Selective: eta^2 of at least `least`, and p below `level` of so many permutations."""

    least: float = 0.05
    level: float = 0.01
    permutations: int = 999


def selectivity(
    network: Recurrent,
    seeds: Sequence[int],
    recording: Recording,
    criterion: Criterion,
    *,
    right: bool = False,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """selectivity.csv and responses.csv of the mean network.

    Trials are labelled by its choices, or with `right` by the right ones: an untrained network
    makes none that mean anything.
    """
    rates, times = recording.of(network, seeds)
    r, timing = rates.cpu().numpy(), recording.timing
    during = (times > 0) & (times <= timing.stimulus)
    last = timing.ends[2] // recording.step - 1
    readout = network.layers[2].mean().detach().double().cpu().numpy()
    outputs = np.einsum("rtn,ron->rto", r[:, :, last], readout)
    high = outputs[..., 0] > outputs[..., 1]
    if right:
        above = [frequency > BOUNDARY for _, frequency in CONDITIONS] * recording.repeats
        high = np.broadcast_to(above, high.shape)
    modality = np.array([name for name, _ in CONDITIONS] * recording.repeats)
    single = modality != "va"
    tables, responses = [], []
    for number, (seed, own, chosen) in enumerate(zip(seeds, r, high, strict=True)):
        response = own[:, during].mean(1)[single]
        table = classify(response, chosen[single], modality[single] == "v", criterion, seed)
        third = np.minimum(table["neuron"] // (len(table) // 3), 2)
        table.insert(2, "gets", np.array(GROUPS)[third])
        tables.append(table.assign(replica=number, rate=response.mean(0)))
        for name, choice in product(MODALITIES, (True, False)):
            these = (modality == name) & (chosen == choice)
            if these.any():
                mean = pd.DataFrame(own[these].mean(0).T, columns=times)
                long = mean.melt(var_name="time", value_name="rate", ignore_index=False)
                responses.append(
                    long.rename_axis("neuron").reset_index().assign(
                        replica=number, seed=seed, modality=name,
                        choice="high" if choice else "low", trials=these.sum(),
                    )
                )  # fmt: skip
    columns = ["replica", "seed", "neuron", "modality", "choice", "trials", "time", "rate"]
    together = pd.concat(tables, ignore_index=True)
    together.insert(0, "replica", together.pop("replica"))
    return together, pd.concat(responses, ignore_index=True)[columns]


def classify(
    response: np.ndarray, high: np.ndarray, visual: np.ndarray, criterion: Criterion, seed: int
) -> pd.DataFrame:
    """A row per neuron: eta^2 and p of both groupings, its kind, and how often it is by chance.

    response is (trials, neurons), high and visual (trials,). The control classifies `CONTROLS`
    permutations by the others, in the same way. That of mixed is the sum of two shares: found
    with permuted choices, and found with permuted modalities.
    """
    draw, count = np.random.default_rng(seed), response.shape[1]
    table = pd.DataFrame({"seed": seed, "neuron": range(count)})
    selective = {}
    for name, labels, within in (("choice", high, visual), ("modality", visual, high)):
        count = CONTROLS + criterion.permutations
        permuted = np.stack([permute(labels, within, draw) for _ in range(count)])
        share = explained(response, np.concatenate([labels[None], permuted]))
        p = p_values(share[: 1 + CONTROLS], share[1 + CONTROLS :])
        table[name], table[f"{name}_p"] = share[0], p[0]
        selective[name] = (share[: 1 + CONTROLS] >= criterion.least) & (p < criterion.level)
    by_choice, by_modality = selective["choice"], selective["modality"]
    kinds = np.where(by_choice, np.where(by_modality, 2, 0), np.where(by_modality, 1, 3))
    table["kind"] = np.array(KINDS)[kinds[0]]
    for number, kind in enumerate(KINDS):
        table[f"control_{kind}"] = (kinds[1:] == number).mean(0)
    with_one_permuted = (by_choice[1:] & by_modality[0], by_choice[0] & by_modality[1:])
    table["control_mixed"] = sum(found.mean(0) for found in with_one_permuted)
    return table


def permute(labels: np.ndarray, within: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Labels permuted among the trials that are alike in `within`."""
    permuted = labels.copy()
    for value in (True, False):
        permuted[within == value] = draw.permutation(labels[within == value])
    return permuted


def explained(response: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """eta^2 of each row of groups, (rows, neurons); 0 where a neuron is constant or none differ.

    response is (trials, neurons), groups boolean (rows, trials).
    """
    centred = response - response.mean(0)
    total = (centred**2).sum(0)
    first = groups.sum(1, keepdims=True)
    second = groups.shape[1] - first
    # of centred responses the sums of the two groups are opposite
    between = (groups.astype(float) @ centred) ** 2 * groups.shape[1]
    whole = first * second * total
    share = np.zeros(between.shape)
    np.divide(between, whole, out=share, where=whole > 1e-20)
    return share


def p_values(share: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """(1 + permutations that explain as much) / (1 + permutations), of each row of shares."""
    return np.stack([(1 + (chance >= own).sum(0)) / (1 + len(chance)) for own in share])
