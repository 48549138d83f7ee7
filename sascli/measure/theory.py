"""Experiments without a trained run: the tangent kernel, and the order parameters."""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import pandas as pd
import torch

from sascli import data
from sascli.analysis.kernel import decay_table, kernel_table, lazy_table
from sascli.analysis.order_parameters import order_parameters
from sascli.config import (
    Kernel,
    KernelSettings,
    LazySettings,
    NeuronSettings,
    OrderParameters,
    plain,
)
from sascli.core.kernel import Scales
from sascli.errors import UserError
from sascli.measure.record import Results
from sascli.training.run import pick_device


def kernel(config: Kernel) -> Results:
    """kernel.csv and kernel_decay.csv; lazy.csv unless `lazy.width` is 0."""
    device = pick_device(config.device)
    tables = dict(kernel_tables(config, device))
    if config.lazy.width:
        pieces = lazy_pieces(config, config.data.root, device)
        tables["lazy"] = pd.concat([train() for train in pieces.values()], ignore_index=True)
    return tables


def kernel_tables(config: KernelSettings, device: torch.device) -> Results:
    """kernel.csv and kernel_decay.csv."""
    scales = [scales_of(config, alpha) for alpha in config.alpha]
    sizes = (config.angles, config.widths, config.seeds)
    kernels = [kernel_table(s, *sizes, device) for s in scales]
    table = pd.concat(kernels, ignore_index=True)
    return {"kernel": table, "kernel_decay": decay_table(table)}


def lazy_pieces(
    config: KernelSettings, root: str | None, device: torch.device
) -> dict[str, Callable[[], pd.DataFrame]]:
    """The functions that train one network of lazy.csv each, by their seeds."""
    lazy = config.lazy
    images = cache(partial(two_classes, lazy, root))  # read only if there is something to train

    def train(seed: int) -> pd.DataFrame:
        x, y = (tensor.to(device) for tensor in images())
        return lazy_table(
            x, y, lazy.width, scales_of(config, 1.0),
            lr=lazy.lr, steps=lazy.steps, every=lazy.every, seed=seed,
        )  # fmt: skip

    return {f"seed{seed}": partial(train, seed) for seed in range(lazy.seeds)}


def scales_of(config: KernelSettings, alpha: float) -> Scales:
    """The settings' scales with the leak `alpha`."""
    weights = (config.sigma_in, config.sigma_rec, config.sigma_out)
    return Scales(alpha, *weights, config.sigma_start, config.shared_start)


def two_classes(lazy: LazySettings, root: str | None) -> tuple[torch.Tensor, torch.Tensor]:
    """The first training images of 0 (y = -1) and of 1 (y = 1), (samples, rows, columns).

    Raises UserError if there are too few.
    """
    images = data.load(lazy.source, root=Path(root or "data"), train_size="all", test_size=1)
    digits = [torch.nonzero(images.train_y == label)[: lazy.images, 0] for label in (0, 1)]
    if any(len(places) < lazy.images for places in digits):
        raise UserError(f"lazy.images={lazy.images}, but there are fewer images of 0 or 1")
    x = images.train_x[torch.cat(digits)].unflatten(1, images.image_shape[1:])
    return x, torch.tensor([-1.0, 1.0]).repeat_interleave(lazy.images)


def order_parameter_tables(config: OrderParameters) -> Results:
    """The table of `sas order-parameters`."""
    return neuron_tables(config, pick_device(config.device))


def neuron_tables(config: NeuronSettings, device: torch.device) -> Results:
    """order_parameters.csv."""
    settings = {name: plain(config)[name] for name in NeuronSettings.__dataclass_fields__}
    settings["seeds"] = range(config.seeds)
    return {"order_parameters": order_parameters(**settings, device=device)}
