"""Layers with a spike-and-slab distribution of every weight, drop-in for torch's namesakes."""

import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sascli.core.convolution import mean_field_convolution, output_size
from sascli.core.mean_field import mean_field_linear
from sascli.core.spike_slab import SpikeSlab
from sascli.errors import UserError
from sascli.nn.noise import Noise

XI_MAX = 0.01
"""Initial Xi ~ Uniform(0, XI_MAX), with pre-activations that have the factor 1/sqrt(N)."""


def check_prefactor(prefactor: str | None) -> None:
    """Raises UserError unless it is None or "sqrt"."""
    if prefactor not in (None, "sqrt"):
        raise UserError(f"prefactor is None or 'sqrt', not {prefactor!r}")


class SpikeSlabLayer(SpikeSlab):
    """A layer of torch whose weights are distributions; the bias is an ordinary parameter.

    `m`, `pi` and `xi` have the shape of torch's `weight`. The layer computes

    - while training, and in evaluation within `mean_field(model)`: z = s G + s eps Delta with
      fresh eps ~ N(0, 1) for each output, and its gradients by the closed forms (Eqs. 2-7);
    - in evaluation: the mean network, weights s mu;
    - within `sampled(model, generator)`: an effective network, weights s w.

    The prefactor s is 1 as in torch's layers, or with `prefactor="sqrt"` the papers' 1/sqrt(N), N
    the number of connections to an output. All random numbers come from the layer's `noise`.

    Arguments are those of torch's namesake, and

        prefactor: None or "sqrt".
        generator: seeds the layer's noise; by default torch's global stream does.
        device: as of torch's namesake; "meta" leaves all numbers to `reset_parameters`.

    Raises UserError for another prefactor.
    """

    bias: Tensor | None
    effective: Tensor | None
    """Weights of the effective network that is set, if any."""

    def __init__(
        self,
        *arguments: Any,
        prefactor: str | None = None,
        generator: torch.Generator | None = None,
        device: Any = None,  # by name: torch.nn.utils.skip_init looks for it
        **options: Any,
    ) -> None:
        if device is not None:  # else it may be among the arguments
            options["device"] = device
        super(SpikeSlab, self).__init__(*arguments, **options)  # torch's namesake
        self.spread(prefactor, generator)
        self.reset_parameters()

    def spread(self, prefactor: str | None, generator: torch.Generator | None) -> None:
        """Replace torch's `weight` by m, the same parameter, and by pi = Xi = 0."""
        check_prefactor(prefactor)
        weight = self._parameters.pop("weight")
        assert isinstance(weight, nn.Parameter)
        self.m = weight
        for kind in ("pi", "xi"):
            zeros = torch.zeros_like(weight, requires_grad=weight.requires_grad)
            setattr(self, kind, nn.Parameter(zeros, weight.requires_grad))
        self.prefactor, self.n_in = prefactor, math.prod(weight.shape[1:])
        self.scale = 1.0 if prefactor is None else self.root
        self.field = False
        """Whether evaluation uses the mean field instead of the mean network."""
        self.register_buffer("effective", None, persistent=False)
        self.reseed(generator)

    @property
    def root(self) -> float:
        """1/sqrt(N); 1 without inputs, where no weight needs it."""
        return 1 / math.sqrt(self.n_in or 1)

    def reseed(self, generator: torch.Generator | None = None) -> None:
        """Draw noise from a new stream, seeded by the generator or by torch's global stream."""
        device = "cpu" if generator is None else generator.device
        self.noise = Noise(int(torch.randint(2**62, (), generator=generator, device=device)))

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *arguments: Any
    ) -> None:
        """As of torch's namesake; a weight becomes m with pi = 0, and Xi stays as it is."""
        if prefix + "weight" in state_dict and prefix + "m" not in state_dict:
            state_dict = dict(state_dict)
            state_dict[prefix + "m"] = state_dict.pop(prefix + "weight") / self.scale
            state_dict[prefix + "pi"] = torch.zeros_like(self.pi)
            state_dict[prefix + "xi"] = self.xi.detach().clone()
        super()._load_from_state_dict(state_dict, prefix, *arguments)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw initial parameters.

        m and the bias as torch does, Uniform(-1/sqrt(N), 1/sqrt(N)), but with a prefactor m ~
        N(0, 2/N), which is the published choice; pi = 0; s^2 N Xi ~ Uniform(0, 0.01).
        """
        if "m" not in self._parameters or self.m.is_meta:
            return  # the constructor of torch's namesake calls this before there is an m
        g, bound = self.noise.generator(self.m.device), self.root if self.n_in else 0.0
        if self.prefactor is None:
            self.m.uniform_(-bound, bound, generator=g)
        else:
            self.m.normal_(0, math.sqrt(2) * bound, generator=g)
        self.pi.zero_()
        self.draw_xi(XI_MAX)
        if self.bias is not None:
            self.bias.uniform_(-bound, bound, generator=g)

    @torch.no_grad()
    def draw_xi(self, xi_max: float) -> None:
        """s^2 N Xi ~ Uniform(0, xi_max)."""
        high = xi_max / (self.scale**2 * (self.n_in or 1))
        self.xi.uniform_(0, high, generator=self.noise.generator(self.xi.device))

    @property
    def weight(self) -> Tensor:
        """Weights of the mean network, or of an effective one where one is set, with prefactor.

        A result, not a parameter: what initialises or changes weights has to change `m`.
        """
        return self.scale * (self.mean() if self.effective is None else self.effective)

    def forward(self, a: Tensor) -> Tensor:
        """Pre-activations as torch's namesake gives them, by distributions instead of weights."""
        if self.effective is not None or not (self.training or self.field):
            z: Tensor = super().forward(a)
            return z
        if not torch.is_autocast_enabled(a.device.type):
            return self.pre_activations(a)
        with torch.autocast(a.device.type, enabled=False):  # squares need the range of float32
            return self.pre_activations(a.to(self.m.dtype))

    def pre_activations(self, a: Tensor) -> Tensor:
        """The mean field."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        """That of torch's namesake with the prefactor."""
        text: str = super().extra_repr()
        return text if self.prefactor is None else f"{text}, prefactor={self.prefactor!r}"


class SpikeSlabLinear(SpikeSlabLayer, nn.Linear):  # type: ignore[override, misc]
    """`nn.Linear` with spike-and-slab weights, see `SpikeSlabLayer`."""

    def pre_activations(self, a: Tensor) -> Tensor:
        """The mean field of (..., in_features)."""
        flat = a.unsqueeze(0) if a.dim() == 1 else a.flatten(0, -2)
        eps = self.noise(flat, len(flat), self.out_features)
        z = mean_field_linear(flat, self.m, self.pi, self.xi, eps, scale=self.scale)
        z = z if self.bias is None else z + self.bias
        return z.view(*a.shape[:-1], self.out_features)


class _SpikeSlabConvolution(SpikeSlabLayer):
    """What Conv1d and Conv2d share."""

    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: str | tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    out_channels: int
    padding_mode: Any
    bias: Tensor | None
    _reversed_padding_repeated_twice: list[int]

    def pre_activations(self, a: Tensor) -> Tensor:
        """The mean field of (batch, channels, *size) or (channels, *size)."""
        axes = len(self.kernel_size)
        if a.dim() == axes + 1:
            return self.pre_activations(a.unsqueeze(0)).squeeze(0)
        padding = self.padding
        if isinstance(padding, str) or self.padding_mode != "zeros":  # as torch's namesake
            mode = self.padding_mode.replace("zeros", "constant")
            a = F.pad(a, self._reversed_padding_repeated_twice, mode)
            padding = (0,) * axes
        settings = (self.stride, padding, self.dilation, self.groups)
        eps = self.noise(a, len(a), self.out_channels, *output_size(a, self.m, settings))
        z = mean_field_convolution(
            a, self.m, self.pi, self.xi, eps, settings=settings, scale=self.scale
        )
        return z if self.bias is None else z.add_(self.bias.view(-1, *(1,) * axes))


class SpikeSlabConv1d(_SpikeSlabConvolution, nn.Conv1d):  # type: ignore[override]
    """`nn.Conv1d` with spike-and-slab weights, see `SpikeSlabLayer`."""


class SpikeSlabConv2d(_SpikeSlabConvolution, nn.Conv2d):  # type: ignore[override]
    """`nn.Conv2d` with spike-and-slab weights, see `SpikeSlabLayer`."""


def named_layers(model: nn.Module) -> Iterator[tuple[str, SpikeSlabLayer]]:
    """Every spike-and-slab layer of a model once, under its first name.

    Raises UserError if there is none.
    """
    layers = [(n, m) for n, m in model.named_modules() if isinstance(m, SpikeSlabLayer)]
    if not layers:
        raise UserError("the model has no spike-and-slab layer: call to_spike_slab(model) first")
    yield from layers
