"""Logistic regression on the same images: what a linear classifier reaches."""

import warnings

import pandas as pd

from sascli.data import Data

STRENGTHS = (0.01, 0.1, 1.0)
"""Inverse strengths of the L2 penalty, of which the best on held-out images is used."""
ITERATIONS = 300


def logistic(data: Data) -> pd.DataFrame:
    """linear.csv: test accuracy of scikit-learn's logistic regression on the training images.

    The penalty is chosen on the last fifth of them; the final fit uses all.
    """
    from sklearn.exceptions import ConvergenceWarning  # takes a second
    from sklearn.linear_model import LogisticRegression

    x, y = data.train_x.cpu().numpy(), data.train_y.cpu().numpy()
    cut = len(y) - len(y) // 5

    def model(c: float, size: int) -> LogisticRegression:
        return LogisticRegression(C=c, max_iter=ITERATIONS).fit(x[:size], y[:size])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # early stopping serves as well
        best = max(STRENGTHS, key=lambda c: model(c, cut).score(x[cut:], y[cut:]))
        accuracy = model(best, len(y)).score(data.test_x.cpu().numpy(), data.test_y.cpu().numpy())
    row = {"train_size": len(y), "inverse_penalty": best, "test_accuracy": float(accuracy)}
    return pd.DataFrame([row])
