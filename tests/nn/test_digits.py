"""The linear layers alone, in a plain loop, reproduce `sas train` on the digits."""

import math
from pathlib import Path

import pandas as pd
import pytest
import torch
from conftest import composed
from torch import nn

from sascli import data
from sascli.nn import SpikeSlabLinear, credit, project_after
from sascli.nn.layers import named_layers
from sascli.training import run as training_run

SEEDS = range(5)


def plain_loop(seed: int, epochs: int) -> dict[str, float]:
    """Accuracy of the mean network, averaged over the last epochs, and mean credit of the layers.

    Widths, initial parameters, optimiser and batches are those of `sas train`.
    """
    digits = data.load("digits", root=Path(), train_size="all", test_size="all")
    layers = list[nn.Module]()
    for n_in, n_out in ((64, 30), (30, 30), (30, 10)):
        generator = torch.Generator().manual_seed(100 * seed + len(layers))
        layer = SpikeSlabLinear(n_in, n_out, bias=False, prefactor="sqrt", generator=generator)
        layer.m.data.normal_(0, math.sqrt(2 / 64), generator=generator)
        layers += [layer, nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    optimiser = torch.optim.AdamW(model.parameters(), 0.05, weight_decay=1e-4, fused=True)
    project_after(optimiser, model)
    accuracies = []
    for epoch in range(1, epochs + 1):
        model.train()
        for x, y in digits.batches([seed], epoch, 50):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(x[0]), y[0]).backward()
            optimiser.step()
        model.eval()
        with torch.no_grad():
            accuracies.append(digits.accuracy(lambda x: model(x).unsqueeze(0)).item())
    names = ["sparsity", "vip_fraction", "uip_fraction"]
    assert len([*named_layers(model)]) == 3
    table = credit(model, estimator="mixed")[names].mean()
    return {"accuracy": sum(accuracies[-5:]) / 5} | table.to_dict()


@pytest.mark.slow
def test_layers_reproduce_training_on_the_digits(tmp_path: Path) -> None:
    words = [f"replicas={len(SEEDS)}", "eval.mean_every=1", f"outputs={tmp_path}"]
    config = composed("train", *words)
    directory = training_run.run(config)
    history = pd.read_csv(directory / "history.csv").query("epoch > epoch.max() - 5")
    want = (
        pd.read_csv(directory / "layers.csv")
        .groupby("seed")[["sparsity", "vip_fraction", "uip_fraction"]]
        .mean()
    )
    want["accuracy"] = history.groupby("seed")["test_accuracy_mean"].mean()
    got = pd.DataFrame([plain_loop(seed, config.epochs) for seed in SEEDS])
    print(pd.concat({"sas train": want.describe(), "layers": got.describe()}).round(4))
    for name in got:
        spread = math.sqrt((got[name].var() + want[name].var()) / len(SEEDS))
        assert abs(got[name].mean() - want[name].mean()) < 3 * spread + 0.003, name
