"""The benchmarks measure what they claim to; no test asserts a speed."""

from copy import deepcopy
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
import torch
from PIL import Image

from benchmarks import layers, scaling, step
from benchmarks.setting import RULES, Setting, Steps, images, memory_per_replica

CPU = torch.device("cpu")


@pytest.fixture
def table() -> pd.DataFrame:
    """Times that grow as value^1.5 for gBP and linearly for BP, along every axis."""
    powers = {"gbp": 1.5, "bp": 1.0}
    return pd.DataFrame(
        [
            {"axis": axis, "value": value, "rule": rule, "mb_per_replica": 5.0}
            | dict.fromkeys(("ms_per_network", "epoch_s"), value**power)
            for axis, values in scaling.AXES.items()
            for value in values
            for rule, power in powers.items()
        ]
    )


def test_gradients_equal_plain_autograd() -> None:
    gbp = step.make_rule(RULES["gbp"])
    plain = step.Autograd(gbp.network, step.plain)
    step.agree(gbp.network, {"plain": plain})
    gbp.network.flat["xi"].mul_(1.1)
    with pytest.raises(SystemExit, match="plain: gradient of .* off by"):
        step.agree(gbp.network, {"plain": plain})


@pytest.mark.parametrize("name", RULES)
def test_steps_train_every_replica_on_every_image(name: str) -> None:
    setting = Setting(width=6, depth=5, train_size=1000, replicas=2)
    steps = Steps(name, setting, *images(1000, CPU))
    assert steps.rule.network.widths == [784, 6, 6, 6, 10]
    before = steps.rule.network.flat["m"].clone()
    batches = []
    for _ in range(3):
        steps()
        batches.append(steps.buffer.view(2, step.BATCH, -1).clone())
    assert steps.epoch == 2
    for replica in range(2):  # one epoch is two batches
        epoch = torch.cat([batches[0][replica], batches[1][replica]]).sum(1).sort().values
        assert torch.equal(epoch, steps.x.sum(1).sort().values)
    assert not torch.equal(batches[0][0], batches[0][1])
    changed = steps.rule.network.split((steps.rule.network.flat["m"] != before).float())
    assert all(part.mean((1, 2)).min() > 0.3 for part in changed)


@pytest.mark.slow
def test_memory_of_a_replica_covers_parameters_and_optimiser() -> None:
    setting = Setting(width=1000, train_size=1000)
    parameters = sum(a * b for a, b in pairwise(setting.widths))
    memory = memory_per_replica("gbp", setting, *images(1000, CPU))
    assert 3 + 3 + 6 < memory / 4 / parameters < 40  # parameters, gradients, Adam; other


def test_exponents_are_slopes_over_the_stated_range(table: pd.DataFrame) -> None:
    fits = scaling.exponents(table).set_index(["axis", "rule"])
    assert fits.loc["width", "from"].tolist() == [100, 500] * 2
    assert (fits.loc["train_size", "of"] == "epoch_s").all()
    for rule, power in (("gbp", 1.5), ("bp", 1.0)):
        slopes = fits.xs(rule, level="rule")["exponent"]
        assert len(slopes) == 8 and slopes.tolist() == pytest.approx([power] * 8)


def test_every_axis_has_a_picture(table: pd.DataFrame, tmp_path: Path) -> None:
    fits = scaling.exponents(table)
    for axis in scaling.AXES:
        (path,) = scaling.picture(table, fits, axis, tmp_path)
        assert path == tmp_path / f"{axis}.png"
        with Image.open(path) as image:
            assert "exponents from" in image.info["Description"]


@pytest.mark.parametrize("name", layers.MODELS)
def test_converted_models_have_the_same_weights_and_train(name: str) -> None:
    model, x = layers.MODELS[name]()
    converted = layers.to_spike_slab(deepcopy(model))
    x = x[:20]
    assert torch.equal(converted.eval()(x), model(x))
    before = [p.clone() for p in converted.parameters()]
    layers.step(converted.train(), x)()
    changed = [
        float((p != b).double().mean())
        for p, b in zip(converted.parameters(), before, strict=True)
    ]
    assert len(changed) == 2 * len([*model.parameters()]) and min(changed) > 0.1
