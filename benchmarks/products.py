"""Matrix products by BLAS and by oneDNN, with the shapes of a training step.

python -m benchmarks.products
"""

import pandas as pd
import torch

from benchmarks import timing
from sascli.core import products

SHAPES = ((500, 784, 100), (500, 100, 100), (500, 100, 10), (200, 3072, 200), (1000, 784, 100))


def main() -> None:
    """Measure, print, write outputs/bench/products.csv."""
    tables = []
    for n, k, m in SHAPES:
        x, w, grad = torch.randn(1, n, k), torch.randn(1, m, k), torch.randn(1, n, m)
        for name, left, right in (("x w^T", x, w.mT), ("grad^T x", grad.mT, x)):
            table = timing.in_turn(
                {
                    "BLAS": lambda a=left, b=right: torch.bmm(a, b),
                    "oneDNN": lambda a=left, b=right: products.by_onednn(a[0], b[0]),
                },
                rounds=40,
                base="BLAS",
                calls=5,
            )
            table.insert(0, "product", f"{name}, {n} x {k} x {m}")
            tables.append(table)
    timing.report("products", pd.concat(tables, ignore_index=True))


if __name__ == "__main__":
    main()
