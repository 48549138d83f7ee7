"""Experiments without a trained run: the tangent kernel, and the order parameters."""

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
    """The tables of `sas kernel`."""
    return kernel_tables(config, config.data.root, pick_device(config.device))


def kernel_tables(config: KernelSettings, root: str | None, device: torch.device) -> Results:
    """kernel.csv and kernel_decay.csv; lazy.csv unless `lazy.width` is 0."""
    scales = [scales_of(config, alpha) for alpha in config.alpha]
    sizes = (config.angles, config.widths, config.seeds)
    kernels = [kernel_table(s, *sizes, device) for s in scales]
    table = pd.concat(kernels, ignore_index=True)
    tables = {"kernel": table, "kernel_decay": decay_table(table)}
    if config.lazy.width:
        x, y = (tensor.to(device) for tensor in two_classes(config.lazy, root))
        tables["lazy"] = lazy_table(
            x, y, config.lazy.width, scales_of(config, 1.0),
            lr=config.lazy.lr, steps=config.lazy.steps, every=config.lazy.every,
            seeds=config.lazy.seeds,
        )  # fmt: skip
    return tables


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
