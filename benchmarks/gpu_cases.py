"""What is checked and timed on a GPU: settings as those of conf/, images that need no file."""

from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sascli.config import Init, Model, Optim, RuleSettings, Train
from sascli.core.precision import dtype_of
from sascli.data import Data, fitted, load
from sascli.data.tasks import multisensory
from sascli.rules.base import Rule
from sascli.rules.bp_decor import BPDecorSettings
from sascli.rules.copi import COPISettings
from sascli.training import run as training_run

SIDE = 28
"""Pixels of the images' sides, those of MNIST."""
ROWS = {
    "model": Model("rnn_rows", "mnist", "recurrent", n_in=28, dt=1, tau=10, start=0.1),
    "depth": 3, "width": 100, "batch_size": 128, "batches": 200, "epochs": 200, "lr": 1e-3,
    "decay": {"default": 1e-4, "pi": 0}, "init": Init(xi_max=0.1),
    "optim": Optim(clip=10, halve_every=40, halve_early=True),
}  # fmt: skip
TASK = {
    "model": Model(
        "multisensory", "multisensory", "recurrent", dt=20, tau=100, sigma=0.15,
        loss="half_per_step", ordinary_inputs=True,
    ),
    "depth": 3, "width": 150, "batch_size": 30, "epochs": 500,
    "stop_loss": 0.002, "stop_after": 100,
    "lr": {"default": 1e-3, "rec": {"pi": 1}, "out": {"pi": 0.1}},
    "decay": {"default": 1e-3, "pi": 0},
    "init": Init(xi_max={"in": 0, "rec": 0.01, "out": 0.01}),
    "optim": Optim("rmsprop", beta2=0.9, eps_inside=True, halve_every=100, halve=["pi"],
                   halve_early=True),
}  # fmt: skip
COPI = {
    "model": Model("mnist", "mnist"), "depth": 8, "width": 500, "batch_size": 50, "lr": 1e-3,
    "decay": 0.0,
}  # fmt: skip
MODELS: dict[str, dict[str, Any]] = {
    "published": {"model": Model("mnist", "mnist"), "batch_size": 500},
    "rows": ROWS,
    "task": TASK,
    "copi": COPI,
}
"""The settings of model=mnist, rnn_rows and multisensory, and of experiment=copi_mnist."""
RULES: dict[str, RuleSettings] = {
    "gbp": RuleSettings("gbp"),
    "bp": RuleSettings("bp"),
    "copi": COPISettings("copi"),
    "bp_decor": BPDecorSettings("bp_decor"),
}


@dataclass(frozen=True)
class Case:
    """Some networks that train on the GPU, or on the CPU beside it."""

    model: str
    rule: str = "gbp"
    replicas: int = 1
    precision: str = "float32"
    capture: str = "never"
    images: int = 10_000  # for training, and for tests
    changes: dict[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> Train:
        """The settings of `sas train`."""
        config = Train(
            rule=RULES[self.rule],
            replicas=self.replicas,
            precision=self.precision,
            capture=self.capture,
        )
        return replace(config, **(MODELS[self.model] | self.changes))

    def data(self, device: torch.device) -> Data:
        """Trials of the task, or digits as large as MNIST's, repeated."""
        if self.model == "task":
            return multisensory(self.config, device)
        return digits(self.images, device, dtype_of(self.precision))

    def rule_on(self, device: torch.device) -> Rule:
        """The initialised rule."""
        data = self.data(device)
        setup = training_run.setup(self.config, data)
        rule = training_run.rule_maker(self.config, data)(setup, device)
        rule.initialise()
        return rule


@cache
def digits(count: int, device: torch.device, dtype: torch.dtype) -> Data:
    """scikit-learn's digits at MNIST's size, repeated to `count` training and test images."""
    data = load("digits", root=Path(), train_size="all", test_size="all", dtype=dtype)

    def repeated(x: Tensor) -> Tensor:
        return x[torch.arange(count) % len(x)].to(device)

    shape = (1, SIDE, SIDE)
    train_x, test_x = (fitted(x, data.image_shape, shape) for x in (data.train_x, data.test_x))
    return replace(
        data,
        image_shape=shape,
        train_x=repeated(train_x),
        train_y=repeated(data.train_y),
        test_x=repeated(test_x),
        test_y=repeated(data.test_y),
    )
