"""Images as tables: one row per pixel."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from torch import Tensor


def pixels(
    images: Tensor, shape: Sequence[int], **keys: str | int | Sequence[str | int]
) -> pd.DataFrame:
    """Rows channel, row, column, value of images (k, n), led by keys with a value per image.

    `shape` is (channels, height, width) of the n values.
    """
    channel, row, column = (np.tile(index.ravel(), len(images)) for index in np.indices(shape))
    table = pd.DataFrame({**keys}, index=range(len(images)))
    table = table.loc[table.index.repeat(images.shape[1])].reset_index(drop=True)
    values = images.cpu().float().numpy().ravel()
    return table.assign(channel=channel, row=row, column=column, value=values)
