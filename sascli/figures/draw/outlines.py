"""Outlines of the entropy per connection, a curve per layer."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sascli.figures.draw.rows import pooled
from sascli.figures.draw.style import Look

TAIL = 0.001
"""Fraction of a layer's connections that an outline may leave out at either end."""


def entropy_outlines(ax: Axes, table: pd.DataFrame, looks: Mapping[int, Look]) -> None:
    """Draw the distribution of the entropy in each layer over a logarithmic density.

    A few connections with Xi near 0 have entropies far below 0: without them the peak is wider.
    """
    for layer, look in looks.items():
        density, edges = central(*pooled(table[table["layer"] == layer]))
        if np.ptp(edges) < 1e-5:  # numbers, all of entropy 0: a spike without a width
            edges, density = np.array([-0.01, 0.01]), np.array([50.0])
            ax.set_xlim(-1, 1)
        line = {key: look[key] for key in ("color", "linestyle", "label")}
        ax.stairs(density, edges, baseline=None, **line)
    ax.set(
        yscale="log", xlabel="entropy per connection $S$ (nats)",
        ylabel="probability density (1/nat)",
    )  # fmt: skip


def central(density: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The bins of a density without those at either end that hold at most `TAIL` in total."""
    below = np.cumsum(density * np.diff(edges))
    first, last = np.searchsorted(below, [TAIL, 1 - TAIL], side="right")
    return density[first : last + 1], edges[first : last + 2]
