"""The pictures of one's own runs, and the keys and captions of the others."""

import numpy as np
import pandas as pd
import pytest
import temporal_tables
import use_tables
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from test_pictures import bars, drawn, layers, single_run, tables_for, texts

from sascli.figures.draw import style


def legend(figure: Figure) -> list[str]:
    """The texts of a figure's legends, those of its parts included."""
    boxes = [*figure.legends, *(box for part in figure.subfigs for box in part.legends)]
    return [text.get_text() for box in boxes for text in box.get_texts()]


def test_perturbation_has_a_row_per_layer_and_rate() -> None:
    table = tables_for("perturbation")["perturbation"]
    names = {1: "in", 2: "rec", 3: "out"}
    parts = [table.assign(lr=lr, layer_name=table["layer"].map(names)) for lr in (0.1, 0.2)]
    figure = drawn("perturbation", {"perturbation": pd.concat(parts)})
    titles = [ax.get_title(loc="left") for ax in figure.axes[::2]]
    assert titles[:2] == ["in → rec, lr 0.1", "in → rec, lr 0.2"] and len(titles) == 6
    assert list(bars(figure.axes[1])) == ["random off", "others off", "UIPs on"]
    assert "without \u201cVIPs off\u201d." in str(figure.get_label())


def test_perturbation_of_one_kind_or_without_f_0_has_one_panel() -> None:
    table = tables_for("perturbation")["perturbation"].query("layer == 1")
    for part in (table.query("kind == 'uip_on'"), table.query("fraction > 0")):
        figure = drawn("perturbation", {"perturbation": part})
        assert len(figure.axes) == 1 and "Right" not in str(figure.get_label())
    assert "UIPs are switched on" in str(figure.get_label())


def test_entropy_of_a_recurrent_run_over_the_epochs() -> None:
    made = single_run("gbp", 2)
    made["entropy"] = pd.DataFrame({"layer": [1, 2, 3], "layer_name": ["in", "rec", "out"]})
    made["entropy_epochs"] = pd.DataFrame(
        [{"seed": seed, "epoch": epoch, "layer": layer, "estimator": "paper",
          "mean": epoch + layer + 0.1 * seed}
         for seed in (0, 1) for epoch in (0, 5) for layer in (1, 2, 3)]
    )  # fmt: skip
    figure = drawn("entropy", made)
    above, below = figure.axes
    assert legend(figure) == ["in → rec", "rec → rec", "rec → out"]
    assert len(above.patches) == 3
    assert np.asarray(below.get_lines()[1].get_ydata()).tolist() == pytest.approx([2.05, 7.05])
    caption = str(figure.get_label())
    assert "connections of 2 networks pooled" in caption and "Below: its mean" in caption


def test_entropy_of_numbers_is_a_spike_on_a_readable_axis() -> None:
    made = single_run("bp", 1)
    table = made["histograms"].query("parameter == 'm'").assign(parameter="entropy")
    table[["bin_left", "bin_right"]] *= 1e-8
    (ax,) = drawn("entropy", {"histograms": table}).axes
    assert ax.get_xlim() == (-1, 1)
    assert ax.patches[0].get_data().edges.tolist() == [-0.01, 0.01]  # type: ignore[attr-defined]


def test_comparison_has_a_look_for_each_run() -> None:
    made = tables_for("comparison")
    made["history"].loc[made["history"]["run"] == "b", "test_accuracy"] -= 0.1
    figure = drawn("comparison", made)
    assert legend(figure) == ["a", "b"]
    accuracy, *panels, sparsity, _ = figure.axes
    first, second = (np.asarray(line.get_ydata(), float) for line in accuracy.get_lines())
    assert first - second == pytest.approx(np.full(len(first), 10))
    assert np.asarray(sparsity.get_lines()[0].get_ydata()) == pytest.approx([0.11, 0.21, 0.31])
    assert len(panels) == 9 and all(len(panel.patches) == 2 for panel in panels)
    assert str(figure.get_label()).startswith("2 runs.")


def test_comparison_of_numbers_shows_their_spread_instead_of_pi() -> None:
    made = single_run("bp", 1) | {"layers": layers(1)}
    made = {name: pd.concat([t.assign(run="a"), t.assign(run="b")]) for name, t in made.items()}
    figure = drawn("comparison", made)
    assert len(figure.axes) == 2 + 3
    assert figure.axes[-1].get_ylabel() == "standard deviation of $w$"
    assert "sparsity" not in str(figure.get_label())


@pytest.mark.parametrize("name", ["fig4b", "fig4a", "pruning", "compression"])
def test_one_seed_has_no_error_bars_in_the_legend(name: str) -> None:
    figure = drawn(name, tables_for(name, seeds=1))
    assert not any(isinstance(c, ErrorbarContainer) for ax in figure.axes for c in ax.containers)
    assert not [ax for ax in figure.axes if ax.collections]  # nor bands


def test_psychometric_choices_stay_within_0_and_100_percent() -> None:
    made = temporal_tables.tables(3)
    table = made["psychometric"]
    table["high"] = np.where(table["seed"] == 0, 1.0, table["high"])  # a wide spread
    figure = drawn("psychometric", made)
    modes = table["way"].nunique()
    assert len(figure.axes) == 3 * modes
    ends = [
        np.asarray(bar.get_segments())[..., 1]
        for ax in figure.axes for box in ax.containers for bar in box.lines[2]  # type: ignore[attr-defined]
    ]  # fmt: skip
    lengths = np.concatenate([np.ptp(end, axis=1) for end in ends])
    assert max(lengths) > 20
    assert min(end.min() for end in ends) >= 0 and max(end.max() for end in ends) <= 100
    assert "cut off at 0 and 100 %" in str(figure.get_label())
    for ax in figure.axes:  # a modality each, with the curves of the others in grey
        assert len(ax.containers) == 1
        greys = [line for line in ax.get_lines() if line.get_color() == "0.75"]
        greys = [line for line in greys if len(np.asarray(line.get_xdata()))]  # not the key's
        assert len(greys) == 2


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("trajectories", ["9 events / s", "16 events / s", "beginning", "end of the decision"]),
        ("neurons", ["visual (v)", "auditory (a)", "both (va)", "high choice", "low choice",
                     "stimulus"]),
        ("synapses", ["seed 0", "seed 1", "seed 2", "epoch 10", "last epoch"]),
        ("psychometric", ["mean over seeds", "logistic curve", "other modalities", "boundary"]),
        ("temporal_entropy", ["in → rec", "rec → rec", "rec → out"]),
    ],
)  # fmt: skip
def test_keys_are_inside_the_picture(name: str, labels: list[str]) -> None:
    assert legend(drawn(name, temporal_tables.tables(3))) == labels


MEASURED = (
    "accuracy", "after", "auroc", "before", "bytes", "calibration_error", "confidence", "count",
    "high", "mean", "pc1", "rate", "slope", "test_accuracy",
)  # fmt: skip
"""Columns that differ between the rates of `at_two_rates`."""


def at_two_rates(made: dict[str, pd.DataFrame], *names: str) -> dict[str, pd.DataFrame]:
    """Tables of a run of two rates: those of these names have two replicas of each seed."""

    def doubled(table: pd.DataFrame) -> pd.DataFrame:
        further = table["replica"] + table["replica"].nunique()
        other = {name: table[name] ** 2 for name in MEASURED if name in table}
        if "kind" in table and "network" in table:
            other["kind"] = "mixed"
        parts = [table.assign(lr=0.1), table.assign(lr=0.2, replica=further, **other)]
        return pd.concat(parts, ignore_index=True)

    return made | {name: doubled(made[name]) for name in names}


def contents(figure: Figure) -> list[list[float]]:
    """The numbers of all lines, bars and shades of a figure."""
    numbers = []
    for ax in figure.axes:
        numbers += [np.nan_to_num(np.asarray(line.get_xydata())) for line in ax.get_lines()]
        numbers += [
            np.array([bar.get_height()]) for bar in ax.patches if isinstance(bar, Rectangle)
        ]
        shades = (shade.get_array() for shade in ax.collections)
        numbers += [np.asarray(shade) for shade in shades if shade is not None]
    return [x.ravel().tolist() for x in numbers]


@pytest.mark.parametrize(
    ("name", "tables"),
    [
        ("reliability", ["reliability", "evaluation"]),
        ("uncertainty", ["uncertainty"]),
        ("confusion", ["confusion"]),
        ("pruning", ["pruning"]),
        ("sparse", ["pruning"]),
        ("decorrelation", ["decorrelation"]),
        ("compression", ["compression"]),
        ("psychometric", ["psychometric", "sigmoids"]),
        ("selectivity", ["selectivity"]),
        ("neurons", ["selectivity", "responses"]),
        ("trajectories", ["trajectories", "components"]),
    ],
)
def test_first_of_several_rates_is_drawn(name: str, tables: list[str]) -> None:
    made = tables_for(name, 2)
    for table in tables:
        if "replica" not in made[table]:
            made[table]["replica"] = made[table]["seed"]
    figure, want = drawn(name, at_two_rates(made, *tables)), drawn(name, made)
    assert contents(figure) == contents(want)
    note = " Shown: lr 0.1, the first of the run's 2 rates."
    assert str(figure.get_label()) == str(want.get_label()) + note


@pytest.mark.parametrize(
    ("name", "tables"),
    [
        ("neurons", ["selectivity", "responses"]),
        ("trajectories", ["trajectories", "components"]),
    ],
)
def test_examples_are_of_one_of_two_replicas_of_a_seed(name: str, tables: list[str]) -> None:
    made = at_two_rates(temporal_tables.tables(2), *tables)
    made |= {table: made[table].drop(columns="lr") for table in tables}
    figure, want = drawn(name, made), drawn(name, temporal_tables.tables(2))
    assert contents(figure) == contents(want) and figure.get_label() == want.get_label()


def test_caption_of_neurons_says_how_each_kind_is_chosen() -> None:
    made = temporal_tables.tables(1)
    table = made["selectivity"]
    chosen = (table["network"] == "trained") & (table["neuron"] == 6)  # of kind mixed
    table.loc[chosen, ["choice", "modality", "rate"]] = [0.41, 0.45, 0.1]  # else 0.50 and 0.40
    caption = str(drawn("neurons", made).get_label())
    assert "mixed: neuron 6, η² of choice 0.41, of modality 0.45." in caption
    assert "none: neuron 11," in caption  # of the greatest rate
    assert "(mixed: of the lesser one; none: the greatest rate)" in caption


def test_synapses_of_several_rates_have_a_line_per_replica() -> None:
    made = temporal_tables.tables(2)
    figure = drawn("synapses", at_two_rates(made, "synapses", "components"))
    names = [f"seed {seed}, lr {rate}" for rate in (0.1, 0.2) for seed in (0, 1)]
    assert {*legend(figure)} == {*names, "epoch 10", "last epoch"}
    caption = str(figure.get_label())
    assert f"a line per seed and rate ({'; '.join(names)}), from" in caption
    ends = [line.get_xydata()[-1, 0] for line in figure.axes[0].get_lines()[:12:3]]  # type: ignore[index]
    assert ends == [30, 30, 900, 900]
    assert "a line per seed (0, 1), from" in str(drawn("synapses", made).get_label())


def test_entropy_over_the_epochs_is_that_of_the_first_rate() -> None:
    made = single_run("gbp", 2)
    epochs = [
        {"replica": seed, "seed": seed, "epoch": epoch, "layer": 1, "estimator": "paper",
         "mean": 2.0 + epoch + seed}
        for seed in (0, 1) for epoch in (0, 5)
    ]  # fmt: skip
    made["histograms"] = made["histograms"].query("parameter == 'm'").assign(parameter="entropy")
    made["entropy_epochs"] = pd.DataFrame(epochs)
    figure = drawn("entropy", at_two_rates(made, "entropy_epochs"))
    (line,) = figure.axes[1].get_lines()
    assert np.asarray(line.get_ydata()).tolist() == pytest.approx([2.5, 7.5])
    caption = str(figure.get_label())
    assert "over 2 seeds. Shown there: lr 0.1, the first of the run's 2 rates." in caption


def test_many_seeds_share_one_look() -> None:
    figure = drawn("synapses", temporal_tables.tables(5))
    assert legend(figure) == ["epoch 10", "last epoch"]
    lines = [line for line in figure.axes[0].get_lines() if len(np.asarray(line.get_xdata())) > 1]
    assert len(lines) == 5 and len({line.get_color() for line in lines}) == 1


def test_panels_and_rows_of_images_say_what_they_are() -> None:
    titles = [ax.get_title() for ax in drawn("decorrelation", tables_for("decorrelation")).axes]
    assert titles == ["inputs of each layer, $y$", "decorrelated inputs, $x = R\\,y$"]
    labels = [ax.get_ylabel() for ax in drawn("decorrelated", tables_for("decorrelated")).axes]
    assert [*filter(None, labels)] == ["image $y$", "trained $R$", "whitened\n(ZCA)"]
    assert "chance" in legend(drawn("uncertainty", use_tables.tables()))
    words = [text.get_text() for text in texts(drawn("uncertainty", use_tables.tables()))]
    assert {"wrongly classified", "pixels shuffled"} <= {*words}


@pytest.mark.slow
def test_caption_of_order_parameters_follows_the_table() -> None:
    made = temporal_tables.tables(3)
    table = made["order_parameters"]
    same = table["parameter"].isin(["pi", "xi"])
    table.loc[same, ["to_start", "to_others"]] = 0.5
    caption = str(drawn("order_parameters", made).get_label())
    assert "The lines of π and Ξ coincide (start, others)" in caption
    table.loc[table["parameter"] == "pi", "to_start"] = 0.8
    assert "coincide (others)" in str(drawn("order_parameters", made).get_label())
    table.loc[table["parameter"] == "pi", "to_others"] = 0.2
    assert "coincide" not in str(drawn("order_parameters", made).get_label())
    made["order_parameters"] = table[table["seed"] == 0].assign(to_others=np.nan)
    caption = str(drawn("order_parameters", made).get_label())
    assert "other networks" not in caption and "One network; one network: no band" in caption


def test_numbers_have_one_notation() -> None:
    assert [style.plain(x) for x in (0, 0.3, -10.0, 1.0)] == ["0", "0.3", "\N{MINUS SIGN}10", "1"]
    assert [style.power(x) for x in (1e-5, 1e-4, 3e-4)] == [
        "$10^{-5}$", "$10^{-4}$", "$3\\cdot 10^{-4}$"
    ]  # fmt: skip
    below = drawn("compression", tables_for("compression")).axes[1]
    labels = [label.get_text() for label in below.get_yticklabels()]
    assert not any(" " in label for label in labels) and any(
        label.endswith("k") for label in labels
    )


def test_psychometric_of_other_frequencies_shows_them_all() -> None:
    made = temporal_tables.tables(1)
    table = made["psychometric"]
    made["psychometric"] = table[~table["frequency"].between(11, 14)]
    ax = drawn("psychometric", made).axes[0]
    ends = made["psychometric"]["frequency"]
    assert ax.get_xlim() == pytest.approx((ends.min() - 0.1, ends.max() + 0.1))
    assert len(np.asarray(ax.get_lines()[0].get_xdata())) == ends.nunique()
