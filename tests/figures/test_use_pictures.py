"""The pictures of the use of credit draw what the tables say."""

import numpy as np
import pytest
import use_tables as maker
from test_pictures import bars, drawn


def test_reliability_leaves_out_bins_of_few_images() -> None:
    made = maker.tables()
    figure = drawn("reliability", made)
    curves = bars(figure.axes[0])
    assert list(curves) == ["gBP, mean network", "gBP, sampled ensemble", "gBP, mean field", "BP"]
    table = made["reliability"].query("rule == 'gbp' and way == 'ensemble'")
    x, y, half = curves["gBP, sampled ensemble"]
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
    _, y, half = bars(ax)["BP"]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["wrong", "shuffled"]
    assert y[1] == pytest.approx(table["auroc"].mean())
    assert half[1] == pytest.approx(table["auroc"].std(ddof=1))


def test_confusion_writes_the_shares_of_each_class() -> None:
    made = maker.tables()
    ax = drawn("confusion", made).axes[0]
    table = made["confusion"].query("rule == 'gbp' and way == 'ensemble'")
    counts = table.pivot_table("count", "class", "predicted", "mean").to_numpy()
    share = 100 * counts / counts.sum(1, keepdims=True)
    np.testing.assert_allclose(np.asarray(ax.images[0].get_array()), share)
    written = {text.get_position(): text.get_text() for text in ax.texts}
    assert written[3, 5] == f"{share[5, 3]:.1f}" and written[4, 4] == f"{share[4, 4]:.0f}"


def test_pruning_has_a_panel_as_cut_and_one_after_fine_tuning() -> None:
    made = maker.tables()
    panels = drawn("pruning", made).axes
    table = made["pruning"].query("rule == 'gbp' and criterion == 'pi'")
    for ax, epochs in zip(panels, (0, 3), strict=True):
        curves = bars(ax)
        assert list(curves) == [
            r"gBP, $\pi$",
            r"gBP, $|\mu|/\sigma$",
            r"gBP, $|\mu|$",
            r"BP, $|\mu|$",
        ]
        seeds = 100 * table.query(f"epochs == {epochs} and level == 0.2")["test_accuracy"]
        x, y, half = curves[r"gBP, $\pi$"]
        assert list(x) == pytest.approx([5, 20, 50, 80])
        assert y[1] == pytest.approx(seeds.mean()) and half[1] == pytest.approx(seeds.std(ddof=1))


def test_sparse_costs_are_shares_of_the_dense_network() -> None:
    (ax,) = drawn("sparse", maker.tables()).axes
    for label in ("bytes on disk", "time", "hidden neurons"):
        x, y, _ = bars(ax)[label]
        assert list(y) == pytest.approx(list(x), rel=0.01)  # so the tables were made


def test_continual_draws_average_accuracy_and_forgetting() -> None:
    made = maker.tables()
    left, right, *_ = drawn("continual", made).axes
    curves = bars(left)
    assert list(curves) == ["BP", "BP + EWC", "gBP", "gBP, frozen", "gBP, slowed"]
    table = made["continual"].query("protocol == 'split' and method == 'ewc' and after_task == 3")
    by_seed = 100 * table.groupby("seed")["test_accuracy"].mean()
    x, y, half = curves["BP + EWC"]
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
    pictures = [ax for ax in drawn("continual_matrix", made).axes if ax.images]
    assert len(pictures) == 2 * 4
    vip = np.asarray(pictures[4 + 2].images[0].get_array().filled(np.nan))  # type: ignore[union-attr]
    rows = table.query("protocol == 'permuted' and method == 'vip'")
    mean = 100 * rows.groupby(["after_task", "task"])["test_accuracy"].mean()
    assert vip[2, 1] == pytest.approx(mean[3, 2]) and np.isnan(vip[0, 1:]).all()
