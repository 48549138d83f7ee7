"""What was measured of one run's distributions: entropy, and perturbation of its layers."""

from matplotlib.figure import Figure

from sascli.figures.draw import histograms, style
from sascli.figures.draw.curves import curves, epoch_axis, unique
from sascli.figures.draw.outlines import entropy_outlines
from sascli.figures.draw.perturbation import perturbed
from sascli.figures.draw.picture import Values, picture
from sascli.figures.draw.rows import Reference, Tables, first_rate, latest, plural, rows, seeds
from sascli.figures.run.overview import by_rate


@picture(
    "perturbation",
    on_images=False,
    caption="Test error (%) against the fraction f of connections perturbed: {meaning} Points: "
    "mean over seeds of each seed's average over {samples} sampled networks and draws; {bars}.",
)
def perturbation(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A row of panels for each layer, and for each rate where there are several."""
    table = rows(tables, "perturbation")
    names = histograms.names_of(table, table)
    parts = {
        ", ".join(filter(None, (names[layer], rate))): part
        for layer in unique(table, "layer")
        for rate, part in by_rate(table[table["layer"] == layer]).items()
    }
    meaning = perturbed(fig, parts)
    return {"meaning": meaning, "samples": table["sample"].nunique(), "bars": seeds(table)}


@picture(
    "histograms",
    on_images=False,
    optional="entropy entropy_epochs",
    caption="Distribution of the entropy per connection (the paper's estimator, nats) in each "
    "layer; connections of {networks} pooled, logarithmic density, no error bars, without the "
    "outermost bins of a layer that hold up to 0.1 % of its connections on each side. "
    "Deterministic connections (π = 1, or π = 0 and Ξ = 0) have entropy 0.{epochs}",
)
def entropy(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """An outline per layer; below, where there were snapshots, the mean over the epochs."""
    table = rows(tables, "histograms", parameter="entropy")
    names = histograms.names_of(table, tables.get("entropy"))
    looks = style.ordered(unique(table, "layer"), names.__getitem__)
    epochs, text = tables.get("entropy_epochs"), ""
    panels = style.panels(fig, 2.4 if epochs is None else 4.2, 1 if epochs is None else 2)
    entropy_outlines(panels[0], table, looks)
    if epochs is not None:
        chosen, note = first_rate(tables, ["entropy_epochs"], "Shown there")
        paper = latest(rows(chosen, "entropy_epochs", estimator="paper"), "mean")
        curves(panels[1], paper, "epoch", "mean", "layer", looks, band=True)
        epoch_axis(panels[1], ylabel="mean entropy (nats)")
        text = " Below: its mean over the layer's connections over the epochs; "
        text += f"{seeds(paper, 'band')}.{note}"
    style.legend(fig, panels[0], ncols=3)
    networks = plural(len(table.groupby([*{"replica", "seed"} & {*table}])), noun="network")
    return {"networks": networks, "epochs": text}
