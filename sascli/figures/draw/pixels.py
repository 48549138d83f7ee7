"""Images from tables of pixels."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes


def image(table: pd.DataFrame) -> np.ndarray:
    """The values of one image, (height, width, channels)."""
    shape = tuple(table[["row", "column", "channel"]].max() + 1)
    values = np.zeros(shape)
    values[table["row"], table["column"], table["channel"]] = table["value"]
    return values


def scale(values: np.ndarray, share: float = 0.02) -> float:
    """The size that this share of the values exceeds; 1 where they are all 0."""
    return float(np.quantile(np.abs(values), 1 - share)) or 1.0


def show(ax: Axes, values: np.ndarray, scale: float | None = None) -> None:
    """Draw an image without axes; with a scale, 0 is mid-grey and +-scale white and black."""
    if scale is not None:
        values = 0.5 + values / (2 * scale)
    shown = np.clip(np.repeat(values, 3, -1) if values.shape[-1] == 1 else values, 0, 1)
    ax.imshow(shown, interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
