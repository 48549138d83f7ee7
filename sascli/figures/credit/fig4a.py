"""Fig. 4a: test error against the fraction of weights perturbed in the first layer."""

from matplotlib.figure import Figure

from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables, over_seeds, rows, seeds

TABLES = ("perturbation",)
CAPTION = (
    "Fig. 4(a). Test error (%) of gBP against the fraction f of weights perturbed in layer 1-2, "
    "L = {depth}, T = {train_size}: f times the number of VIPs are switched off (among the VIPs, "
    "all weights, or those that are neither VIP nor UIP), or f times the number of UIPs switched "
    "on. Points: mean over seeds of each seed's average over {samples} sampled networks and "
    "draws; {bars}; the spread over sampled networks is not drawn."
)
KINDS = {
    "vip_off": "VIPs off",
    "random_off": "random off",
    "other_off": "others off",
    "uip_on": "UIPs on",
}


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """One curve per kind of perturbation, error bars over seeds."""
    point = {"depth": reference["depth"], "train_size": reference["train_size"]}
    table = rows(tables, "perturbation", rule="gbp", layer=1, **point)
    fig = style.figure(2.5)
    ax = fig.subplots()
    for (kind, label), look in zip(KINDS.items(), style.LOOKS, strict=True):
        one = rows({"perturbation": table}, "perturbation", kind=kind)
        error = 100 * over_seeds(one, "test_error", "fraction")[["mean", "std"]]
        style.bars(ax, error, look, label, markerfacecolor="white")
    ax.set_xlabel("fraction of weights perturbed $f$")
    ax.set_ylabel("test error (%)")
    style.legend(fig, ax)
    samples = table["sample"].nunique()
    fig.set_label(CAPTION.format(**point, samples=samples, bars=seeds(table)))
    return fig
