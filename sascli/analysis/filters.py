"""The kernels of the first convolution, weight by weight."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sascli.analysis.replicas import replica_tables
from sascli.core.convolutional import Convolutional


def filters(network: Convolutional, seeds: Sequence[int]) -> pd.DataFrame:
    """filters.csv: row, column and channel of every weight of the first layer, its m, pi and Xi.

    `unit` is the number of the filter, an output channel, from 0.
    """
    layer, size = network.layers[0], network.kernel.size
    shape = (layer.m.shape[1], size, size, network.widths[0])
    names = ("unit", "row", "column", "channel")
    places = {name: index.ravel() for name, index in zip(names, np.indices(shape), strict=True)}

    def table(replica: int) -> pd.DataFrame:
        values = {"m": layer.m, "pi": layer.pi, "xi": layer.xi}
        numbers = {k: v[replica].detach().cpu().numpy().ravel() for k, v in values.items()}
        return pd.DataFrame(places | numbers)

    return replica_tables(seeds, map(table, range(network.replicas)))
