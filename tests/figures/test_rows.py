"""Choosing rows, spreading over seeds, pooling histograms."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from sascli.errors import UserError
from sascli.figures.draw import style
from sascli.figures.draw.curves import size_name
from sascli.figures.draw.histograms import _round_down
from sascli.figures.draw.rows import first_rate, latest, over_seeds, pooled, rows, seeds


def test_networks_of_one_seed_and_several_rates_are_all_pooled() -> None:
    bins = {"bin_left": [0.0, 0.5], "bin_right": [0.5, 1.0], "seed": 0}
    table = pd.concat(
        [
            pd.DataFrame(bins | {"replica": 0, "count": [8, 0]}),
            pd.DataFrame(bins | {"replica": 1, "count": [4, 4]}),
        ]
    )
    density, edges = pooled(table)
    assert density.tolist() == [1.5, 0.5] and edges.tolist() == [0, 0.5, 1]


def test_rows_are_chosen_by_every_key() -> None:
    tables = {"t": pd.DataFrame({"rule": ["gbp", "gbp", "bp"], "depth": [4, 5, 4]})}
    assert list(rows(tables, "t", rule="gbp", depth=4).index) == [0]
    with pytest.raises(UserError, match=r"t\.csv has no rows with rule=bp, depth=5"):
        rows(tables, "t", rule="bp", depth=5)


def test_first_rate_is_chosen_with_the_baseline() -> None:
    table = pd.DataFrame({"replica": [0, 1, 2, 3, 0], "lr": [0.1, 0.1, 0.2, 0.2, np.nan]})
    table = table.assign(decay=[0, 1e-4, 0, 1e-4, np.nan])
    tables = {"t": table, "other": table, "one": table.assign(lr=0.1, decay=0.0)}
    chosen, note = first_rate(tables, ["t", "one", "missing"])
    assert list(chosen["t"].index) == [0, 4]
    assert all(chosen[name] is tables[name] for name in ("other", "one"))
    assert note == " Shown: lr 0.1, decay 0, the first of the run's 4 rates."
    assert first_rate(tables, ["one"])[1] == ""


def test_spread_is_over_seeds_not_over_rows() -> None:
    table = pd.DataFrame(
        {"seed": [0, 0, 1, 1, 0], "x": [1, 1, 1, 1, 2], "y": [1.0, 3.0, 5.0, np.nan, 9.0]}
    )
    spread = over_seeds(table, "y", "x")
    assert spread.loc[1].to_dict() == pytest.approx(
        {"mean": 3.5, "std": 3 / np.sqrt(2), "count": 2}
    )
    assert spread.loc[2, "mean"] == 9
    assert np.isnan(spread.loc[2, "std"])
    assert seeds(table) == "error bars: standard deviation over 2 seeds"
    assert seeds(table[table["seed"] == 0], "band") == "one seed: no band"
    more = pd.DataFrame({"depth": 4, "train_size": 50, "seed": range(5)})
    both = pd.concat([table.assign(depth=4, train_size=20), more])
    assert seeds(both) == "error bars: standard deviation over 2 to 5 seeds"
    assert seeds(more) == "error bars: standard deviation over 5 seeds"
    rules = pd.concat([more.assign(rule="gbp"), more[:1].assign(rule="bp")])
    assert seeds(rules) == "error bars: standard deviation over 1 to 5 seeds"
    rates = pd.concat([more.assign(setting="lr=1"), more[more["seed"] < 3].assign(setting="lr=2")])
    assert seeds(rates) == "error bars: standard deviation over 3 to 5 seeds"


def test_networks_that_stopped_keep_their_last_value() -> None:
    rows = [(0, 0, 1.0), (10, 0, 2.0), (12, 0, 3.0), (0, 1, 5.0), (10, 1, 6.0), (20, 1, 7.0)]
    table = pd.DataFrame(rows, columns=["epoch", "seed", "mean"]).assign(layer=1, replica=0)
    wide = latest(table, "mean").pivot(index="epoch", columns="seed", values="mean")
    assert wide[0].to_dict() == {0: 1, 10: 2, 12: 3, 20: 3}
    assert wide[1].to_dict() == {0: 5, 10: 6, 12: 6, 20: 7}


def test_pooling_the_same_bins_adds_counts() -> None:
    table = pd.DataFrame(
        {"seed": [0, 0, 0, 1, 1, 1], "bin_left": [0.0, 0.5, 1.0] * 2,
         "bin_right": [0.5, 1.0, 1.5] * 2, "count": [4, 0, 0, 2, 2, 0]}
    )  # fmt: skip
    density, edges = pooled(table)
    assert density == pytest.approx([1.5, 0.5])  # 6 and 2 of 8 per half unit; the last bin is cut
    assert edges == pytest.approx([0, 0.5, 1])


def test_pooling_different_bins_keeps_the_area() -> None:
    table = pd.DataFrame(
        {"seed": [0, 0, 1], "bin_left": [0.0, 1.0, 0.0], "bin_right": [1.0, 2.0, 3.0],
         "count": [1, 1, 6]}
    )  # fmt: skip
    density, edges = pooled(table)
    assert edges == pytest.approx([0, 1, 2, 3])
    assert density == pytest.approx([5 / 12, 5 / 12, 1 / 6])
    assert np.sum(density * np.diff(edges)) == pytest.approx(1)


@pytest.mark.parametrize(("x", "expected"), [(0.31, 0.3), (2.0, 2), (0.0999, 0.09), (48, 40)])
def test_tick_is_round_and_inside(x: float, expected: float) -> None:
    assert _round_down(x) == pytest.approx(expected)


def test_sizes_are_short() -> None:
    assert [size_name(size) for size in (1_297, 60_000, 500)] == ["1297", "60k", "500"]


def test_palette_works_in_grey() -> None:
    greys = sorted(np.dot((0.299, 0.587, 0.114), to_rgb(look["color"])) for look in style.LOOKS)
    assert np.diff(greys).min() > 0.15
    for key in ("marker", "linestyle"):
        assert len({look[key] for look in style.LOOKS}) == len(style.LOOKS)
    looks = style.ordered(range(6)).values()
    shades = [np.dot((0.299, 0.587, 0.114), look["color"][:3]) for look in looks]
    assert np.diff(shades).min() > 0.05
