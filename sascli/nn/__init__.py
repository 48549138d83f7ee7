"""Spike-and-slab layers for any PyTorch model, and what the trained model shows of its credit."""

from sascli.nn.change import perturb_, prune
from sascli.nn.convert import to_spike_slab
from sascli.nn.layers import SpikeSlabConv1d, SpikeSlabConv2d, SpikeSlabLinear
from sascli.nn.modes import mean_field, reseed_, sampled
from sascli.nn.project import project_, project_after
from sascli.nn.tables import connections, credit

__all__ = [
    "SpikeSlabConv1d",
    "SpikeSlabConv2d",
    "SpikeSlabLinear",
    "connections",
    "credit",
    "mean_field",
    "perturb_",
    "project_",
    "project_after",
    "prune",
    "reseed_",
    "sampled",
    "to_spike_slab",
]
