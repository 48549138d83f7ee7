"""Every figure draws from made-up tables what those tables say."""

import functools
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import atlas_tables
import convolution_tables
import copi_tables
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import tables as maker
import temporal_tables
import use_tables
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from sascli import figures
from sascli.commands import COMMANDS
from sascli.config import Figures
from sascli.errors import UserError
from sascli.figures.draw.outlines import central
from sascli.studies.directories import figures_of
from sascli.studies.registry import STUDIES

REFERENCE = maker.REFERENCE | temporal_tables.REFERENCE
PAPER = STUDIES["credit"].figures
COPI = STUDIES["copi"].figures
IMAGES = ("decorrelated", "features", "filters")


def single_run(rule: str, replicas: int, layers: int = 3) -> maker.Tables:
    """Tables of one run of `sas train`, without the key columns."""
    noise = np.random.default_rng(2)
    history = maker.tables(replicas)["history"].query(f"rule == '{rule}'")
    history = history.drop(columns=["rule", "depth", "train_size"])
    parts = []
    for seed in range(replicas):
        for layer in range(1, layers + 1):
            values = maker.parameters(layer, noise)
            key = {"replica": seed, "seed": seed}
            parts += [maker.histogram(key, layer, name, value) for name, value in values.items()]
    histograms = pd.concat(parts)
    if rule == "bp":  # pi = Xi = 0: all in the first bin, which for Xi is next to nothing
        fixed = histograms["parameter"].isin(["pi", "xi"])
        first = histograms["bin_left"] == 0
        histograms["count"] = histograms["count"].where(~fixed, 4_000 * first)
        histograms.loc[histograms["parameter"] == "xi", ["bin_left", "bin_right"]] *= 1e-6
    return {"history": history, "histograms": histograms}


def tables_for(name: str, seeds: int = 3) -> maker.Tables:
    if name in STUDIES["use"].figures:
        return use_tables.tables(seeds)
    if name in STUDIES["convolution"].figures:
        return convolution_tables.tables(seeds)
    if name in STUDIES["atlas"].figures:
        return atlas_tables.tables(seeds)
    if name in COPI:
        return copi_tables.tables(seeds)
    if name in STUDIES["temporal"].figures:
        return temporal_tables.tables(seeds)
    if name not in ("overview", "comparison", "entropy", "perturbation"):
        return maker.tables(seeds)
    run = single_run("gbp", seeds)
    measured = maker.tables(seeds)["perturbation"].query("depth == 4 and train_size == 10_000")
    run["perturbation"] = measured.drop(columns=["rule", "depth", "train_size"])
    run["layers"] = layers(seeds)
    if name != "comparison":
        return run
    return {
        table: pd.concat([rows.assign(run="a"), rows.assign(run="b")])
        for table, rows in run.items()
    }


def layers(seeds: int) -> pd.DataFrame:
    """layers.csv of one run."""
    records = [
        {"seed": seed, "layer": layer, "layer_name": "hidden", "sparsity": 0.1 * layer + bump,
         "entropy": bump, "m_std": 1 + bump}
        for seed in range(seeds) for layer in (1, 2, 3) for bump in [0.01 * seed]
    ]  # fmt: skip
    return pd.DataFrame(records)


def drawn(name: str, made: maker.Tables) -> Figure:
    figure = figures.picture(name).draw(made, REFERENCE)
    FigureCanvasAgg(figure).draw()
    return figure


@functools.cache
def usual(name: str) -> Figure:
    return drawn(name, tables_for(name))


def all_axes(figure: Figure) -> list[Axes]:
    """Every axes, insets included."""
    insets = [child for ax in figure.axes for child in ax.child_axes if isinstance(child, Axes)]
    return [*figure.axes, *insets]


def curves(ax: Axes) -> dict[str, np.ndarray]:
    """The y of every curve in the legend, by its label."""
    lines = [line for line in ax.get_lines() if not str(line.get_label()).startswith("_")]
    return {str(line.get_label()): np.asarray(line.get_ydata(), float) for line in lines}


def bars(ax: Axes) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The x, y and half-length of every error bar, by the curve's label."""
    by_label = {}
    for label, container in zip(curves(ax), ax.containers, strict=False):
        assert isinstance(container, ErrorbarContainer)
        segments = np.array(container.lines[2][0].get_segments())
        by_label[label] = (
            segments[:, 0, 0],
            segments[:, :, 1].mean(axis=1),
            (segments[:, 1, 1] - segments[:, 0, 1]) / 2,
        )
    return by_label


def texts(figure: Figure) -> list[Text]:
    """Axis labels, tick labels within the view, legends, notes."""
    labels = list(figure.findobj(Text))
    for ax in all_axes(figure):
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                if not low <= tick.get_loc() <= high:
                    hidden = (tick.label1, tick.label2)
                    labels = [text for text in labels if text not in hidden]
    return [text for text in labels if text.get_visible() and text.get_text()]


@pytest.mark.slow
@pytest.mark.parametrize("name", figures.pictures())
def test_axes_are_labelled(name: str) -> None:
    figure = usual(name)
    labels = {ax.get_xlabel() for ax in figure.axes} | {ax.get_ylabel() for ax in figure.axes}
    wanted = {
        "fig2a": {"epoch", "test accuracy (%)"},
        "fig2b": {"number of training images $T$", "test error (%)"},
        "fig3a": {r"spike mass $\pi$", "slab mean $m$", r"slab variance $\Xi$"},
        "fig3b": {"entropy per connection $S$ (nats)", "probability density (1/nat)"},
        "fig3c": {"layer", "entropy per connection (nats)"},
        "fig4a": {"fraction perturbed $f$", "test error (%)", "change (points)"},
        "fig4b": {"layer", "fraction of connections (%)"},
        "variance": {"number of training images $T$",
                     r"variance per connection $\langle\mathrm{Var}(w)\rangle$"},
        "reliability": {"confidence (%)", "accuracy (%)"},
        "uncertainty": {"area under the ROC curve"},
        "confusion": {"class", "predicted class", "fraction of the class (%)"},
        "pruning": {"remaining connections (%)", "test accuracy (%)"},
        "sparse": {"remaining connections (%)", "of the dense network (%)"},
        "continual": {"tasks learned", "average accuracy (%)", "forgetting (points)"},
        "continual_matrix": {"task", "split\nafter task", "accuracy (%)"},
        "temporal_accuracy": {"epoch", "test accuracy (%)"},
        "temporal_parameters": {r"spike mass $\pi$", "slab mean $m$", r"slab variance $\Xi$"},
        "temporal_perturbation": {"digits: error (%)", "multisensory: error (%)"},
        "temporal_entropy": {"epoch", "entropy (nats)"},
        "psychometric": {"visual (v)", "auditory (a)", "both (va)"},
        "selectivity": {"selective for", "fraction of the neurons (%)"},
        "neurons": {"time since stimulus onset (ms)", "rate $r$"},
        "trajectories": {"PC1 (rate)", "PC2 (rate)"},
        "synapses": {"PC1", "PC2"},
        "redraw": {"seed", "test accuracy (%)"},
        "kernel": {r"angle of the input $\varphi$ (rad)", r"kernel $\Theta$", "width (neurons)",
                   "relative deviation"},
        "lazy": {"step of gradient descent", "loss (% of the start)"},
        "order_parameters": {"epoch", "overlap", "field, loss"},
        "overview": {"epoch", "test accuracy (%)", "slab mean $m$"},
        "perturbation": {"fraction perturbed $f$", "test error (%)", "change (points)"},
        "entropy": {"entropy per connection $S$ (nats)", "probability density (1/nat)"},
        "comparison": {"epoch", "test accuracy (%)", "layer", "entropy (nats)", "slab mean $m$"},
        "copi_accuracy": {"epoch", "test accuracy (%)"},
        "copi_loss": {"epoch", r"training loss $\langle|y-t|^2\rangle/2$"},
        "copi_rates": {"learning rate of the weights", "held-out accuracy (%)"},
        "copi_gains": {"epoch", "test accuracy (%)", "training loss"},
        "decorrelation": {"epoch", "mean |correlation|"},
        "decorrelated": {"image $y$", "trained $R$", "whitened\n(ZCA)"},
        "features": set(),
        "compression": {"layers replaced $k$", "test accuracy (%)", "parameters"},
        "atlas": {"does not hold  ←  standard errors from the bound  →  holds"},
        "atlas_steps": {"number of training images $T$", "sparsity", "entropy (nats)"},
        "atlas_rate": {"layer", "sparsity"},
        "convolution_accuracy": {"epoch", "test accuracy (%)"},
        "convolution_layers": {r"spike mass $\pi$", "slab mean $m$", r"slab variance $\Xi$"},
        "convolution_vips": {"layer", "fraction (%)", "number"},
        "convolution_perturbation": {"fraction perturbed $f$", "test error (%)"},
        "filters": set(),
    }  # fmt: skip
    assert wanted[name] <= labels
    assert figure.get_figwidth() == (6.8 if name == "atlas" else 3.4)  # both columns of a page


def test_m_and_pi_of_a_filter_are_in_one_column() -> None:
    shown = [ax.get_position().x0 for ax in usual("filters").axes if ax.images and ax.axison]
    means, masses = np.array_split(shown, 2)
    np.testing.assert_allclose(means, masses)


@pytest.mark.slow
@pytest.mark.parametrize("name", figures.pictures())
def test_texts_neither_overlap_nor_leave_the_picture(name: str) -> None:
    figure = usual(name)
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts(figure)]
    assert len(boxes) > 8 or name in IMAGES
    for (one, a), (two, b) in combinations(boxes, 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        down = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(across, down) < 0.5, f"{one!r} overlaps {two!r}"
    for text, box in boxes:
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= figure.bbox.x1, text
        assert box.y1 <= figure.bbox.y1, text


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize("name", ["fig2a", "fig2b"])
def test_inset_hides_no_data(name: str, slow: bool) -> None:
    made = maker.tables()
    if slow:
        made["history"]["test_accuracy"] = 0.4 + 0.02 * made["history"]["epoch"]
        made["datasize"]["test_error"] = 0.3 - 4e-6 * made["datasize"]["train_size"]
    figure = drawn(name, made)
    (ax,) = figure.axes
    (inset,) = ax.child_axes
    box = inset.get_tightbbox()
    for line in ax.get_lines():
        x, y = (np.asarray(values, float) for values in line.get_data())
        t = np.linspace(0, len(x) - 1, 400)
        points = ax.transData.transform(
            np.column_stack([np.interp(t, range(len(x)), values) for values in (x, y)])
        )
        assert not any(box.contains(*point) for point in points)


@pytest.mark.slow
@pytest.mark.parametrize("name", figures.pictures())
def test_one_seed_and_one_size_are_enough(name: str) -> None:
    made = {
        key: table if "train_size" not in table else table[table["train_size"] == 10_000]
        for key, table in tables_for(name, seeds=1).items()
    }
    caption = str(drawn(name, made).get_label())
    assert "over 1 seed" not in caption
    clauses = (
        "one seed: no",
        "one network: no",
        "of 1 seed pooled",
        "no error bars",
        "No error bars",
    )
    assert any(clause in caption for clause in clauses)


COUNTING = [name for name in (*PAPER, *COPI) if name[:4] != "fig3" and name not in IMAGES]


@pytest.mark.parametrize("name", COUNTING)
def test_caption_counts_the_seeds(name: str) -> None:
    clauses = (
        "standard deviation over 3 seeds",
        "single networks; lines: their mean over 3 seeds",
    )
    assert any(clause in str(usual(name).get_label()) for clause in clauses)


def test_drawing_does_not_change_matplotlib_settings() -> None:
    before = dict(mpl.rcParams)
    drawn("fig4b", maker.tables())
    assert dict(mpl.rcParams) == before


def test_fig2a_draws_both_rules_with_their_spread() -> None:
    made = maker.tables()
    (ax,) = drawn("fig2a", made).axes
    assert [line.get_label() for line in ax.get_lines()] == ["gBP", "BP"]
    last = made["history"].query("rule == 'bp' and epoch == 20")["test_accuracy"].to_numpy()
    line, band = ax.get_lines()[1], ax.collections[1]
    assert np.asarray(line.get_ydata())[-1] == pytest.approx(100 * last.mean())
    heights = band.get_paths()[0].vertices
    ends = np.asarray(heights)[np.isclose(np.asarray(heights)[:, 0], 20), 1]
    assert np.ptp(ends) == pytest.approx(200 * last.std(ddof=1))
    assert len(ax.child_axes[0].get_lines()) == 2


def test_fig2b_keeps_seeds_and_sampled_networks_apart() -> None:
    made = maker.tables()
    (ax,) = drawn("fig2b", made).axes
    one = made["datasize"].query("depth == 4 and train_size == 5_000")
    by_label = bars(ax)
    _, y, seeds = by_label["mean field"]
    assert len(y) == len(maker.SIZES)
    assert y[2] == pytest.approx(100 * one["test_error"].mean())
    assert seeds[2] == pytest.approx(100 * one["test_error"].std(ddof=1))
    x, y, networks = by_label["sampled"]
    assert x[2] > 5_000
    assert y[2] == pytest.approx(100 * one["sampled_error_mean"].mean())
    assert networks[2] == pytest.approx(100 * np.sqrt((one["sampled_error_std"] ** 2).mean()))


def test_fig2b_inset_has_a_curve_per_depth() -> None:
    made = maker.tables()
    (ax,) = drawn("fig2b", made).axes
    assert ax.child_axes[0].get_xlabel() == "layer"
    by_label = bars(ax.child_axes[0])
    assert [len(y) for _, y, _ in by_label.values()] == [3, 4, 5, 6]
    layer = made["datasize_layers"].query("depth == 6 and train_size == 10_000 and layer == 3")
    assert by_label["$L=6$"][1][2] == pytest.approx(layer["sparsity"].mean())
    assert by_label["$L=6$"][2][2] == pytest.approx(layer["sparsity"].std(ddof=1))


def test_fig3a_has_a_panel_per_layer_and_parameter_with_unit_area() -> None:
    figure = usual("fig3a")
    assert len(figure.axes) == 9
    for ax in figure.axes:
        stairs = ax.patches[0].get_data()  # type: ignore[attr-defined]
        assert np.sum(stairs.values * np.diff(stairs.edges)) == pytest.approx(1)
        assert ax.get_yscale() == "log"


def test_fig3b_has_an_outline_per_layer_that_peaks_at_zero() -> None:
    (ax,) = usual("fig3b").axes
    assert [patch.get_label() for patch in ax.patches] == ["layer 1", "layer 2", "layer 3"]
    for patch in ax.patches:
        stairs = patch.get_data()  # type: ignore[attr-defined]
        assert stairs.edges[np.argmax(stairs.values)] == pytest.approx(0)


def test_outlines_leave_out_tails_of_a_thousandth() -> None:
    density, edges = np.array([5e-4, 4e-4, 2e-3, 0.99, 6.2e-3, 9e-4]), np.arange(7.0)
    values, ends = central(density, edges)
    assert list(ends) == [2, 3, 4, 5]
    assert list(values) == [2e-3, 0.99, 6.2e-3]


def test_fig3c_has_a_curve_per_size_at_the_deep_depth() -> None:
    made = maker.tables()
    (ax,) = drawn("fig3c", made).axes
    by_label = bars(ax)
    assert list(by_label) == ["$T=$ 10k", "$T=$ 20k", "$T=$ 30k", "$T=$ 40k"]
    query = "depth == 5 and train_size == 30_000"
    expected = made["datasize_layers"].query(query).groupby("layer")["entropy"]
    _, mean, std = by_label["$T=$ 30k"]
    assert mean == pytest.approx(expected.mean().to_numpy())
    assert std == pytest.approx([np.std(values, ddof=1) for _, values in expected])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "2", "3", "4"]


def test_fig4a_averages_sampled_networks_before_the_spread_over_seeds() -> None:
    made = maker.tables()
    ax, change = drawn("fig4a", made).axes
    by_label = bars(ax)
    assert list(by_label) == ["VIPs off", "random off", "others off", "UIPs on"]
    others = made["perturbation"].query("layer == 1 and kind == 'random_off'")
    means = others.groupby(["seed", "fraction"])["test_error"].mean().unstack()
    _, mean, std = bars(change)["random off"]
    assert list(bars(change)) == ["random off", "others off", "UIPs on"]  # without the strongest
    assert mean[0] == std[0] == 0 and mean[-1] == pytest.approx(100 * (means[1] - means[0]).mean())
    assert std[-1] == pytest.approx(100 * (means[1] - means[0]).std())
    rows = made["perturbation"].query("layer == 1 and kind == 'vip_off' and fraction == 1")
    seeds = np.array([one["test_error"].mean() for _, one in rows.groupby("seed")])
    x, mean, std = by_label["VIPs off"]
    assert (len(x), x[-1]) == (11, 1)
    assert mean[-1] == pytest.approx(100 * seeds.mean())
    assert std[-1] == pytest.approx(100 * seeds.std(ddof=1))


def test_fig4b_draws_both_fractions_at_the_deep_depth() -> None:
    made = maker.tables()
    (ax,) = drawn("fig4b", made).axes
    by_label = bars(ax)
    rows = made["datasize_layers"].query("depth == 5 and train_size == 10_000 and layer == 2")
    for kind in ("vip", "uip"):
        assert by_label[kind.upper()][1][1] == pytest.approx(100 * rows[f"{kind}_fraction"].mean())


def test_variance_has_a_curve_per_layer() -> None:
    made = maker.tables()
    (ax,) = drawn("variance", made).axes
    by_label = bars(ax)
    assert list(by_label) == ["layer 1", "layer 2", "layer 3"]
    rows = made["datasize_layers"].query("depth == 4 and train_size == 40_000 and layer == 2")
    assert by_label["layer 2"][2][5] == pytest.approx(rows["variance_mean"].std(ddof=1))


def test_copi_accuracy_has_a_curve_for_every_run_that_did_not_diverge() -> None:
    made = copi_tables.tables()
    copi_tables.lose(made, "copi-fa", 1)
    figure = drawn("copi_accuracy", made)
    (ax,) = figure.axes
    *lines, linear = ax.get_lines()
    labels = ["COPI-BP", "COPI-FA", "COPI, local", "BP, decor.", "BP, Adam"]
    labels += ["COPI-FA, best", "BP, Adam, best", "gBP"]
    assert [line.get_label() for line in lines] == labels  # bp-plain has no rows
    assert set(np.asarray(linear.get_ydata())) == {92.0}
    rows = made["history"].query("point == 'copi-fa' and epoch == 5")
    assert len(rows) == 2 and np.asarray(lines[1].get_ydata())[-1] == pytest.approx(
        100 * rows["test_accuracy"].mean()
    )
    caption = str(figure.get_label())
    assert "Left out, since they diverged: COPI-FA 1 of 3, BP, plain 3 of 3." in caption
    assert "At the published rates" in caption


def test_copi_accuracy_of_earlier_versions_has_other_rates() -> None:
    made = copi_tables.tables()
    del made["arms"]
    caption = str(drawn("copi_accuracy", made).get_label())
    assert "the others at their best" in caption and "At the published rates" not in caption


def test_copi_loss_leaves_out_the_rule_with_another_loss() -> None:
    made = copi_tables.tables()
    (ax,) = drawn("copi_loss", made).axes
    losses = curves(ax)
    assert "gBP" not in losses and len(losses) == 7 and ax.get_yscale() == "log"
    rows = made["history"].query("point == 'bp-adam' and epoch == 4")
    assert losses["BP, Adam"][3] == pytest.approx(rows["train_loss"].mean())


def test_copi_gains_has_a_curve_for_each_gain_and_rate() -> None:
    made = copi_tables.tables()
    above, below = drawn("copi_gains", made).axes
    labels = ["COPI, gain 10", "COPI, gain 1000"]
    labels += ["Adam, η = $10^{-5}$", "Adam, η = $10^{-4}$"]
    for ax, column, scale in ((above, "test_accuracy", 100), (below, "train_loss", 1)):
        assert [line.get_label() for line in ax.get_lines()] == labels
        rows = made["gains"].query("rule == 'copi' and gain == 10 and epoch == 3")
        shown = np.asarray(ax.get_lines()[0].get_ydata())
        assert shown[2] == pytest.approx(scale * rows[column].mean())


@pytest.mark.slow
def test_figures_without_tables_in_earlier_versions_are_left_out(tmp_path: Path) -> None:
    made = copi_tables.tables()
    about = {"kind": "reproduce", "study": "copi", "reference": copi_tables.REFERENCE}
    source = maker.directory(tmp_path / "new", made, **about)
    assert figures_of(source) == list(COPI)
    del made["arms"], made["gains"]
    source = maker.directory(tmp_path / "old", made, **about)
    names = figures_of(source)
    assert names == [name for name in COPI if name != "copi_gains"]
    assert len(figures.plot(names, source, tmp_path / "out", Figures(format="png"))) == len(names)
    with pytest.raises(UserError, match=r"gains\.csv"):
        figures.plot(COPI, source, tmp_path / "out")


def test_copi_rates_count_divergence_as_accuracy_0() -> None:
    made = copi_tables.tables()
    (ax,) = drawn("copi_rates", made).axes
    (line,) = (line for line in ax.get_lines() if line.get_label() == "BP, plain")
    x, y = (np.asarray(values) for values in line.get_data())
    assert x == pytest.approx([1e-4, 1e-3, 1e-2]) and ax.get_xscale() == "log"
    assert y[0] > 70 and list(y[1:]) == [0, 0]
    points = [line for line in ax.get_lines() if line.get_linestyle() == "None"]
    assert [len(np.asarray(line.get_xdata())) for line in points] == [3 * 3] * 6


def test_decorrelation_has_a_panel_for_either_side_of_r() -> None:
    made = copi_tables.tables()
    above, below = drawn("decorrelation", made).axes
    for ax, column in ((above, "before"), (below, "after")):
        assert [line.get_label() for line in ax.get_lines()] == ["layer 1", "layer 2", "layer 3"]
        rows = made["decorrelation"].query("layer == 2 and epoch == 5")
        drawn_at = np.asarray(ax.get_lines()[1].get_ydata())
        assert drawn_at[-1] == pytest.approx(rows[column].mean())


def test_images_are_drawn_pixel_by_pixel() -> None:
    made = copi_tables.tables()
    figure = drawn("decorrelated", made)
    assert len(figure.axes) == 3 * 4
    one = made["decorrelated"].query("kind == 'zca' and image == 1")
    shown = np.asarray(figure.axes[2 * 4 + 1].images[0].get_array())[..., 0]
    scale = np.quantile(made["decorrelated"].query("kind == 'zca'")["value"].abs(), 0.98)
    wanted = np.clip(0.5 + one["value"].to_numpy().reshape(4, 4) / (2 * scale), 0, 1)
    assert shown == pytest.approx(wanted)
    titles = [ax.get_title() for ax in drawn("features", made).axes if ax.get_visible()]
    assert titles == [str(unit) for unit in range(10)]


def test_compression_has_curves_for_either_end() -> None:
    made = copi_tables.tables()
    above, below = drawn("compression", made).axes
    rows = made["compression"].query("part == 'last' and k == 2")
    assert bars(above)["last $k$ layers"][1][2] == pytest.approx(
        100 * rows["test_accuracy"].mean()
    )
    assert bars(below)["first $k$ layers"][1] == pytest.approx([3000, 2200, 1400, 600])


@pytest.mark.parametrize(("rule", "replicas"), [("gbp", 1), ("gbp", 3), ("bp", 1), ("bp", 2)])
def test_overview_of_one_run(rule: str, replicas: int) -> None:
    figure = drawn("overview", single_run(rule, replicas))
    accuracy, *panels = figure.axes
    assert len(accuracy.get_lines()[0].get_xdata()) == maker.EPOCHS  # type: ignore[arg-type]
    assert len(accuracy.collections) == (replicas > 1)  # the band
    caption = str(figure.get_label())
    assert len(panels) == (9 if rule == "gbp" else 3)
    assert ("of the weight w" in caption) is (rule == "bp")
    if rule == "bp":  # pi = Xi = 0 would be six panels of nothing
        assert panels[-1].get_xlabel() == "weight $w$"
        assert panels[0].get_ylim()[1] < 1e3


def test_overview_of_one_epoch_writes_the_accuracy() -> None:
    made = single_run("gbp", 3)
    made["history"] = made["history"].query("epoch == 1")
    figure = drawn("overview", made)
    assert len(figure.axes) == 9  # histograms alone
    percent = 100 * made["history"]["test_accuracy"]
    text = f"epoch 1: test accuracy {percent.mean():.1f} ± {percent.std():.1f} %"
    assert text in [one.get_text() for one in texts(figure)]
    assert "after the only epoch; ±: standard deviation over 3 seeds." in str(figure.get_label())


def test_overview_names_the_layers_of_a_recurrent_network() -> None:
    made = single_run("gbp", 1)
    made["layers"] = pd.DataFrame({"layer": [1, 2, 3], "layer_name": ["in", "rec", "out"]})
    words = [text.get_text() for text in texts(drawn("overview", made))]
    assert {"in → rec", "rec → rec", "rec → out"} <= {*words} and "layer 1" not in words


def test_overview_has_a_curve_for_each_rate() -> None:
    made = single_run("gbp", 2)
    parts = [made["history"].assign(lr=lr) for lr in (0.1, 0.3)]
    made["history"] = pd.concat(parts)
    accuracy = drawn("overview", made).axes[0]
    assert [line.get_label() for line in accuracy.get_lines()] == ["lr 0.1", "lr 0.3"]


def test_pictures_are_reproducible_bytes(tmp_path: Path) -> None:
    source = maker.directory(tmp_path / "run", maker.tables())
    first, second = (figures.plot(["fig4b"], source, tmp_path / out) for out in ("a", "b"))
    assert [path.name for path in first] == ["fig4b.pdf", "fig4b.png"]
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()
    assert b"CreationDate" not in first[0].read_bytes()
    with Image.open(first[1]) as image:
        assert image.size[0] == 1020  # 3.4 inches at 300 dpi
        assert image.info["Description"].startswith("Fig. 4(b).")
        assert image.info["Description"].endswith("Data: mnist.")


@pytest.mark.slow
def test_reference_point_of_the_directory_comes_first(tmp_path: Path) -> None:
    about = {"kind": "continual", "reference": {"depth": 3, "train_size": 70}}
    source = maker.directory(tmp_path / "run", use_tables.tables(1), **about)
    (path,) = figures.plot(
        ["continual_matrix"], source, tmp_path, Figures(format="png"), reference={}
    )
    with Image.open(path) as image:
        assert "L = 3, T = 70" in image.info["Description"]


def test_missing_table_is_named_with_its_maker(tmp_path: Path) -> None:
    made = maker.tables(1)
    del made["perturbation"]
    source = maker.directory(tmp_path, made)
    with pytest.raises(
        UserError, match=r"perturbation\.csv.*`sas reproduce credit model=mnist preset=quick`"
    ):
        figures.plot(["fig4a"], source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_missing_rows_are_named_with_their_maker(tmp_path: Path) -> None:
    made = maker.tables(1)
    made["datasize_layers"] = made["datasize_layers"].query("depth == 4")
    source = maker.directory(tmp_path, made)
    with pytest.raises(
        UserError, match=r"depth=5.*`sas reproduce credit model=mnist preset=quick`"
    ):
        figures.plot(["fig3c"], source, tmp_path)


def test_tables_of_one_run_have_no_paper_figure(tmp_path: Path) -> None:
    source = maker.directory(tmp_path, single_run("gbp", 1))
    with pytest.raises(UserError, match="no column rule"):
        figures.plot(["fig3a"], source, tmp_path)


def test_unknown_figure_gets_a_suggestion(tmp_path: Path) -> None:
    source = maker.directory(tmp_path, maker.tables(1))
    with pytest.raises(UserError, match="did you mean 'fig2b'"):
        figures.plot(["fig2"], source, tmp_path)


def test_pictures_are_those_of_studies_and_commands() -> None:
    names = {name for study in STUDIES.values() for name in study.figures}
    names |= {name for command in COMMANDS.values() for name in command.pictures}
    assert set(figures.pictures()) == names
    assert set(figures.picture("fig2b").tables) == {"datasize", "datasize_layers"}


def test_figures_and_claims_import_no_torch_and_no_seaborn_before_drawing() -> None:
    code = (
        "import sys, sascli.figures as figures, sascli.claims, sascli.studies.report\n"
        "assert not {'matplotlib', 'seaborn'} & set(sys.modules)\n"
        "figures.pictures()\n"
        "modules = {'torch', 'sascli.core', 'seaborn', 'scipy'} & set(sys.modules)\n"
        "assert 'matplotlib' in sys.modules and not modules, modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "table", "column", "value"),
    [("fig2a", "history", "test_accuracy", 0.15), ("fig2b", "datasize", "test_error", 0.85)],
)
def test_room_for_the_inset_never_shows_an_impossible_percentage(
    name: str, table: str, column: str, value: float
) -> None:
    made = tables_for(name)
    here = made[table][column]
    made[table][column] = (value + here - here.mean()).clip(0, 1)
    ax = drawn(name, made).axes[0]
    shown = [tick for tick in ax.get_yticks() if ax.get_ylim()[0] <= tick <= ax.get_ylim()[1]]
    assert len(shown) >= 2 and min(shown) >= 0 and max(shown) <= 100
    low, high = ax.spines["left"].get_bounds()
    assert 0 <= low < high <= 100


# ---------------------------------------------------------------- the recurrent network


def test_pixels_are_drawn_beside_rows_where_they_were_trained() -> None:
    made = temporal_tables.tables(3)
    above, _ = drawn("temporal_accuracy", made).axes
    assert [line.get_label() for line in above.get_lines()] == ["gBP", "BP", "gBP, pixel by pixel"]
    figure = figures.picture("temporal_accuracy").draw(made, {"digits": "rnn_rows"})
    assert len(figure.axes[0].get_lines()) == 2 and "pixel" not in str(figure.get_label())


def test_accuracy_of_stopped_networks_is_carried_forward() -> None:
    made = temporal_tables.tables(3)
    early = (made["history"]["seed"] == 0) & (made["history"]["model"] == "multisensory")
    made["history"] = made["history"][~early | (made["history"]["epoch"] <= 8)]
    figure = drawn("temporal_accuracy", made)
    line = figure.axes[1].get_lines()[0]
    rows = made["history"].query("model == 'multisensory' and rule == 'gbp'")
    final = rows.groupby("seed")["test_accuracy"].last()
    assert np.asarray(line.get_ydata())[-1] == pytest.approx(100 * final.mean())
    assert "A network that its loss stopped keeps its last accuracy." in str(figure.get_label())


def test_entropy_of_every_network_ends_at_its_last_epoch() -> None:
    made = temporal_tables.tables(3)
    _, below = drawn("temporal_entropy", made).axes
    ends = [np.asarray(line.get_xdata())[-1] for line in below.get_lines()]
    assert ends == [20, 22, 24] * 3
    first = made["entropy_epochs"].query(
        "model == 'multisensory' and estimator == 'paper' and layer == 1 and seed == 0"
    )
    assert np.asarray(below.get_lines()[0].get_ydata()).tolist() == first["mean"].tolist()


def test_removal_is_drawn_for_both_sets_of_thresholds() -> None:
    made = temporal_tables.tables(3)
    figure = drawn("temporal_perturbation", made)
    assert len(figure.axes) == 4
    published = curves(figure.axes[0])
    assert [*published][-1] == "same |m|"
    table = made["perturbation"].query("criterion == 'published' and kind == 'matched_off'")
    rows = table[(table["model"] == "rnn_rows") & (table["fraction"] == 1)]
    assert published["same |m|"][-1] == pytest.approx(100 * rows["test_error"].mean())


@pytest.mark.parametrize(
    ("name", "table", "columns", "axes"),
    [
        ("temporal_perturbation", "perturbation", ["criterion", "way", "m_abs"], 2),
        ("selectivity", "selectivity", ["network"], 1),
        ("neurons", "selectivity", ["network"], 4),
        ("redraw", "redraw", ["field_accuracy", "dt"], 2),
    ],
)
def test_tables_of_earlier_versions_are_drawn(
    name: str, table: str, columns: list[str], axes: int
) -> None:
    made = temporal_tables.tables(3)
    if table == "selectivity":
        made[table] = made[table].query("network == 'trained'")
    if table == "perturbation":
        made[table] = made[table].query("criterion == 'ours'")
    made[table] = made[table].drop(columns=columns)
    assert len(drawn(name, made).axes) == axes


def test_untrained_neurons_are_beside_trained_ones() -> None:
    (ax,) = drawn("selectivity", temporal_tables.tables(3)).axes
    heights = [[bar.get_height() for bar in group] for group in ax.containers]
    labels = ax.figure.legends[0].get_texts()
    assert [label.get_text() for label in labels] == ["trained", "permuted labels", "untrained"]
    trained, _, untrained = heights
    assert trained == pytest.approx([25] * 4)
    assert untrained == pytest.approx([100 / 12, 500 / 12, 25, 25], abs=17)
