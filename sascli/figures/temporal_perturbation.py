"""Removing VIP-like connections of the recurrent layer, or as many others."""

from matplotlib.figure import Figure

from sascli.figures import style
from sascli.figures.rows import Reference, Tables, over_seeds, rows, seeds
from sascli.figures.temporal_accuracy import models

TABLES = ("perturbation",)
CAPTION = (
    "Test error (%) of gBP against the fraction f of the VIP-like recurrent connections (small π, "
    "small Ξ and large |m|, by the preset's thresholds) that are switched off, beside as many "
    "random ones, of all and of those that are neither VIP-like nor have π near 1. Above: "
    "{digits}; below: the multisensory task. Points: mean over seeds of each seed's average over "
    "{samples} sampled networks and draws; {bars}."
)
KINDS = {"vip_off": "VIP-like off", "random_off": "random off", "other_off": "others off"}


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """A panel per model, a curve per kind."""
    table = rows(tables, "perturbation")
    fig = style.figure(3.8)
    axes = fig.subplots(2, 1)
    for ax, (name, model) in zip(axes, models(reference), strict=True):
        for (kind, label), look in zip(KINDS.items(), style.LOOKS, strict=False):
            own = rows(tables, "perturbation", model=model, kind=kind)
            error = 100 * over_seeds(own, "test_error", "fraction")[["mean", "std"]]
            style.bars(ax, error, look, label, markerfacecolor="white")
        ax.set_title(name)
        ax.set_ylabel("test error (%)")
    axes[-1].set_xlabel("fraction of VIP-like connections $f$")
    style.legend(fig, axes[0])
    samples = table["sample"].nunique()
    fig.set_label(CAPTION.format(digits=reference["digits"], samples=samples, bars=seeds(table)))
    return fig
