"""The settings of what is measured on networks that decorrelate their inputs."""

from dataclasses import dataclass
from typing import Any

from sascli.config.measurements import OnImages
from sascli.config.settings import setting


@dataclass
class Decorrelation(OnImages):
    """Correlation over training, and inputs decorrelated."""

    images: int = setting(5, "test images that are shown")
    replica: int = setting(0, "which replica decorrelates them, counted from 0")
    epsilon: float = setting(0.1, "added to ZCA's eigenvalues, in units of their mean")


@dataclass
class Compress(OnImages):
    """Layers replaced by their linear map."""

    images: Any = setting(10000, "training images that linear maps are read from, or all")


@dataclass
class Features(Compress):
    """Receptive fields by linear read-out."""

    layer: int | None = setting(None, "layer of the units, counted from 1; null: the last hidden")
    unit: Any = setting(None, "unit, counted from 0, or a list of them; null: the first 16")
    replica: int = setting(0, "whose units, counted from 0")
