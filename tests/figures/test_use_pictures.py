"""The pictures of the use of credit draw what the tables say."""

import numpy as np
import pytest
import use_tables as maker
from test_pictures import bars, drawn


def test_reliability_leaves_out_bins_of_few_images() -> None:
    made = maker.tables()
    figure = drawn("reliability", made)
    by_label = bars(figure.axes[0])
    assert list(by_label) == ["gBP, mean network", "gBP, sampled", "gBP, mean field", "BP"]
    table = made["reliability"].query("rule == 'gbp' and way == 'ensemble'")
    x, y, half = by_label["gBP, sampled"]
    assert len(x) == table["bin_left"].nunique() - 1  # the first has 5 images
    fourth = table[np.isclose(table["bin_left"], 8 / 15)]
    assert x[2] == pytest.approx(100 * fourth["confidence"].mean())
    assert y[2] == pytest.approx(100 * fourth["accuracy"].mean())
    assert half[2] == pytest.approx(100 * fourth["accuracy"].std(ddof=1))
    errors = made["evaluation"].query("rule == 'bp' and way == 'mean'")["calibration_error"]
    assert f"BP {100 * errors.mean():.2f} %" in str(figure.get_label())


def test_uncertainty_has_a_point_for_every_kind() -> None:
    made = maker.tables()
    (ax,) = drawn("uncertainty", made).axes
    table = made["uncertainty"].query("rule == 'bp' and way == 'mean' and kind == 'shuffled'")
    labels = [text.get_text() for text in ax.figure.legends[0].get_texts()]
    means = [line for line in ax.get_lines() if line.get_marker() != "None"]
    y = np.asarray(means[labels.index("BP")].get_ydata())
    sticks = [np.asarray(line.get_ydata()) for line in ax.get_lines() if line not in means]
    lengths = [np.nanmax(stick) - np.nanmin(stick) for stick in sticks if len(stick) > 2]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == [
        "wrongly classified", "pixels shuffled"
    ]  # fmt: skip
    assert y[1] == pytest.approx(table["auroc"].mean())
    assert lengths[-1] / 2 == pytest.approx(table["auroc"].std(ddof=1))


def test_confusion_writes_the_fractions_of_each_class() -> None:
    made = maker.tables()
    ax = drawn("confusion", made).axes[0]
    table = made["confusion"].query("rule == 'gbp' and way == 'ensemble'")
    counts = table.pivot_table("count", "class", "predicted", "mean").to_numpy()
    share = 100 * counts / counts.sum(1, keepdims=True)
    np.testing.assert_allclose(
        np.asarray(ax.collections[0].get_array()).reshape(share.shape), share
    )
    written = {text.get_position(): text.get_text() for text in ax.texts}
    assert written[3.5, 5.5] == f"{share[5, 3]:.1f}" and written[4.5, 4.5] == f"{share[4, 4]:.0f}"


def test_pruning_has_panels_before_and_after_fine_tuning() -> None:
    made = maker.tables()
    figure = drawn("pruning", made)
    panels = figure.axes
    words = (
        "gBP's of smallest π, of largest signal-to-noise ratio |μ|/σ (mean over standard "
        "deviation of the weight), VIPs before all others, or of largest |μ|/√N, N the inputs of "
        "the layer; BP's of largest |μ|/√N, its μ being the weight. Above"
    )
    assert words in str(figure.get_label())
    table = made["pruning"].query("rule == 'gbp' and criterion == 'pi'")
    for ax, epochs in zip(panels, (0, 3), strict=True):
        by_label = bars(ax)
        assert list(by_label) == [
            r"gBP, $\pi$",
            r"gBP, $|\mu|/\sigma$",
            r"gBP, $|\mu|/\sqrt{N}$",
            r"BP, $|\mu|/\sqrt{N}$",
        ]
        seeds = 100 * table.query(f"epochs == {epochs} and level == 0.2")["test_accuracy"]
        x, y, half = by_label[r"gBP, $\pi$"]
        assert list(x) == pytest.approx([5, 20, 50, 80])
        assert y[1] == pytest.approx(seeds.mean()) and half[1] == pytest.approx(seeds.std(ddof=1))


def test_pruning_of_a_run_of_bp_names_bp_alone() -> None:
    made = maker.tables()
    made["pruning"] = made["pruning"].query("rule == 'bp'")
    figure = drawn("pruning", made)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == [r"BP, $|\mu|/\sqrt{N}$", "BP, unpruned"]
    caption = str(figure.get_label())
    assert "in all layers together: BP's of largest |μ|/√N, N the inputs of the layer. " in caption
    assert caption.endswith("dotted: the unpruned network of BP.") and "gBP" not in caption


def test_sparse_caption_claims_no_precision() -> None:
    assert "bytes of the file (CSR), time" in str(drawn("sparse", maker.tables()).get_label())


def test_sparse_costs_are_relative_to_the_dense_network() -> None:
    (ax,) = drawn("sparse", maker.tables()).axes
    for label in ("bytes on disk", "time", "hidden neurons"):
        x, y, _ = bars(ax)[label]
        assert list(y) == pytest.approx(list(x), rel=0.01)  # so the tables were made


def test_continual_draws_average_accuracy_and_forgetting() -> None:
    made = maker.tables()
    left, right, *_ = drawn("continual", made).axes
    by_label = bars(left)
    assert list(by_label) == ["BP", "BP + EWC", "gBP", "gBP, frozen", "gBP, slowed"]
    table = made["continual"].query("protocol == 'split' and method == 'ewc' and after_task == 3")
    by_seed = 100 * table.groupby("seed")["test_accuracy"].mean()
    x, y, half = by_label["BP + EWC"]
    assert list(x) == [1, 2, 3, 4, 5] and y[2] == pytest.approx(by_seed.mean())
    assert half[2] == pytest.approx(by_seed.std(ddof=1))
    summary = made["continual_summary"].query("protocol == 'split' and method == 'vip'")
    line, _, (sticks,) = right.containers[3].lines  # type: ignore[attr-defined]
    assert line.get_xdata()[0] == pytest.approx(100 * summary["forgetting"].mean())
    ends = np.asarray(sticks.get_segments())[0, :, 0]
    assert np.ptp(ends) == pytest.approx(200 * summary["forgetting"].std(ddof=1))


def test_continual_matrix_shows_tasks_after_tasks() -> None:
    made = maker.tables()
    table = made["continual"]
    made["continual"] = table[table["method"] != "gbp"]
    matrices = drawn("continual_matrix", made).axes[: 2 * 4]
    vip = np.ma.filled(matrices[4 + 2].collections[0].get_array(), np.nan).reshape(5, 5)
    rows = table.query("protocol == 'permuted' and method == 'vip'")
    mean = 100 * rows.groupby(["after_task", "task"])["test_accuracy"].mean()
    assert vip[2, 1] == pytest.approx(mean[3, 2]) and np.isnan(vip[0, 1:]).all()
