"""The network of the settings `model`, `depth` and `width` for a data set."""

from collections.abc import Callable

import torch
from torch import Tensor

from sascli.config import FAN_IN, IDENTITY, Train, hidden_widths, initial
from sascli.core.convolutional import Convolutional
from sascli.core.network import FeedForward
from sascli.core.patches import Kernel
from sascli.core.precision import dtype_of
from sascli.core.recurrent import Dynamics, Recurrent
from sascli.data import Data
from sascli.data.multisensory import blocked
from sascli.data.tasks import Task
from sascli.errors import UserError


def network_maker(config: Train, data: Data) -> Callable[[int, torch.device], FeedForward]:
    """The function that makes a network of so many replicas for the data's images and classes.

    Raises UserError for data that do not fit the network.
    """
    hidden, dtype = hidden_widths(config.width, config.depth), dtype_of(config.precision)
    if config.model.network == "feedforward":
        widths = [data.train_x.shape[1], *hidden, len(data.classes)]
        prefactor = config.model.prefactor
        return lambda replicas, device: FeedForward(
            widths, replicas, device=device, dtype=dtype, prefactor=prefactor
        )
    if config.model.network == "convolutional":
        return lambda replicas, device: convolutional(config, data, replicas, device)
    n_in, model = step_size(config, data), config.model
    widths = [n_in, *hidden, len(data.classes)]
    time = Dynamics(
        steps=data.train_x.shape[1] // n_in,
        alpha=model.dt / model.tau,
        start=model.start,
        sigma=model.sigma,
        every_step=isinstance(data, Task),
        loss=model.loss,
    )
    frozen: list[tuple[str, float, Tensor | None]] = []  # parameters of the input layer
    if model.ordinary_inputs:
        frozen += [("pi", 0.0, None), ("xi", 0.0, None)]
    if isinstance(data, Task):
        mask = blocked(hidden[0])
        frozen += [("m", 0.0, mask), ("pi", 1.0, mask), ("xi", 0.0, mask)]

    def make(replicas: int, device: torch.device) -> Recurrent:
        network = Recurrent(widths, time, replicas, device=device, dtype=dtype)
        for kind, value, mask in frozen:
            network.freeze(0, kind, value, mask)
        return network

    return make


def convolutional(
    config: Train, data: Data, replicas: int, device: torch.device | str
) -> Convolutional:
    """A convolutional network, whose hidden widths are channels."""
    channels, height, width = data.image_shape
    widths = [channels, *hidden_widths(config.width, config.depth), len(data.classes)]
    return Convolutional(
        widths, (height, width), Kernel(config.model.kernel, config.model.stride), replicas,
        device=device, dtype=dtype_of(config.precision), prefactor=config.model.prefactor,
    )  # fmt: skip


def step_size(config: Train, data: Data) -> int:
    """Numbers that enter at one time step. Raises UserError if they do not divide a sample."""
    row, pixels = data.image_shape[-1], data.train_x.shape[1]
    n_in = config.model.n_in or row
    if isinstance(data, Task) and n_in != row:
        raise UserError(f"{data.name} has {row} inputs: leave model.n_in out")
    if pixels % n_in:
        raise UserError(f"{pixels} pixels do not divide into steps of model.n_in={n_in}")
    return n_in


def initial_variances(config: Train, data: Data) -> list[float | None]:
    """Variance of the initial m of each layer, None for the identity.

    The defaults of `init.m_var`: n_in / n_rec for images in sequence, w_rec being the identity;
    1 / (neurons upstream) for the multisensory task; 2 / inputs for all other networks.
    """
    settings = initial(config, "m_var")
    inputs, hidden = data.train_x.shape[1], hidden_widths(config.width, config.depth)
    defaults: list[float | str] = [2 / inputs] * len(settings)
    if config.model.network == "recurrent":
        n_in, (n_rec,) = step_size(config, data), hidden
        defaults = [n_in / n_rec, IDENTITY, n_in / n_rec]
        if isinstance(data, Task):
            defaults = [1 / n_in, 1 / n_rec, 1 / n_rec]
    elif config.init.m_var == FAN_IN:
        upstream = [inputs, *hidden]
        if config.model.network == "convolutional":
            upstream = convolutional(config, data, 0, "cpu").inputs
        settings = [2 / n for n in upstream]
    pairs = zip(settings, defaults, strict=True)
    values = [default if setting is None else setting for setting, default in pairs]
    return [None if value == IDENTITY else float(value) for value in values]
