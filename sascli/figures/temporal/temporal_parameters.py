"""Histograms of pi, m and Xi of the multisensory network."""

from matplotlib.figure import Figure

from sascli.figures.draw import histograms, style
from sascli.figures.draw.rows import Reference, Tables, plural, rows

TABLES = ("histograms",)
ON_IMAGES = False
CAPTION = (
    "Distribution over the connections of the spike mass π, the mean m and the variance Ξ of the "
    "slab in the recurrent network of the multisensory task after gBP training; layers 1-2: "
    "input, 2-3: recurrent, 3-4: output (input connections that do not exist have π = 1 and "
    "m = Ξ = 0); {seeds} pooled, logarithmic density, no error bars."
)


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """A row of panels per layer."""
    table = rows(tables, "histograms", model="multisensory", rule="gbp")
    table = table[table["parameter"].isin(histograms.COLUMNS)]
    fig = style.figure(histograms.height(table))
    histograms.multiples(fig, table)
    fig.set_label(CAPTION.format(seeds=plural(table["seed"].nunique())))
    return fig
