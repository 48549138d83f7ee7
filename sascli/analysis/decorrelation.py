"""The effect of decorrelation: correlations over training, and inputs compared with ZCA."""

import pandas as pd
import torch
from torch import Tensor

from sascli.analysis.pixels import pixels
from sascli.core.copi import Decorrelated
from sascli.data import Data

NAMES = {"correlation_before": "before", "correlation": "after"}


def correlations(metrics: pd.DataFrame) -> pd.DataFrame:
    """decorrelation.csv: the correlation of inputs before and after R, from metrics.csv."""
    keys = [name for name in metrics if name not in ("name", "value")]
    wide = metrics[metrics["name"].isin(NAMES)].pivot(index=keys, columns="name", values="value")
    return wide.rename(columns=NAMES)[[*NAMES.values()]].reset_index().rename_axis(columns=None)


def zca(x: Tensor, epsilon: float) -> Tensor:
    """(C + epsilon tr(C)/n)^(-1/2), the symmetric whitening of images x, (T, n).

    C = <x x^T> is not centred, nor is COPI's.
    """
    x = x.double()
    values, vectors = torch.linalg.eigh(x.mT @ x / len(x))
    whitening: Tensor = (vectors * (values + epsilon * values.mean()).rsqrt()) @ vectors.mT
    return whitening


def decorrelated(
    layers: Decorrelated, data: Data, *, images: int, replica: int, epsilon: float
) -> pd.DataFrame:
    """decorrelated.csv: the first test images unchanged, after R of layer 1, and after ZCA."""
    x, labels = data.test_x[:images], data.test_y[:images].tolist()
    kinds = {
        "input": x,
        "decorrelated": x @ layers.r[0][replica].mT,
        "zca": x.double() @ zca(data.train_x, epsilon),
    }
    tables = [
        pixels(values, data.image_shape, kind=kind, image=range(len(x)), label=labels)
        for kind, values in kinds.items()
    ]
    return pd.concat(tables, ignore_index=True)
