"""Neural trajectories of the multisensory task along their first two principal components."""

from matplotlib import colormaps
from matplotlib.figure import Figure

from sascli.figures.draw import style
from sascli.figures.draw.rows import Reference, Tables, rows

TABLES = ("trajectories", "components")
ON_IMAGES = False
CAPTION = (
    "Mean rates over noise-reduced trials of every modality and frequency along the first two "
    "principal components of one network (seed {seed}; PC1 {first:.0f} %, PC2 {second:.0f} % of "
    "the variance over conditions and times). Circles: the beginning; squares: the end of the "
    "decision. Colour: frequency, dark 9, light 16 events / s; dashed where the right choice is "
    "low. No error bars."
)
MODALITIES = {"v": "visual", "a": "auditory", "va": "both"}
BOUNDARY = 12.5


@style.styled
def draw(tables: Tables, reference: Reference) -> Figure:
    """A panel per modality, a line per frequency."""
    table = rows(tables, "trajectories")
    seed = int(table["seed"].min())
    table = table[table["seed"] == seed]
    share = rows(tables, "components", seed=seed, space="rates").set_index("component")["share"]
    fig = style.figure(4.6)
    axes = fig.subplots(len(MODALITIES), 1, sharex=True, sharey=True)
    frequencies = sorted(table["frequency"].unique())
    for (modality, label), ax in zip(MODALITIES.items(), axes, strict=True):
        for number, f in enumerate(frequencies):
            path = table[(table["modality"] == modality) & (table["frequency"] == f)]
            colour = colormaps["cividis"](0.9 * number / max(len(frequencies) - 1, 1))
            line = "-" if f > BOUNDARY else "--"
            ax.plot(path["pc1"], path["pc2"], color=colour, linestyle=line, linewidth=0.9)
            for place, marker in ((0, "o"), (-1, "s")):
                x, y = path[["pc1", "pc2"]].iloc[place]
                ax.plot(x, y, color=colour, marker=marker, markersize=3)
        ax.set_title(label)
        ax.set_ylabel("PC2 (rate)")
    axes[-1].set_xlabel("PC1 (rate)")
    fig.set_label(CAPTION.format(seed=seed, first=100 * share[1], second=100 * share.get(2, 0)))
    return fig
