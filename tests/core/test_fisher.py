"""The Fisher information of a network equals its definition, sample by sample."""

import torch

from sascli.core.fisher import fisher
from sascli.core.network import FeedForward


def network(widths: tuple[int, ...] = (5, 4, 3, 3), replicas: int = 2) -> FeedForward:
    """Random m in float64; pi and Xi, which BP does not use, are 0."""
    made = FeedForward(widths, replicas, dtype=torch.float64)
    made.flat["m"].normal_(generator=torch.Generator().manual_seed(1))
    return made


def images(count: int, n: int = 5) -> torch.Tensor:
    return torch.rand(count, n, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def by_definition(made: FeedForward, x: torch.Tensor) -> list[torch.Tensor]:
    """Mean over x of sum_y p(y|x) (d log p(y|x) / dm)^2 by autograd, one sample at a time."""
    weights = [layer.m for layer in made.layers]
    total = [torch.zeros_like(w) for w in weights]
    for sample in x.split(1, dim=-2):
        log_p = made.run(weights, sample)[:, 0].log_softmax(-1)
        for replica, label in torch.cartesian_prod(*map(torch.arange, log_p.shape)).tolist():
            of = log_p[replica, label]
            for values, grad in zip(
                total, torch.autograd.grad(of, weights, retain_graph=True), strict=True
            ):
                values += of.exp().detach() * grad**2 / x.shape[-2]
    return total


def test_fisher_equals_definition_for_any_batches() -> None:
    made, x = network(), images(7)
    got = fisher(made, x.split(3))
    for values, expected in zip(made.split(got), by_definition(made, x), strict=True):
        assert expected.max() > 1e-4
        torch.testing.assert_close(values, expected, rtol=1e-12, atol=1e-15)
