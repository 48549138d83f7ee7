"""Fig. 3b: histogram of the entropy per connection."""

from matplotlib.figure import Figure

from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables, plural, pooled, rows

TABLES = ("histograms",)
CAPTION = (
    "Fig. 3(b). Distribution of the entropy per connection (the paper's estimator, nats) in each "
    "layer after gBP training, L = {depth}, T = {train_size}; connections of {seeds} "
    "pooled, logarithmic density, no error bars. Deterministic connections (π = 1, or π = 0 "
    "and Ξ = 0) make the peak at 0."
)


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """One outline per layer over a logarithmic density."""
    point = {"depth": reference["depth"], "train_size": reference["train_size"]}
    table = rows(tables, "histograms", rule="gbp", parameter="entropy", **point)
    layers = sorted(table["layer"].unique())
    fig = style.figure(2.4)
    ax = fig.subplots()
    for layer, look in zip(layers, style.ordered(len(layers)), strict=True):
        density, edges = pooled(table[table["layer"] == layer])
        line = {key: look[key] for key in ("color", "linestyle")}
        ax.stairs(density, edges, baseline=None, label=f"layer {style.layer_name(layer)}", **line)
    ax.set_yscale("log")
    ax.set_xlabel("entropy per connection $S$ (nats)")
    ax.set_ylabel("probability density (1/nat)")
    style.legend(fig, ax, ncols=3)
    fig.set_label(CAPTION.format(**point, seeds=plural(table["seed"].nunique())))
    return fig
