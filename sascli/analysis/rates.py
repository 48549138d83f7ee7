"""Learning rates and decays that a run trained side by side, and which of them won."""

from collections.abc import Mapping

import pandas as pd

from sascli import runs


def overview(tables: Mapping[str, pd.DataFrame]) -> str:
    """A line per rate with its accuracy after the last epoch, and the best; "" for one rate."""
    last = runs.last_epochs(tables["history"])
    names = runs.rate_names(last)
    if not names.nunique() > 1:
        return ""
    lines, means = [], {}
    for name, accuracy in (100 * last["test_accuracy"]).groupby(names, sort=False):
        means[name] = accuracy.mean()
        spread = f" ± {accuracy.std():.2f}" if len(accuracy) > 1 else ""
        lines.append(f"{name}: test accuracy {means[name]:.2f}{spread} %")
    note = "±: standard deviation over seeds; " if " ± " in lines[0] else ""
    return "\n".join([*lines, f"{note}highest: {max(means, key=means.__getitem__)}"])
