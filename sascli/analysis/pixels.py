"""Images as tables: one row per pixel."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor


def pixels(
    images: Tensor, shape: Sequence[int], keys: Sequence[Mapping[str, Any]]
) -> pd.DataFrame:
    """Rows channel, row, column, value of images (k, n), led by what tells each from the others.

    `shape` is (channels, height, width) of the n values.
    """
    channel, row, column = (index.ravel() for index in np.indices(shape))
    place = {"channel": channel, "row": row, "column": column}
    values = images.cpu().float().numpy()
    frames = [
        pd.DataFrame({**key, **place, "value": own}) for key, own in zip(keys, values, strict=True)
    ]
    return pd.concat(frames, ignore_index=True)
