"""Fig. 3a: histograms of pi, m and Xi, layer by layer."""

from matplotlib.figure import Figure

from sascli.figures.draw import histograms, style
from sascli.figures.draw.rows import Reference, Tables, plural, rows

TABLES = ("histograms",)
CAPTION = (
    "Fig. 3(a). Distribution over the connections of each layer (rows) of the spike mass π, the "
    "mean m and the variance Ξ of the slab after gBP training, L = {depth}, T = {train_size}; "
    "connections of {seeds} pooled, logarithmic density, no error bars."
)


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """Small multiples: a row per layer, a column per parameter."""
    point = {"depth": reference["depth"], "train_size": reference["train_size"]}
    table = rows(tables, "histograms", rule="gbp", **point)
    fig = style.figure(histograms.height(table))
    histograms.multiples(fig, table)
    fig.set_label(CAPTION.format(**point, seeds=plural(table["seed"].nunique())))
    return fig
