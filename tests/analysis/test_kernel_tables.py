"""Tables of the tangent kernel and of lazy training."""

import math

import pandas as pd
import pytest
import torch

from sascli.analysis.kernel import DYNAMICS, decay_table, kernel_table, lazy_table, sequences
from sascli.core.kernel import Scales, analytic


def test_sequences_are_on_a_circle() -> None:
    phi, x = sequences(5)
    assert x.shape == (6, 2, 1)
    assert x[0].flatten().tolist() == [1, -1]
    assert phi.tolist() == pytest.approx([0, math.pi / 2, math.pi, 1.5 * math.pi, 2 * math.pi])
    assert x[2].flatten().tolist() == pytest.approx([0, 1])


def test_kernels_scatter_about_the_analytic_one() -> None:
    table = kernel_table(Scales(alpha=1.0), 5, [20, 400], 30)
    assert len(table) == 2 * 30 * 5
    theta = analytic(sequences(5)[1], Scales(alpha=1.0))[0, 1:].tolist()
    wide = table[table["width"] == 400]
    for (_, part), want in zip(wide.groupby("angle"), theta, strict=True):
        assert part["analytic"].tolist() == pytest.approx([want] * 30)
        error = part["kernel"].std() / math.sqrt(30)
        assert abs(part["kernel"].mean() - want) < 4 * error
    assert (decay_table(table)["exponent"] < 0).mean() > 0.7


def test_a_networks_row_does_not_depend_on_the_others() -> None:
    both = kernel_table(Scales(alpha=0.5), 3, [10, 30], 2)
    alone = kernel_table(Scales(alpha=0.5), 3, [30], 1)
    part = both[(both["width"] == 30) & (both["seed"] == 0)].reset_index(drop=True)
    pd.testing.assert_frame_equal(part, alone)


def test_the_exponent_of_a_power_law() -> None:
    rows = [
        {"alpha": 1.0, "width": width, "seed": seed, "angle": angle, "analytic": 2.0,
         "kernel": 2.0 + (-1) ** angle * (seed + 1) * width ** (-0.4 - 0.1 * seed)}
        for width in (10, 100, 1000) for seed in (0, 1) for angle in (0, 1)
    ]  # fmt: skip
    table = decay_table(pd.DataFrame(rows))
    assert table["exponent"].tolist() == pytest.approx(3 * [-0.4] + 3 * [-0.5])
    assert table["deviation"].tolist()[:3] == pytest.approx(
        [0.5 * w**-0.4 for w in (10, 100, 1000)]
    )


def test_lazy_table_has_every_nth_step() -> None:
    x, y = torch.rand(2, 3, 5, generator=torch.Generator().manual_seed(0)), torch.tensor([-1.0, 1])
    complete, part = (
        lazy_table(x, y, 10, Scales(), lr=0.01, steps=8, every=every, seed=0) for every in (1, 3)
    )
    expected = complete[complete["step"].isin([0, 3, 6])].reset_index(drop=True)
    pd.testing.assert_frame_equal(part, expected)


def test_lazy_training_by_every_dynamics() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(4, 3, 5, generator=generator)
    y = torch.tensor([-1.0, -1.0, 1.0, 1.0])
    table = pd.concat(
        lazy_table(x, y, 300, Scales(alpha=1.0), lr=0.01, steps=20, every=1, seed=seed)
        for seed in range(2)
    )
    assert len(table) == 2 * len(DYNAMICS) * 20
    wide = table.pivot_table(index=["seed", "step"], columns="dynamics", values="loss")
    start = wide.xs(0, level="step")
    for dynamics in DYNAMICS:
        assert start[dynamics].tolist() == pytest.approx(start["descent"].tolist(), rel=1e-5)
    late = wide.xs(19, level="step")
    fall = (start - late)["descent"]
    assert (fall > 0.1 * start["descent"]).all()
    distance = (late.sub(late["descent"], axis=0)).abs().mean()
    assert distance["empirical"] < 0.1 * fall.mean()
    assert distance["empirical"] < distance["fresh"]
    means = table[(table["step"] == 0) & (table["dynamics"] == "descent")]
    low, high = means["output_low"], means["output_high"]
    assert (means["loss"] > ((low + 1) ** 2 + (high - 1) ** 2) / 4 - 1e-6).all()
