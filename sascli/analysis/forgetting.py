"""Average accuracy, forgetting and backward transfer, from accuracies after every task."""

import pandas as pd

KEYS = ["protocol", "method", "lr", "strength", "replica", "seed"]


def summary(accuracies: pd.DataFrame) -> pd.DataFrame:
    """One row per method and seed from rows of a_kj, accuracy on task j after task k <= K.

    With sums over the earlier tasks j < K: `average_accuracy` sum_{j<=K} a_Kj / K and
    `backward_transfer` sum_j (a_Kj - a_jj) / (K - 1) (Lopez-Paz and Ranzato, NeurIPS 2017),
    `forgetting` sum_j (max_{k<K} a_kj - a_Kj) / (K - 1) (Chaudhry et al., ECCV 2018), and
    `learning_accuracy` sum_{j<=K} a_jj / K, the accuracy before forgetting.
    """
    task, after = accuracies["task"], accuracies["after_task"]
    last = accuracies.groupby("protocol")["after_task"].transform("max")
    keys = [*KEYS, "task"]

    def select(rows: "pd.Series[bool]") -> "pd.Series[float]":
        return accuracies[rows].set_index(keys)["test_accuracy"]

    final, earlier = select(after == last), select((after == last) & (task < last))
    learned, before = select(after == task), select((after == task) & (task < last))
    highest = select(after < last).groupby(keys, sort=False).max()
    columns = {
        "average_accuracy": final,
        "learning_accuracy": learned,
        "forgetting": highest - earlier,
        "backward_transfer": earlier - before,
    }
    means = {name: values.groupby(KEYS, sort=False).mean() for name, values in columns.items()}
    return pd.DataFrame(means).reset_index()
