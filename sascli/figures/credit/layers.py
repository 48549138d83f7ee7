"""Layer by layer: Figs. 3a to 3c and 4b, and the variance of the supplement."""

from matplotlib.figure import Figure

from sascli.figures.draw import histograms, style
from sascli.figures.draw.curves import curve, curves, size_axis, size_name, unique
from sascli.figures.draw.outlines import entropy_outlines
from sascli.figures.draw.picture import Values, picture
from sascli.figures.draw.rows import Reference, Tables, plural, point, rows, seeds


@picture(
    "histograms",
    caption="Fig. 3(a). Distribution over the connections of each layer (rows) of the spike mass "
    "π, the mean m and the variance Ξ of the slab after gBP training, L = {depth}, T = "
    "{train_size}; connections of {seeds} pooled, logarithmic density, no error bars.",
)
def fig3a(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """Small multiples: a row per layer, a column per parameter."""
    table = rows(tables, "histograms", rule="gbp", **point(reference))
    return histograms.of_seeds(fig, table, {})


@picture(
    "histograms",
    caption="Fig. 3(b). Distribution of the entropy per connection (the paper's estimator, nats) "
    "in each layer after gBP training, L = {depth}, T = {train_size}; connections of {seeds} "
    "pooled, logarithmic density, no error bars, without the outermost bins of a layer that hold "
    "up to 0.1 % of its connections on each side. Deterministic connections (π = 1, or π = 0 and "
    "Ξ = 0) have entropy 0.",
)
def fig3b(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """One outline per layer over a logarithmic density."""
    table = rows(tables, "histograms", rule="gbp", parameter="entropy", **point(reference))
    ax = style.panel(fig, 2.4)
    entropy_outlines(ax, table, style.ordered(unique(table, "layer"), "layer {}".format))
    style.legend(fig, ax, ncols=3)
    return {"seeds": plural(table["seed"].nunique())}


@picture(
    "datasize_layers",
    caption="Fig. 3(c). Mean entropy per connection (the paper's estimator, nats) against layer "
    "for several numbers of training images T; gBP, L = {deep}. Points: mean over seeds; {bars}.",
)
def fig3c(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """One curve per T at the deep depth, error bars over seeds."""
    table = rows(tables, "datasize_layers", rule="gbp", depth=reference["deep"])
    looks = style.ordered(unique(table, "train_size"), lambda size: f"$T=$ {size_name(size)}")
    ax = style.panel(fig, 2.5)
    curves(ax, table, "layer", "entropy", "train_size", looks)
    ax.set(xlabel="layer", xticks=unique(table, "layer"), ylabel="entropy per connection (nats)")
    style.legend(fig, ax)
    return {"bars": seeds(table)}


@picture(
    "datasize_layers",
    caption="Fig. 4(b). Fraction (%) of very important (VIP: π = 0 and Ξ = 0) and unimportant "
    "(UIP: π = 1) connections against layer; gBP, L = {deep}, T = {train_size}. Points: mean "
    "over seeds; {bars}.",
)
def fig4b(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A curve for each of the two fractions at the deep depth, error bars over seeds."""
    table = rows(tables, "datasize_layers", rule="gbp", **point(reference, "deep"))
    ax = style.panel(fig, 2.3)
    for column, look in style.labelled({"vip_fraction": "VIP", "uip_fraction": "UIP"}).items():
        curve(ax, table, "layer", column, look, scale=100)
    ax.set(xlabel="layer", xticks=unique(table, "layer"), ylabel="fraction of connections (%)")
    ax.set_ylim(bottom=0)
    style.legend(fig, ax)
    return {"bars": seeds(table)}


@picture(
    "datasize_layers",
    caption="Supplement. Variance per connection, the mean over a layer's connections of (1 - "
    "π)(Ξ + π m²), against the number of training images T; gBP, L = {depth}. Points: mean over "
    "seeds; {bars}.",
)
def variance(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """One curve per layer, error bars over seeds."""
    table = rows(tables, "datasize_layers", rule="gbp", depth=reference["depth"])
    looks = style.ordered(unique(table, "layer"), "layer {}".format)
    ax = style.panel(fig, 2.5)
    curves(ax, table, "train_size", "variance_mean", "layer", looks)
    label = r"variance per connection $\langle\mathrm{Var}(w)\rangle$"
    size_axis(ax, unique(table, "train_size"), ylim=(0, None), ylabel=label)
    style.legend(fig, ax, ncols=3)
    return {"bars": seeds(table)}
