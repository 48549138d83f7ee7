"""A convolutional network: accuracy, distributions by layer, VIPs, filters, perturbations."""

from matplotlib.figure import Figure

from sascli.figures.draw import histograms, style
from sascli.figures.draw.curves import accuracy, curve, epoch_axis, unique
from sascli.figures.draw.perturbation import perturbed
from sascli.figures.draw.picture import Values, picture
from sascli.figures.draw.rows import Reference, Tables, point, rows, seeds


@picture(
    "history",
    caption="Test accuracy (%, mean field) of the convolutional network over training with gBP "
    "and with BP, each at its best learning rate on held-out images, T = {train_size}. Lines: "
    "mean over seeds; {band}.",
)
def convolution_accuracy(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A curve for each rule with a band of one standard deviation over seeds."""
    ax = style.panel(fig, 2.3)
    for rule, look in style.RULES.items():
        history = rows(tables, "history", rule=rule, **point(reference))
        accuracy(ax, history, look)
    epoch_axis(ax, ylabel="test accuracy (%)")
    style.legend(fig, ax)
    return {"band": seeds(history, "band")}


@picture(
    "histograms",
    caption="Distribution over the weights of each layer (rows; the last is the read-out, the "
    "others are convolutions) of the spike mass π, the mean m and the variance Ξ of the slab "
    "after gBP training, T = {train_size}; weights of {seeds} pooled, logarithmic density, no "
    "error bars.",
)
def convolution_layers(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """Small multiples: a row per layer, a column per parameter."""
    table = rows(tables, "histograms", rule="gbp", **point(reference))
    return histograms.of_seeds(fig, table, {})


@picture(
    "layers",
    caption="Very important (VIP: π = 0 and Ξ = 0) and unimportant (UIP: π = 1) weights of each "
    "layer after gBP training, T = {train_size}; layer {last} is the read-out, the others are "
    "convolutions. Top: fraction (%) of the layer's weights; bottom: their number, on a "
    "logarithmic scale. Points: mean over seeds; {bars}.",
)
def convolution_vips(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """Fractions above numbers, error bars over seeds."""
    table = rows(tables, "layers", rule="gbp", **point(reference))
    size = table["n_out"] * table["n_in"]
    looks = style.labelled({"vip": "VIP", "uip": "UIP"})
    panels = style.panels(fig, 3.2, 2, sharex=True)
    for name, look in looks.items():
        numbers = table.assign(number=table[f"{name}_fraction"] * size)
        curve(panels[0], table, "layer", f"{name}_fraction", look, scale=100)
        curve(panels[1], numbers, "layer", "number", look)
    panels[0].set(ylabel="fraction (%)", ylim=(0, None))
    panels[1].set(xlabel="layer", xticks=unique(table, "layer"), ylabel="number")
    panels[1].set_yscale("symlog", linthresh=1)  # a number may be 0
    panels[1].set_ylim(0, None)
    style.legend(fig, panels[0])
    return {"last": table["layer"].max(), "bars": seeds(table)}


MOST = 32
ACROSS = 16
ROWS = {"m": ("$m$", "RdBu_r"), "pi": (r"$\pi$", "cividis")}
"""The kinds of pictures of filters, with their colours."""


@picture(
    "filters",
    caption="{which} filters of the first convolution after gBP training, one network: rows of up "
    "to {across} filters{kernels}. Top: mean m of the slab, blue below and "
    "red above 0, to ±{largest:.2g}. Bottom: spike mass π from 0, dark (always present), to 1, "
    "bright (always absent). No error bars.",
)
def filters(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """Two blocks of small pictures, a column per filter."""
    table = rows(tables, "filters", replica=tables["filters"]["replica"].min())
    units, channels = unique(table, "unit")[:MOST], unique(table, "channel")
    across = min(ACROSS, len(units))
    down = -(-len(units) // across) * len(channels)
    fig.set_figheight(0.3 + 2 * style.WIDTH / max(across, 4) * down)
    fig.set_layout_engine("constrained", w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    largest = float(table["m"].abs().max()) or 1.0
    ratios = {"height_ratios": [1.0] * down + [0.3] + [1.0] * down}  # a gap between the blocks
    grid = fig.subplots(2 * down + 1, across, squeeze=False, gridspec_kw=ratios)
    for ax in grid.ravel():
        ax.set_axis_off()
    blocks = (grid[:down], grid[down + 1 :])
    for block, (column, (label, colours)) in zip(blocks, ROWS.items(), strict=True):
        limits = {"vmin": 0.0 if column == "pi" else -largest}
        limits["vmax"] = 1.0 if column == "pi" else largest
        for number, unit in enumerate(units):
            for channel in channels:
                kernel = table[(table["unit"] == unit) & (table["channel"] == channel)]
                values = kernel.pivot_table(column, "row", "column")
                ax = block[number // across * len(channels) + channels.index(channel)]
                panel = ax[number % across]
                image = panel.imshow(values, cmap=colours, **limits)
                panel.set(xticks=[], yticks=[])
                panel.set_axis_on()  # a frame: 0 is as white as the page
                panel.spines[:].set(visible=True, linewidth=0.4, color="grey")
        ticks = [0.0, 0.5, 1.0] if column == "pi" else None
        bar = fig.colorbar(image, ax=list(block.ravel()), aspect=4.5 * down, ticks=ticks)
        bar.ax.set_title(label, fontsize="medium")
    every = len(units) == table["unit"].nunique()
    several = f", a kernel for each of {len(channels)} channels under each other"
    return {
        "which": f"{'All' if every else 'The first'} {len(units)}",
        "across": across,
        "kernels": several if len(channels) > 1 else "",
        "largest": largest,
    }


@picture(
    "perturbation",
    caption="Test error (%) of gBP's convolutional network against the fraction f of weights "
    "perturbed in one layer, T = {train_size}; layer {last} is the read-out: {meaning} Points: "
    "mean over seeds of each seed's average over {samples} sampled networks and draws; {bars}; "
    "the spread over sampled networks is not shown.",
)
def convolution_perturbation(fig: Figure, tables: Tables, reference: Reference) -> Values:
    """A row of panels per layer, a curve per kind of perturbation."""
    table = rows(tables, "perturbation", rule="gbp", **point(reference))
    layers = unique(table, "layer")
    meaning = perturbed(fig, {f"layer {n}": table[table["layer"] == n] for n in layers})
    samples = table["sample"].nunique()
    return {"meaning": meaning, "samples": samples, "last": layers[-1], "bars": seeds(table)}
