"""Logistic regression as a baseline."""

import pytest
import torch
from conftest import composed
from sklearn.linear_model import LogisticRegression

from sascli.analysis import logistic as module
from sascli.analysis.logistic import logistic
from sascli.training import run as training_run


def test_logistic_uses_the_best_penalty(monkeypatch: pytest.MonkeyPatch) -> None:
    config = composed("train", "train_size=300", "test_size=200")
    data = training_run.load_data(config, torch.device("cpu"))
    (row,) = logistic(data).to_dict("records")
    x, y = data.train_x.numpy(), data.train_y.numpy()
    scores = {
        c: LogisticRegression(C=c, max_iter=300).fit(x[:240], y[:240]).score(x[240:], y[240:])
        for c in module.STRENGTHS
    }
    assert row["train_size"] == 300
    assert scores[row["inverse_penalty"]] == max(scores.values())
    model = LogisticRegression(C=row["inverse_penalty"], max_iter=300).fit(x, y)
    assert row["test_accuracy"] == model.score(data.test_x.numpy(), data.test_y.numpy()) > 0.8
