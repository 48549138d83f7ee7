"""Made-up tables of a study of a convolutional network, on which every claim holds."""

from itertools import product

import numpy as np
import pandas as pd
import tables as maker

REFERENCE = {"depth": 4, "train_size": 10_000, "deep": 4, "accuracy": 94.0, "behind": 2.0}


def tables(seeds: int = 3) -> maker.Tables:
    """The credit study's tables at one depth, with filters."""
    made, noise = maker.tables(seeds), np.random.default_rng(4)
    made["datasize_layers"] = made["datasize_layers"].query("depth == 4 and train_size == 10_000")
    made["layers"] = made["layers"].assign(depth=4)
    places = product(range(seeds), range(5), range(3), range(3), range(2))
    columns = ["seed", "unit", "row", "column", "channel"]
    filters = pd.DataFrame(places, columns=columns).assign(replica=lambda rows: rows["seed"])
    size = len(filters)
    made["filters"] = filters.assign(
        m=noise.normal(size=size), pi=noise.uniform(size=size), xi=noise.uniform(size=size)
    )
    return made
