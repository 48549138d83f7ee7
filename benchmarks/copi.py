"""COPI's decorrelation and complete step (784-500x6-10, batch 50) beside plain definitions.

python -m benchmarks.copi [--rounds N] [--check]

Both are first compared in double precision, then timed in single precision.
"""

import sys
from collections.abc import Callable, Mapping

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks import timing
from sascli.config import Optim
from sascli.core.copi import decorrelate_, mean_square
from sascli.core.network import FeedForward
from sascli.rules.base import Setup
from sascli.rules.copi import COPI, COPISettings

BATCH, RATE, SLOPE, GAIN = 50, 1e-3, 0.1, 1000.0
WIDTHS = [784, *[500] * 6, 10]
TOLERANCE = 1e-10
BAR = 3.0
"""Speed relative to the plain definitions (--check)."""

Variants = Mapping[str, Callable[[], object]]


def plain_decorrelation(r: Tensor, x: Tensor) -> Tensor:
    """R - rate (<x x^T> - diag<x^2>) R by the cubic product; x (batch, n)."""
    c = x.T @ x / len(x)
    return r - RATE * ((c - torch.diag(torch.diag(c))) @ r)


def derivative(a: Tensor) -> Tensor:
    """f'(a) of the leaky ReLU."""
    return torch.where(a > 0, torch.ones_like(a), SLOPE)


def plain_step(
    w: list[Tensor], r: list[Tensor], y: Tensor, labels: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """W and R after one batch of COPI-BP, as defined."""
    inputs, activations = [], []
    for layer_w, layer_r in zip(w, r, strict=True):
        x = y @ layer_r.T
        a = x @ layer_w.T
        y = F.leaky_relu(a, SLOPE)
        inputs.append(x)
        activations.append(a)
    p = GAIN * (F.one_hot(labels, y.shape[1]) - y) * derivative(a)
    targets = [a + p]
    for number in reversed(range(1, len(w))):
        below = activations[number - 1]
        p = p @ w[number] @ r[number] * derivative(below)
        targets.insert(0, below + p)
    new_w = []
    for layer_w, x, z in zip(w, inputs, targets, strict=True):
        new_w.append(layer_w + RATE * (z.T @ x / len(x) - layer_w * (x**2).mean(0)))
    return new_w, [plain_decorrelation(layer_r, x) for layer_r, x in zip(r, inputs, strict=True)]


def make_rule(dtype: torch.dtype) -> COPI:
    """COPI at the MNIST preset, initialised and past its first epoch."""
    setup = Setup(
        seeds=[0], batch_size=BATCH, lr={"m": [RATE], "r": [RATE]}, decay={"m": [0.0]},
        optim=Optim(), m_var=[], pi=0.0, xi_max=[],
    )  # fmt: skip
    rule = COPI(FeedForward(WIDTHS, dtype=dtype), COPISettings("copi"), setup)
    rule.initialise()
    return rule


def difference(value: Tensor, reference: Tensor) -> float:
    """Norm of the difference over the norm of the reference."""
    return float((value - reference).norm() / reference.norm())


def agree(name: str, errors: list[float]) -> None:
    """Exit unless every error is within the tolerance."""
    if not max(errors) < TOLERANCE:
        sys.exit(f"{name}: off by {max(errors):.1e}")


def decorrelation(n: int) -> Variants:
    """The update of R with n inputs."""
    generator = torch.Generator().manual_seed(n)
    x = torch.randn(1, BATCH, n, dtype=torch.float64, generator=generator)
    r = torch.eye(n, dtype=torch.float64) + torch.randn(n, n, generator=generator) / n
    updated = decorrelate_(r[None].clone(), x, mean_square(x), RATE)[0]
    agree(f"decorrelation of {n}", [difference(updated, plain_decorrelation(r, x[0]))])
    x, r, batched = x.float(), r.float(), r.float()[None].clone()
    return {
        "sas": lambda: decorrelate_(batched, x, mean_square(x), RATE),
        "plain": lambda: plain_decorrelation(r, x[0]),
    }


def step() -> Variants:
    """A step of COPI-BP at the MNIST preset."""
    generator = torch.Generator().manual_seed(0)
    y = torch.rand(1, BATCH, WIDTHS[0], dtype=torch.float64, generator=generator)
    labels = torch.randint(WIDTHS[-1], (1, BATCH), generator=generator)
    rule = make_rule(torch.float64)
    for r in rule.layers.r:
        r += torch.randn(r.shape, generator=generator) / r.shape[-1]
    w, r = plain_step(*single(rule), y[0], labels[0])
    rule.step(y, labels)
    new_w, new_r = single(rule)
    pairs = zip([*new_w, *new_r], [*w, *r], strict=True)
    agree("step", [difference(*pair) for pair in pairs])

    rule, y = make_rule(torch.float32), y.float()
    w, r = single(rule)

    def plain() -> None:
        w[:], r[:] = plain_step(w, r, y[0], labels[0])

    return {"sas": lambda: rule.step(y, labels), "plain": plain}


def single(rule: COPI) -> tuple[list[Tensor], list[Tensor]]:
    """Copies of W and R of every layer, without the axis of replicas."""
    return [w[0].clone() for w in rule.layers.w], [r[0].clone() for r in rule.layers.r]


def main() -> None:
    """Measure, print, write outputs/bench/copi.csv."""
    args = timing.parser(__doc__, rounds=20).parse_args()
    torch.set_grad_enabled(False)
    torch.set_flush_denormal(True)
    tables = []
    for name, variants, rounds, calls in (
        ("decorrelation of 784", decorrelation(784), args.rounds, 5),
        ("decorrelation of 3072", decorrelation(3072), args.rounds // 4, 1),
        ("step 784-500x6-10", step(), args.rounds, 5),
    ):
        table = timing.in_turn(variants, rounds, "sas", calls=calls)
        table.insert(0, "what", name)
        tables.append(table)
    table = pd.concat(tables, ignore_index=True)
    timing.report("copi", table)
    if args.check:
        ratio = table.loc[table["variant"] == "plain", "ratio"].min()
        print(f"plain / sas >= {ratio:.2f}, bar {BAR}")
        sys.exit(bool(ratio < BAR))


if __name__ == "__main__":
    main()
