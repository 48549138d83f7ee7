r"""Selectivity of neurons for choice, modality, both or neither, from noise-reduced trials.

A neuron's response is its mean rate during the stimulus of a visual or auditory trial. The
fraction of its variance over trials that is explained by two groups of trials is

.. math::
    \eta^2 = n_1 n_2 / n \, (\bar r_1 - \bar r_2)^2 / \sum_k (r_k - \bar r)^2

for choice (high against low) and for modality (v against a). The control permutes the choices
among the trials of a modality, and the modalities among the trials of a choice; for mixed
selectivity only one of the two at a time, since a neuron that is selective for the other alone
must not count as mixed.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd

from sascli.analysis.replicas import replica_tables
from sascli.analysis.trials import CONDITIONS, Recording
from sascli.config import SelectivitySettings
from sascli.core.recurrent import Recurrent
from sascli.data.multisensory import BOUNDARY, MODALITIES

KINDS = ("choice", "modality", "mixed", "none")
GROUPS = ("auditory", "visual", "neither")
"""The inputs of the three thirds of the neurons besides the start cue."""
CONTROLS = 20
"""Sets of permuted labels that are classified."""


def selectivity(
    network: Recurrent,
    seeds: Sequence[int],
    recording: Recording,
    criterion: SelectivitySettings,
    *,
    right: bool = False,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """selectivity.csv and responses.csv of the mean network.

    Trials are labelled by its choices, or with `right` by the correct ones, as the choices of an
    untrained network are arbitrary.
    """
    rates, times = recording.of(network, seeds)
    r, timing = rates.cpu().numpy(), recording.timing
    during = (times > 0) & (times <= timing.stimulus)
    last = timing.ends[2] // recording.step - 1
    readout = network.layers[2].mean().detach().double().cpu().numpy()
    outputs = np.einsum("rtn,ron->rto", r[:, :, last], readout)
    high = outputs[..., 0] > outputs[..., 1]
    modality, frequency = (np.array(v) for v in zip(*CONDITIONS * recording.repeats, strict=True))
    if right:
        high = np.broadcast_to(frequency > BOUNDARY, high.shape)
    single = modality != "va"
    tables, responses = [], []
    for seed, r_one, high_one in zip(seeds, r, high, strict=True):
        response = r_one[:, during].mean(1)[single]
        table = classify(response, high_one[single], modality[single] == "v", criterion, seed)
        third = np.minimum(table["neuron"] // (len(table) // 3), 2)
        table.insert(1, "gets", np.array(GROUPS)[third])
        tables.append(table.assign(rate=response.mean(0)))
        responses.append(_responses(r_one, times, modality, high_one))
    return replica_tables(seeds, tables), replica_tables(seeds, responses)


def _responses(
    r: np.ndarray, times: np.ndarray, modality: np.ndarray, high: np.ndarray
) -> pd.DataFrame:
    """Mean rates of one network's neurons over time, by modality and choice of the trials."""
    tables = []
    for name, (choice, label) in product(MODALITIES, ((True, "high"), (False, "low"))):
        trials = (modality == name) & (high == choice)
        if trials.any():
            mean = pd.DataFrame(r[trials].mean(0).T, columns=times).rename_axis("neuron")
            long = mean.melt(var_name="time", value_name="rate", ignore_index=False).reset_index()
            tables.append(long.assign(modality=name, choice=label, trials=trials.sum()))
    columns = ["neuron", "modality", "choice", "trials", "time", "rate"]
    return pd.concat(tables, ignore_index=True)[columns]


def classify(
    response: np.ndarray,
    high: np.ndarray,
    visual: np.ndarray,
    criterion: SelectivitySettings,
    seed: int,
) -> pd.DataFrame:
    """A row per neuron: eta^2 and p of both groupings, its kind, and how often it is by chance.

    response is (trials, neurons), high and visual (trials,). The control classifies `CONTROLS`
    permuted labels by the criterion, with the other permutations. The control of mixed is the sum
    of the fractions with permuted choices and with permuted modalities.
    """
    generator = np.random.default_rng(seed)
    table = pd.DataFrame({"neuron": range(response.shape[1])})
    selective = {}
    for name, labels, within in (("choice", high, visual), ("modality", visual, high)):
        count = CONTROLS + criterion.permutations
        permuted = np.stack([permute(labels, within, generator) for _ in range(count)])
        all_eta2 = explained(response, np.concatenate([labels[None], permuted]))
        eta2, chance = np.split(all_eta2, [1 + CONTROLS])
        # (1 + permutations that explain as much) / (1 + permutations)
        p = np.stack([1 + (chance >= row).sum(0) for row in eta2]) / (1 + len(chance))
        table[name], table[f"{name}_p"] = eta2[0], p[0]
        selective[name] = (eta2 >= criterion.least) & (p < criterion.level)
    by_choice, by_modality = selective["choice"], selective["modality"]
    kinds = np.where(by_choice, np.where(by_modality, 2, 0), np.where(by_modality, 1, 3))
    table["kind"] = np.array(KINDS)[kinds[0]]
    for number, kind in enumerate(KINDS):
        table[f"control_{kind}"] = (kinds[1:] == number).mean(0)
    with_one_permuted = (by_choice[1:] & by_modality[0], by_choice[0] & by_modality[1:])
    table["control_mixed"] = sum(mixed.mean(0) for mixed in with_one_permuted)
    return table


def permute(labels: np.ndarray, within: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Labels permuted among the trials with the same value of `within`."""
    permuted = labels.copy()
    for value in (True, False):
        permuted[within == value] = generator.permutation(labels[within == value])
    return permuted


def explained(response: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """eta^2 of each row of groups, (rows, neurons); 0 for constant neurons and single groups.

    response is (trials, neurons), groups boolean (rows, trials).
    """
    centred = response - response.mean(0)
    total = (centred**2).sum(0)
    first = groups.sum(1, keepdims=True)
    second = groups.shape[1] - first
    # of centred responses the sums of the two groups are opposite
    between = (groups.astype(float) @ centred) ** 2 * groups.shape[1]
    scale = first * second * total
    eta2 = np.zeros(between.shape)
    np.divide(between, scale, out=eta2, where=scale > 1e-20)
    return eta2
