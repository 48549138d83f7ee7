"""An optimiser step at 784-100-100-10, batch 500: gBP beside BP and other libraries.

python -m benchmarks.step [--rounds N] [--compile] [--check]
"""

import math
import sys
from collections.abc import Callable, Sequence

import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks import peers, timing
from sascli.config import Optim
from sascli.core.mean_field import mean_field_linear
from sascli.core.network import KINDS, FeedForward
from sascli.rules.base import Rule, RuleSettings, Setup
from sascli.rules.bp import BP
from sascli.rules.gbp import GBP

WIDTHS = [784, 100, 100, 10]
BATCH, IMAGES = 500, 10_000
LR, DECAY = 1e-3, 1e-4
TORCH, BAYESIAN = "BP, torch nn.Linear", "bayesian-torch Reparameterization"
BARS = {"BP, sas": 2.2, TORCH: 1.55}
"""Largest ratios of a step of gBP to others (--check); it is also to be faster than BAYESIAN."""


def make_rule(
    kind: type[Rule],
    widths: Sequence[int] = WIDTHS,
    replicas: int = 1,
    device: torch.device | str = "cpu",
) -> Rule:
    """A learning rule with its network, as `sas train` makes it."""
    setup = Setup(
        seeds=list(range(replicas)),
        batch_size=BATCH,
        lr=dict.fromkeys(KINDS, [LR] * replicas),
        decay=dict.fromkeys(KINDS, [DECAY] * replicas),
        optim=Optim(),
        m_var=[2 / WIDTHS[0]] * (len(widths) - 1),
        pi=0.1,
        xi_max=[0.01] * (len(widths) - 1),
    )
    network = FeedForward(widths, replicas, device=device)
    rule = kind(network, RuleSettings(kind.__name__), setup)
    rule.initialise()
    rule.start_epoch(1)
    return rule


class Autograd(nn.Module):
    """gBP with parameters by layer and torch's autograd, on plain formulas or our closed forms."""

    def __init__(self, source: FeedForward, linear: Callable[..., Tensor]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(
            nn.ParameterDict({kind: getattr(layer, kind).detach().clone() for kind in KINDS})
            for layer in source.layers
        )
        self.linear = linear

    def forward(self, x: Tensor, eps: list[Tensor]) -> Tensor:
        """Logits of one replica."""
        for number, (part, noise) in enumerate(zip(self.parts, eps, strict=True)):
            x = self.linear(x.relu() if number else x, part["m"], part["pi"], part["xi"], noise)
        return x

    def project(self) -> None:
        """The projection of pi and Xi."""
        with torch.no_grad():
            for part in self.parts:
                part["pi"].clamp_(0, 1)
                part["xi"].clamp_(min=0)


def plain(a: Tensor, m: Tensor, pi: Tensor, xi: Tensor, eps: Tensor) -> Tensor:
    """Eqs. 2-3 as published, for Delta > 0."""
    n = a.shape[-1]
    mu, var = (1 - pi) * m, (1 - pi) * (xi + pi * m**2)
    delta = (a**2 @ var.mT / n).sqrt()
    return a @ mu.mT / math.sqrt(n) + eps * delta


def noise() -> list[Tensor]:
    """Noise for one batch."""
    return [torch.randn(1, BATCH, n) for n in WIDTHS[1:]]


def autograd_step(network: nn.Module, project: Callable[[], None]) -> Callable[..., None]:
    """One step of fused AdamW with torch's autograd."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=LR, weight_decay=DECAY, fused=True)

    def run(x: Tensor, y: Tensor) -> None:
        optimiser.zero_grad()
        logits = network(x.unsqueeze(0), noise())
        nn.functional.cross_entropy(logits.squeeze(0), y).backward()
        optimiser.step()
        project()

    return run


def agree(source: FeedForward, variants: dict[str, nn.Module]) -> None:
    """Exit unless all variants of gBP have the same gradients, to 1e-4 in norm.

    The inputs are always the same: where rounding decides whether a ReLU is open, variants differ.
    """
    torch.manual_seed(0)
    x, y, eps = torch.rand(1, BATCH, WIDTHS[0]), torch.randint(0, 10, (1, BATCH)), noise()
    gbp = source.gbp()
    gbp(x, y, eps)
    expected = {kind: source.split(gbp.grads[kind]) for kind in KINDS}
    for name, network in variants.items():
        network.zero_grad()
        nn.functional.cross_entropy(network(x, eps).squeeze(0), y[0]).backward()
        for number, part in enumerate(network.get_submodule("parts").children()):
            for kind in KINDS:
                grad, reference = part.get_parameter(kind).grad, expected[kind][number]
                assert grad is not None
                error = float((grad - reference).norm() / reference.norm())
                if not error < 1e-4:
                    sys.exit(f"{name}: gradient of {kind}, layer {number + 1}, off by {error:.1e}")


class Batches:
    """Batches of the same images for all variants, in a new order every epoch."""

    def __init__(self) -> None:
        self.x = torch.rand(IMAGES, WIDTHS[0]) * (torch.rand(IMAGES, WIDTHS[0]) < 0.2)
        self.y = torch.randint(0, WIDTHS[-1], (IMAGES,))
        self.buffer = torch.empty(BATCH, WIDTHS[0])
        self.order, self.start = torch.randperm(IMAGES), 0

    def __call__(self) -> tuple[Tensor, Tensor]:
        """The next batch."""
        if self.start == IMAGES:
            self.order, self.start = torch.randperm(IMAGES), 0
        batch = self.order[self.start : self.start + BATCH]
        self.start += BATCH
        return torch.index_select(self.x, 0, batch, out=self.buffer), self.y[batch]


def variants(compiled: bool) -> dict[str, Callable[[Tensor, Tensor], object]]:
    """The compared steps by name; checks the gradients first."""
    gbp, bp = make_rule(GBP), make_rule(BP)
    networks = {
        "gBP, plain autograd": Autograd(gbp.network, plain),
        "gBP, autograd over mean_field_linear": Autograd(gbp.network, mean_field_linear),
    }
    modules: dict[str, nn.Module] = dict(networks)
    if compiled:
        network = Autograd(gbp.network, plain)
        networks["gBP, torch.compile"] = network
        modules["gBP, torch.compile"] = torch.compile(network)  # type: ignore[assignment]
    agree(gbp.network, modules)
    steps: dict[str, Callable[[Tensor, Tensor], object]] = {
        "BP, sas": lambda x, y: bp.step(x.unsqueeze(0), y.unsqueeze(0)),
        "gBP, sas": lambda x, y: gbp.step(x.unsqueeze(0), y.unsqueeze(0)),
    }
    linear = peers.Network(lambda i, o: nn.Linear(i, o, bias=False), WIDTHS)
    steps[TORCH] = peers.step(linear, LR, DECAY)
    for name, module in modules.items():
        steps[name] = autograd_step(module, networks[name].project)
    for name, make in peers.layers().items():
        steps[name] = peers.step(peers.Network(make, WIDTHS), LR, DECAY)
    return steps


def main() -> None:
    """Measure, print, write outputs/bench/step.csv."""
    parser = timing.parser(__doc__, rounds=40)
    parser.add_argument("--compile", action="store_true", help="needs a C++ compiler and a minute")
    args = parser.parse_args()
    torch.set_flush_denormal(True)
    batches = Batches()
    calls = {
        name: lambda step=step: step(*batches()) for name, step in variants(args.compile).items()
    }
    table = timing.in_turn(calls, args.rounds, "BP, sas", calls=5)
    plain_bp = table.loc[table["variant"] == TORCH, "ms"].iloc[0]
    table["ratio_to_torch"] = table["ms"] / plain_bp
    timing.report("step", pd.DataFrame(table))
    if args.check:
        ms = table.set_index("variant")["ms"]
        bars = BARS | ({BAYESIAN: 1.0} if BAYESIAN in ms else {})
        ratios = {name: ms["gBP, sas"] / ms[name] for name in bars}
        for name, ratio in ratios.items():
            print(f"gBP / {name} = {ratio:.2f}, bar {bars[name]}")
        sys.exit(any(ratio > bars[name] for name, ratio in ratios.items()))


if __name__ == "__main__":
    main()
