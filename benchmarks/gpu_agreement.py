"""Whether a GPU computes what the CPU does: checks, each a value and the bound below which it is.

Initial parameters and orders are the same on both; where there is noise, the GPU is given the
CPU's. Double precision, so that a difference is no rounding.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from benchmarks.gpu_cases import Case
from sascli.rules.base import Rule
from sascli.training import loop
from sascli.training.capture import step_of

STEPS, BOUND = 12, 1e-7
"""Steps that are compared, and the largest difference of a parameter."""
EPOCHS, REPLICAS = 10, 5
"""Of the comparison of accuracies, for which each device draws its own noise."""
ERRORS = 4.0
"""The largest difference of their means, in standard errors."""
SMALL, IMAGES = {"width": 20, "batch_size": 25}, 100
"""The networks and the images, which are four batches."""
CPU = torch.device("cpu")

Check = tuple[Case, str, Callable[[Case, torch.device], tuple[float, float]]]
"""A case, what it is compared with, and the function that returns the value and its bound."""


def checks() -> Iterator[Check]:
    """All checks."""
    cases = [
        Case("published", "gbp", 3),
        Case("published", "bp", 2),
        Case("published", "bp_decor", 2, changes={"lr": 1e-3, "decay": 0.0}),
        Case("copi", "copi", 2),
        Case("rows", "gbp", 2),
        Case("task", "gbp", 2),
    ]
    for case in cases:
        small = replace(case, precision="float64", images=IMAGES, changes=case.changes | SMALL)
        yield small, "CPU, same noise", beside_cpu
        yield replace(small, capture="always"), "eager", beside_eager
    changes = SMALL | {"lr": 0.01}
    several = replace(cases[0], replicas=REPLICAS, images=10 * IMAGES, changes=changes)
    yield several, "CPU, spread over seeds", accuracies


def train(case: Case, device: torch.device, draws: Rule | None = None) -> Tensor:
    """The parameters after some steps on batches of the CPU.

    The noise is that of another rule's `draws`, if any.
    """
    rule, taken = case.rule_on(device), 0
    if draws is not None:
        rule.draw = lambda batch: moved(draws.draw(batch), device)  # type: ignore[method-assign]
    step, data = step_of(rule, case.capture), case.data(CPU)
    for epoch in range(1, STEPS + 1):
        for started in (rule, draws or rule):
            started.start_epoch(epoch)
        for x, y in data.batches(rule.setup.seeds, epoch, rule.setup.batch_size):
            if taken < STEPS:
                step(x.to(device), y.to(device))
                taken += 1
    return torch.cat([rule.network.all.flatten(), *(r.flatten() for r in rule.network.r)]).cpu()


def moved(eps: list[Tensor] | None, device: torch.device) -> list[Tensor] | None:
    """Noise of the CPU on a device."""
    return None if eps is None else [noise.to(device) for noise in eps]


def beside_cpu(case: Case, device: torch.device) -> tuple[float, float]:
    """The largest difference of a parameter from one that the CPU trained."""
    difference = train(case, device, case.rule_on(CPU)) - train(case, CPU)
    return float(difference.abs().max()), BOUND


def beside_eager(case: Case, device: torch.device) -> tuple[float, float]:
    """The largest difference of a parameter between captured and eager steps."""
    difference = train(case, device) - train(replace(case, capture="never"), device)
    return float(difference.abs().max()), BOUND


def accuracies(case: Case, device: torch.device) -> tuple[float, float]:
    """Difference of the mean test accuracies on both devices, in units of its standard error."""
    results = []
    config = replace(case.config, epochs=EPOCHS)
    for where in (device, CPU):
        data, rule = case.data(where), case.rule_on(where)
        for epoch in range(1, EPOCHS + 1):
            loop.one_epoch(data, rule, epoch)
        results.append(torch.tensor(loop.evaluate(data, rule, EPOCHS, config)[0]))
    one, other = results
    error = ((one.var() + other.var()) / case.replicas).sqrt().clamp(min=1e-3)
    return float((one.mean() - other.mean()).abs() / error), ERRORS
