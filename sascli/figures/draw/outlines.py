"""Outlines of the entropy per connection, a curve per layer."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sascli.figures.draw.rows import pooled
from sascli.figures.draw.style import Look


def entropy_outlines(ax: Axes, table: pd.DataFrame, looks: Mapping[int, Look]) -> None:
    """Draw the distribution of the entropy in each layer over a logarithmic density."""
    for layer, look in looks.items():
        density, edges = pooled(table[table["layer"] == layer])
        if np.ptp(edges) < 1e-5:  # numbers, all of entropy 0: a spike without a width
            edges, density = np.array([-0.01, 0.01]), np.array([50.0])
            ax.set_xlim(-1, 1)
        line = {key: look[key] for key in ("color", "linestyle", "label")}
        ax.stairs(density, edges, baseline=None, **line)
    ax.set(
        yscale="log", xlabel="entropy per connection $S$ (nats)",
        ylabel="probability density (1/nat)",
    )  # fmt: skip
